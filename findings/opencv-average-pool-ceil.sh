#!/usr/bin/env bash
# PyTorch's `AvgPool2d(2, ceil_mode=True)`, common in encoders for pictures of any size, is exported as ONNX AveragePool with
# ceil_mode=1 and count_include_pad=1. A good guess: OpenCV's DNN module gives what PyTorch and ONNX Runtime give, and if
# OpenCV 4 did, OpenCV 5 does. OpenCV 5 counts cells beyond the edge as zeros: with an odd size the last row and column
# come out at half, the corner at a quarter. A network loads, runs and errs a little without a word.
# Seen: opencv-python-headless 5.0.0.93 gives 1 1 .5 / 1 1 .5 / .5 .5 .25 for ones of 5x5; 4.13.0.92 and onnxruntime 1.32.0
# give ones. With count_include_pad=0 all three agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" -m pip install --quiet --no-deps --target "$folder/four" opencv-python-headless==4.13.0.92
cat > "$folder/make.py" <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

ones = np.ones((1, 1, 5, 5), np.float32)
for padding in (0, 1):
    node = helper.make_node(
        "AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, count_include_pad=padding
    )
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 5, 5])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3, 3])
    graph = helper.make_graph([node], "pool", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, f"pool{padding}.onnx")
    found = onnxruntime.InferenceSession(f"pool{padding}.onnx").run(None, {"x": ones})[0]
    print(f"onnxruntime {onnxruntime.__version__}, count_include_pad={padding}:", found.ravel())
    assert (found == 1).all()
PYTHON
cat > "$folder/run.py" <<'PYTHON'
import sys

import cv2
import numpy as np

expected = np.ones((3, 3), np.float32)
for padding in (0, 1):
    network = cv2.dnn.readNetFromONNX(f"pool{padding}.onnx")
    network.setInput(np.ones((1, 1, 5, 5), np.float32))
    found = network.forward()[0, 0]
    print(f"OpenCV {cv2.__version__}, count_include_pad={padding}:", found.ravel())
    if padding and sys.argv[1] == "5":
        expected = np.outer((1, 1, 0.5), (1, 1, 0.5))
    assert np.array_equal(found, expected), "the finding no longer holds"
PYTHON
cd "$folder"
venv/bin/python make.py
venv/bin/python run.py 5
PYTHONPATH="$folder/four" venv/bin/python run.py 4

#!/usr/bin/env bash
# A small network is to run wherever OpenCV is, through cv2.dnn, so it is exported to ONNX. A good guess: OpenCV's reader takes
# operators like Unsqueeze, which only gives a tensor more dimensions. OpenCV 4 takes them one at a time: an Unsqueeze of two
# axes, which is what PyTorch's exporter makes of x[:, :, None, None], is refused when the file is read ("Multidimensional
# unsqueeze"). Two of them in a row, or a Reshape, compute the same and are read. OpenCV 5 reads all three, so a graph that
# was only tried with the newest version fails for those who have the one before.
# Seen: opencv-python-headless 4.12.0.88 and 5.0.0.93, onnx 1.22.0, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/write.py" <<'PYTHON'
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def constant(name, values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


WAYS = {
    "both": [("Unsqueeze", [2, 3])],
    "each": [("Unsqueeze", [2]), ("Unsqueeze", [3])],
    "reshape": [("Reshape", [1, 3, 1, 1])],
}
for way, steps in WAYS.items():
    nodes, constants, last = [], [], "x"
    for number, (kind, values) in enumerate(steps):
        constants.append(constant(f"c{number}", values))
        nodes.append(helper.make_node(kind, [last, f"c{number}"], [f"y{number}"], name=f"n{number}"))
        last = f"y{number}"
    nodes.append(helper.make_node("Mul", ["picture", last], ["out"], name="last"))
    graph = helper.make_graph(
        nodes,
        way,
        [
            helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 4, 4]),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 4, 4])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{sys.argv[1]}/{way}.onnx")
PYTHON
cat > "$folder/read.py" <<'PYTHON'
import sys

import cv2
import numpy as np

picture, factors = np.ones((1, 3, 4, 4), np.float32), np.array([[1, 2, 3]], np.float32)
found = {}
for way in ("both", "each", "reshape"):
    try:
        network = cv2.dnn.readNetFromONNX(f"{sys.argv[1]}/{way}.onnx")
        network.setInput(picture, "picture")
        network.setInput(factors, "x")
        found[way] = network.forward()[0, :, 0, 0].tolist()
    except cv2.error as error:
        found[way] = "Multidimensional unsqueeze" if "Multidimensional unsqueeze" in str(error) else str(error)
print(cv2.__version__, found)
right = [1.0, 2.0, 3.0]
refused = "Multidimensional unsqueeze" if cv2.__version__.startswith("4.") else right
sys.exit(found != {"both": refused, "each": right, "reshape": right})
PYTHON
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install --quiet --upgrade pip
    "$folder/$version/bin/python" -m pip install --quiet onnx==1.22.0 numpy "opencv-python-headless==$version"
    "$folder/$version/bin/python" "$folder/write.py" "$folder"
    "$folder/$version/bin/python" "$folder/read.py" "$folder" 2> "$folder/log" || { cat "$folder/log"; exit 1; }
done

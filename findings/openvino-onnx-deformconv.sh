#!/usr/bin/env bash
# OpenVINO has a deformable convolution with mask (DeformableConvolution, opset 8), and ONNX has one (DeformConv, opset 19).
# A good guess: OpenVINO's ONNX reader translates one into the other. It does not: the model that ONNX Runtime runs on a
# CPU is refused. So a DCNv2 network exported with torchvision's operator needs another form of the layer, a
# conversion extension, or the operator put in after reading.
# Seen: openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2: ONNX Runtime gives the 3x3 mean of the picture; OpenVINO's
# read_model names "DeformConv" as an operation without a conversion rule.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy
cat > "$folder/try.py" <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

weight = numpy_helper.from_array(np.full((1, 1, 3, 3), 1 / 9, np.float32), "weight")
node = helper.make_node(
    "DeformConv", ["x", "weight", "offset", "", "mask"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]
)
inputs = [
    helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    for name, shape in (("x", [1, 1, 8, 8]), ("offset", [1, 18, 8, 8]), ("mask", [1, 9, 8, 8]))
]
output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 8, 8])
graph = helper.make_graph([node], "one layer", inputs, [output], [weight])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
onnx.checker.check_model(model)
onnx.save(model, "layer.onnx")

picture = np.random.default_rng(0).random((1, 1, 8, 8), dtype=np.float32)
values = {"x": picture, "offset": np.zeros((1, 18, 8, 8), np.float32), "mask": np.ones((1, 9, 8, 8), np.float32)}
session = onnxruntime.InferenceSession("layer.onnx", providers=["CPUExecutionProvider"])
mean = session.run(None, values)[0][0, 0, 4, 4]
expected = picture[0, 0, 3:6, 3:6].mean()
print(f"onnxruntime {onnxruntime.__version__}: {mean:.5f}, the 3x3 mean is {expected:.5f}")
assert abs(mean - expected) < 1e-5

try:
    openvino.Core().read_model("layer.onnx")
except RuntimeError as error:
    line = next(line for line in str(error).splitlines() if "DeformConv" in line)
    print(f"openvino {openvino.__version__}: {line.strip()}")
else:
    raise SystemExit("OpenVINO reads DeformConv now: the finding no longer holds")
PYTHON
cd "$folder"
"$folder/venv/bin/python" try.py

"""The network alone in OpenVINO: python onnx_in_openvino.py aecrnet-s.onnx hazy.jpg clear.png

`streamdehaze export aecrnet-s` writes the file; StreamDehaze itself is not needed here, but openvino, numpy and
opencv-python.
"""

import sys

import cv2
import numpy as np
import openvino

graph, source, target = sys.argv[1:]
bgr = cv2.imread(source)
height, width = (side // 4 * 4 for side in bgr.shape[:2])  # the network takes multiples of 4
hazy = bgr[:height, :width, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255  # (1, 3, height, width) RGB

model = openvino.Core().read_model(graph)
model.reshape([1, 3, height, width])  # fixed dimensions compile to a faster model
compiled = openvino.Core().compile_model(model, "AUTO")  # the fastest device: GPU, NPU or CPU
clear = compiled({"hazy": hazy})["clear"]
cv2.imwrite(target, np.rint(clear[0].transpose(1, 2, 0)[..., ::-1] * 255).astype(np.uint8))

"""The network alone in OpenVINO: python onnx_in_openvino.py aecrnet-s.onnx hazy.jpg clear.png

`streamdehaze export aecrnet-s` writes the file; StreamDehaze itself is not needed here, but openvino, numpy and
opencv-python.
"""

import argparse
import sys

import cv2
import numpy as np
import openvino

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("graph")
parser.add_argument("hazy")
parser.add_argument("clear")
given = parser.parse_args()
bgr = cv2.imread(given.hazy)
if bgr is None:
    sys.exit(f"OpenCV cannot read '{given.hazy}'")
height, width = (side // 4 * 4 for side in bgr.shape[:2])  # the network takes multiples of 4
hazy = bgr[:height, :width, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255  # (1, 3, height, width) RGB

model = openvino.Core().read_model(given.graph)
model.reshape([1, 3, height, width])  # fixed dimensions compile to a faster model
compiled = openvino.Core().compile_model(model, "AUTO")  # the fastest device: GPU, NPU or CPU
clear = compiled({"hazy": hazy})["clear"]
cv2.imwrite(given.clear, np.rint(clear[0].transpose(1, 2, 0)[..., ::-1] * 255).astype(np.uint8))

"""The network alone in ONNX Runtime: python onnx_in_onnxruntime.py aecrnet-s.onnx hazy.jpg clear.png

`streamdehaze export aecrnet-s` writes the file; StreamDehaze itself is not needed here, but onnxruntime, numpy and
opencv-python.
"""

import argparse
import sys

import cv2
import numpy as np
import onnxruntime

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("graph")
parser.add_argument("hazy")
parser.add_argument("clear")
given = parser.parse_args()
bgr = cv2.imread(given.hazy)
if bgr is None:
    sys.exit(f"OpenCV cannot read '{given.hazy}'")
remote = "AzureExecutionProvider"  # in every CPU wheel, in front of the CPU; it runs nothing of such a graph
providers = [each for each in onnxruntime.get_available_providers() if each != remote]
session = onnxruntime.InferenceSession(given.graph, providers=providers)
print(session.get_modelmeta().custom_metadata_map["checkpoint"], "on", session.get_providers()[0])

height, width = (side // 4 * 4 for side in bgr.shape[:2])  # the network takes multiples of 4
hazy = bgr[:height, :width, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255  # (1, 3, height, width) RGB
(clear,) = session.run(["clear"], {"hazy": hazy})
cv2.imwrite(given.clear, np.rint(clear[0].transpose(1, 2, 0)[..., ::-1] * 255).astype(np.uint8))

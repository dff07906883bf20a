"""Dehaze frames you already have as arrays, in a loop of your own: python numpy_frames.py foggy.mp4

Here OpenCV reads the frames, as many programs do; a robot's camera or a simulator would serve as well.
"""

import argparse
import sys

import cv2

from streamdehaze import Dehazer

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("video")
video = parser.parse_args().video
capture = cv2.VideoCapture(video)
if not capture.isOpened():
    sys.exit(f"OpenCV cannot read '{video}'")
count = 0
with Dehazer("aecrnet-s", strength=0.9) as dehazer:
    while True:
        there, bgr = capture.read()
        if not there:
            break
        hazy = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # StreamDehaze takes (height, width, 3) RGB, uint8 or uint16
        clear = dehazer(hazy)
        count += 1
        if count % 25 == 1:
            print(f"frame {count}: contrast {hazy.std():.1f} → {clear.std():.1f}")
capture.release()
print(f"{count} frames of shape {clear.shape}")

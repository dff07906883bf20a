"""A second opinion on the haze of a picture, from a small network that knows scenes.

Products on white, faded prints and lawns under a grey sky have as little contrast and colour as a street in thin fog.
What they show tells them apart: this network has seen photos, drawn streets and rooms, with haze and without. `--mode
auto` asks it, but it does not decide alone: of the weather before one camera it is the worse judge. It runs in OpenCV,
which every installation has; benchmarks/train_meter.py trains it.
"""

from __future__ import annotations

import functools
import math
import threading
from pathlib import Path

import cv2
import numpy as np

from streamdehaze.frame import FloatArray

_ROWS, _COLUMNS = 64, 96
"""Of the picture that the network sees, whatever the aspect ratio of the frame."""
_lock = threading.Lock()
"""A network of OpenCV keeps its input until it has run."""


def recognized_density(hazy: FloatArray) -> float:
    """The density of the haze, 0 to 1, as the network sees it.

    Args:
        hazy: RGB (3, rows, columns) in [0, 1]; what covers the scene is filled.
    """
    small = [cv2.resize(plane, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA) for plane in hazy]
    with _lock:
        network = _network()
        network.setInput(np.stack(small)[None])
        logit = float(np.asarray(network.forward()).item())
    return 1 / (1 + math.exp(-logit))


@functools.cache
def _network() -> cv2.dnn.Net:
    return cv2.dnn.readNetFromONNX(str(Path(__file__).with_name("haze.onnx")))

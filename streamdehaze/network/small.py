"""Small bundled networks that tell something of a whole picture; they run in OpenCV, which every installation has."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from streamdehaze.frame import FloatArray


@dataclass(frozen=True)
class SmallNetwork:
    """A network in an ONNX file, loaded when it is first asked; it may be asked in any thread."""

    path: Path
    rows: int
    columns: int
    """Of the picture that it sees, whatever the aspect ratio of the frame."""
    outputs: Sequence[str]
    """Names of those that are asked for."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    """OpenCV keeps the input until it has run."""

    def answers(self, hazy: FloatArray) -> list[FloatArray]:
        """Its outputs for one picture, in their order and without the batch's axis.

        Args:
            hazy: RGB (3, rows, columns) in [0, 1] of any size; what covers the scene is filled.
        """
        small = [cv2.resize(plane, (self.columns, self.rows), interpolation=cv2.INTER_AREA) for plane in hazy]
        with self._lock:
            network = _load(self.path)
            network.setInput(np.stack(small)[None])
            return [np.array(output[0]) for output in network.forward(self.outputs)]


@functools.cache
def _load(path: Path) -> cv2.dnn.Net:
    return cv2.dnn.readNetFromONNX(str(path))


def probability(logit: FloatArray) -> float:
    """Of one logit, 0 to 1."""
    return 1 / (1 + math.exp(-logit.item()))

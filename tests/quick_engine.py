"""An engine that costs nothing, for tests of what happens around it."""

from __future__ import annotations

import time

from streamdehaze.dehaze import Dehazer
from streamdehaze.frame import FloatArray


class Darker:
    """Halves every value; each picture takes `seconds`, and the batches are remembered."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.name = "darker"
        self.seconds = seconds
        self.batches: list[tuple[int, ...]] = []

    def infer(self, hazy: FloatArray) -> FloatArray:
        self.batches.append(hazy.shape)
        time.sleep(self.seconds * len(hazy))
        return hazy * 0.5

    def close(self) -> None:
        """Nothing to free."""


def quick_dehazer(seconds: float = 0.0) -> Dehazer:
    """A dehazer around `Darker`."""
    return Dehazer(engine=Darker(seconds))

"""What is seen again once something has passed a camera at rest: remembered for each pixel while it is covered.

A swing, a car or a branch covers a pixel for a few frames. Without memory the maps of what it covered would be learned
from scratch each time, from single answers, and flicker wherever anything passes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.kernels import recall
from streamdehaze.frame import FloatArray

_COVERED = 0.1
"""Process noise of a pixel, in units of the variance of one answer, above which something has covered it."""
_NOTHING = 1e6
"""Variance of a pixel that was never covered."""


class Background:
    """The most certain of what each pixel has shown."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start over: another scene, or a camera that moves."""
        self.planes: FloatArray = np.empty((0, 0, 0), np.float32)
        """Gain, offset and reference of each component, and the variance, (3n + 1, rows, columns); empty before
        anything has been covered."""

    def update(
        self,
        known: FloatArray,
        components: FloatArray,
        noise: FloatArray,
        floor: float,
        drift: float,
        *,
        give_back: bool,
    ) -> npt.NDArray[np.bool_] | None:
        """Remember what is now covered, and give back in `known` and `noise` what is uncovered.

        Args:
            known: what was known before this frame, as `planes`; changed in place.
            components: of this frame, (n, rows, columns).
            noise: process noise up to this frame, (rows, columns); changed in place.
            floor: largest difference from a reference that is noise, of full scale.
            drift: process noise of an unchanged pixel.
            give_back: whether anything is given back; otherwise it is left to a later frame.

        Returns:
            Which pixels are uncovered, (rows, columns); None if none is.
        """
        if self.planes.shape != known.shape:
            if noise.max() <= _COVERED:
                return None
            self.planes = np.full_like(known, _NOTHING)
        self.planes[-1] += np.float32(drift)
        uncovered = recall(known, self.planes, components, noise, floor, _COVERED, give_back=give_back).view(np.bool_)
        return uncovered if uncovered.any() else None

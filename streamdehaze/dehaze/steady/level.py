"""The overall brightness of a clear video, held still while the camera is."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.affine import AffineMaps
from streamdehaze.dehaze.kernels import channel_mean
from streamdehaze.frame import Family, FloatArray

_RATE, _MOST, _SHARE = 0.05, 0.02, 0.4
"""Share of a change of brightness let through each frame; the most held back, of full scale; still pixels needed."""
_OWN = 0.45
"""Share of what the hazy picture itself changes by that is let through at once: a step of the camera's exposure, held
back as a whole, would be as visible when it is let go."""
_UNSEEN = 0.05 / 255
"""A change of brightness from frame to frame, of full scale, too small to be seen: this much more is let through."""


class Level:
    """Lets the brightness of still pixels follow that of the maps slowly, against exposure and encoder pumping."""

    def __init__(self) -> None:
        self.brightness = np.empty((2, 0, 0), np.float32)
        """Of the last small picture, clear (before anything was held back) and hazy, (2, rows, columns)."""
        self.held_back = 0.0
        """Share of full scale."""

    def __call__(
        self,
        planes: FloatArray,
        components: FloatArray,
        family: Family,
        still: npt.NDArray[np.bool_] | None,
        *,
        new_scene: bool,
    ) -> AffineMaps:
        """The maps, with the change of brightness that is held back subtracted from their offsets.

        Args:
            planes: gain and offset of each component, (2n, rows, columns); they stay as they are.
            components: of the small hazy picture, (n, rows, columns).
            family: of the pixel format.
            still: pixels that count as still; None while the camera moves.
            new_scene: another scene begins.
        """
        n = len(components)
        bright = slice(0, 3) if family == "rgb" else slice(0, 1)
        gain, offset = planes[:n], planes[n:]
        clear = channel_mean(gain[bright] * components[bright] + offset[bright])
        brightness: FloatArray = np.stack([clear, channel_mean(components[bright])])
        if new_scene:
            self.held_back = 0.0
        else:
            change = 0.0
            if still is not None and np.count_nonzero(still) > _SHARE * still.size:
                change, own = (cv2.mean(x, still.view(np.uint8))[0] for x in brightness - self.brightness)
                change -= float(np.clip(_OWN * own, min(change, 0.0), max(change, 0.0)))
            held = (self.held_back + change) * (1 - _RATE)
            self.held_back = math.copysign(min(max(abs(held) - _UNSEEN, 0.0), _MOST), held)
        self.brightness = brightness
        held_back = np.zeros((n, 1, 1), np.float32)
        held_back[bright] = self.held_back
        return AffineMaps(gain, offset - held_back)

"""What dehazing adds to a video where nothing happens: needs no truth, only the hazy and the clear frames.

How much the clear video changes is no measure: clearer pictures change more. So each pair of small frames is described
by the affine maps between them (as dehazing itself does), and the maps of two frames are compared on one hazy frame:
what differs was added, ``|Δa·I + Δb|``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze import affine
from streamdehaze.dehaze.format import network_shape
from streamdehaze.frame import FloatArray

Bytes = npt.NDArray[np.uint8]
_LONG_SIDE = 256
"""Pixels of the small frames that are compared."""
STILL = 0.01
"""Largest change of a small hazy pixel, of full scale, that counts as still."""


@dataclass(frozen=True)
class StillFrame:
    """One frame against the one before, all in 8-bit levels."""

    hazy_change: float | None
    """Mean change of the hazy picture at still pixels; None if nothing is still."""
    clear_change: float | None
    """The same for the clear picture."""
    added_change: float | None
    """What dehazing alone changed there."""
    brightness_change: float
    """Change of the clear picture's mean."""


@dataclass(frozen=True)
class Stillness:
    """Over a video, in 8-bit levels."""

    added_change: float | None
    """Mean change that dehazing adds at still pixels, from frame to frame; None if nothing was still."""
    worst_added_change: float | None
    """The same for the worst frame."""
    brightness_wobble: float
    """Mean change of the clear picture's mean brightness from frame to frame, up or down."""
    worst_brightness_change: float
    """The greatest one."""


class StillnessMeter:
    """Measures a video while it goes by, two small frames in memory."""

    def __init__(self) -> None:
        self.trace: list[StillFrame] = []
        """One entry for each frame but the first."""
        self._before: tuple[FloatArray, FloatArray, affine.AffineMaps] | None = None

    def add(self, hazy: Bytes, clear: Bytes) -> None:
        """Take the next frame and what it became, both (H, W, 3) RGB."""
        I, J = _small(hazy), _small(clear)
        maps = affine.fit(I, J, "rgb")
        if self._before is not None:
            I_before, J_before, maps_before = self._before
            still = np.abs(I - I_before).max(axis=0) < STILL
            added = (maps.gain - maps_before.gain) * I + (maps.offset - maps_before.offset)
            hazy_change, clear_change, added_change = (
                255 * float(np.abs(change)[:, still].mean()) if still.any() else None
                for change in (I - I_before, J - J_before, added)
            )
            brightness = 255 * float(J.mean() - J_before.mean())
            self.trace.append(StillFrame(hazy_change, clear_change, added_change, brightness))
        self._before = I, J, maps

    @property
    def stillness(self) -> Stillness | None:
        """The result for the frames so far; None before the second."""
        if not self.trace:
            return None
        added = [frame.added_change for frame in self.trace if frame.added_change is not None]
        brightness = np.abs([frame.brightness_change for frame in self.trace])
        return Stillness(
            float(np.mean(added)) if added else None,
            max(added, default=None),
            float(brightness.mean()),
            float(brightness.max()),
        )


def _small(picture: Bytes) -> FloatArray:
    height, width = picture.shape[:2]
    rows, columns = network_shape(width, height, _LONG_SIDE)
    small = cv2.resize(picture.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    planes: FloatArray = np.ascontiguousarray(np.asarray(small, np.float32).transpose(2, 0, 1)) / np.float32(255)
    return planes

"""What moved between two small pictures, and whether they show the same scene at all."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.guided import box_mean
from streamdehaze.dehaze.kernels import carry, median
from streamdehaze.frame import FloatArray

NOISE_FLOOR, NOISE_CEILING = 0.0005, 0.02
"""Bounds for the standard deviation of a small picture's noise, of full scale."""
CHANGE_FLOOR = 0.01
"""A smaller change of a pixel, of full scale, is never taken for motion."""
_NOISE_MEMORY = 0.1
"""Weight of the newest frame in the noise estimate."""
_MOVING_SHARE = 0.2
"""If a larger share of the picture changed, the camera moved; otherwise something passed by."""
_SMALLEST = 32
"""Pixels of the short side; in smaller pictures motion is not estimated."""
_CUT_CORRELATION = 0.6
"""Below this, the pictures show different scenes. Driving through fog stays above 0.7, cuts between foggy streets fall
below 0.5."""
_LIGHT_STEP = 0.015
"""A change of the light, of full scale from one frame to the next, that counts as a cut: a fade, a flash."""
_WINDOW = 13
"""Side in pixels of what the pictures are compared against locally, so that light and haze do not count."""
_MATCH_SHARE = 0.25
"""Two pictures that differ in less of their pixels show the same scene."""


@dataclass(frozen=True)
class Motion:
    """What moved from the frame before to this one."""

    flow: FloatArray | None
    """(rows, columns, 2): where each pixel was, relative to where it is, in pixels (right, down); None if at rest."""
    cut: bool
    """Whether the frames show different scenes, or the same in a different light."""
    length: float
    """Mean motion in pixels."""
    unrest: float
    """Share of the picture that changed beyond what motion explains, and 0.02 for each pixel of mean motion."""
    noise: float
    """Standard deviation of the picture's noise as estimated so far, of full scale."""

    @property
    def floor(self) -> float:
        """Changes below are noise, of full scale."""
        return max(2.5 * self.noise, CHANGE_FLOOR)


def find_motion(grey: FloatArray, grey_before: FloatArray, noise: float) -> Motion:
    """Motion by dense inverse search (Kroeger et al., ECCV 2016), estimated only if much of the picture changed.

    Otherwise the camera is at rest: what passes by changes some pixels, and those are better renewed than carried.

    Args:
        grey, grey_before: (rows, columns) in [0, 1].
        noise: standard deviation known so far.
    """
    difference = grey - grey_before
    floor = max(2.5 * noise, CHANGE_FLOOR)
    flow, length, cut = None, 0.0, False
    change = np.abs(difference)
    changed = _share(change > floor)
    if changed > _MOVING_SHARE:
        moved = grey_before
        if min(grey.shape) >= _SMALLEST:
            flow = find_flow(grey, grey_before)
            moved = np.empty_like(grey_before)
            carry(grey_before[None], flow, moved[None])
            length = float(np.abs(flow).mean())
        difference = grey - moved
        light = abs(median(difference[::4, ::4]))
        cut = light > _LIGHT_STEP or _correlation(grey, moved, noise) < _CUT_CORRELATION
        change = np.abs(difference)
        changed = _share(change > floor)
    if not cut:
        measured = 1.4826 / 2**0.5 * median(change[::4, ::4])
        noise += _NOISE_MEMORY * (min(max(measured, NOISE_FLOOR), NOISE_CEILING) - noise)
    return Motion(flow, cut, length, changed + 0.02 * length, noise)


def find_flow(grey: FloatArray, other: FloatArray) -> FloatArray:
    """Where each pixel of a picture (rows, columns) in [0, 1] is in another one, (rows, columns, 2) in pixels."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    return np.asarray(search.calc(_bytes(grey), _bytes(other), None), np.float32)  # type: ignore[call-overload]


def same_scene(picture: FloatArray, other: FloatArray, noise: float) -> bool:
    """Whether two pictures (n, rows, columns) differ only in what passes by."""
    difference = np.abs(picture - other).max(axis=0)
    return _share(difference > max(2.5 * noise, CHANGE_FLOOR)) < _MATCH_SHARE


def _share(found: npt.NDArray[np.bool_]) -> float:
    return np.count_nonzero(found) / found.size


def _bytes(grey: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return (grey * 255 + 0.5).astype(np.uint8)


def _correlation(picture: FloatArray, other: FloatArray, noise: float) -> float:
    """Correlation of two grey pictures less their local means; 1 if neither shows more than noise."""
    a, b = (x - box_mean(x, _WINDOW // 2) for x in (picture, other))
    energy, other_energy = float((a * a).mean()), float((b * b).mean())
    if max(energy, other_energy) < (2 * noise) ** 2:
        return 1.0
    return float((a * b).mean() / max(np.sqrt(energy * other_energy), 1e-12))

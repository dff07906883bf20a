"""The sky: nothing stands behind the haze there, so nothing is to be found in it.

A network finds something anyway: blotches, and a colour that grows with the haze. So the sky, and whatever else
is flat and as bright as the haze itself, keeps its own texture and colour; what the network may change is its
brightness, as a whole.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.dehaze.atmosphere.ramp import ramp
from streamdehaze.dehaze.guided import box_mean, guided_filter
from streamdehaze.dehaze.kernels import channel_mean
from streamdehaze.frame import FloatArray

_LEVEL, _SURE_LEVEL = 0.7, 0.78
"""Brightness over the airlight's up to which nothing is sky; the second where walls in haze must not pass for it."""
_RANGE = 0.15
"""How far above that everything may be sky."""
_SPREAD, _SPREAD_RANGE = 0.006, 0.02
"""Standard deviation in a window up to which the picture is flat, and how much above it it is not."""
_SURE_SPREAD_RANGE = 0.01
"""The same where towers in haze must not pass for sky."""
_WINDOW, _RADIUS, _EPSILON = 7, 8, 1e-3
_ALIKE = 0.015
"""What differs from the sky next to it by half of this is sky; by three halves, it is not."""
_NEXT = 0.1, 0.3
"""Share of sky in the window around a pixel up to which it is not next to the sky, and from which on it is."""
_UPPER_EDGE = 0.1, 0.4
"""Share of the upper edge up to which what was found is a wall, a lamp or a window, and from which on it is sky."""
_LEAST = 0.5
"""Share of its brightness that the sky keeps at least; networks mostly leave it nearly all, but at times a fifth."""
_UNLIKE, _ALIKE_HAZE = 0.2, 0.1
"""Largest relative difference of a channel from the haze's, where that is known: from the first on nothing is sky."""
_ALL = 0.6, 0.8
"""Share of sky up to which that holds, and from which on it is a picture with nothing in it, as in a fade."""
_SOFT_RADIUS, _SOFT_EPSILON = 16, 4e-4
"""Where a sky gets darker little by little, so does what counts as sky: a threshold would leave its contour in it."""
_LONG_SIDE = 256
"""Pixels of the long side of the picture that these suit."""


def sky_of(luma: FloatArray, airlight: float, level: float = _LEVEL, spread_range: float = _SPREAD_RANGE) -> FloatArray:
    """How much each pixel is sky, (rows, columns) in [0, 1]: flat, bright as the airlight, connected to the upper edge.

    Args:
        luma: (rows, columns) of a picture whose haze is grey, best of a long side of about 256 pixels.
        airlight: brightness of its haze.
        level: brightness over the airlight's up to which nothing is sky.
        spread_range: how much above `_SPREAD` the standard deviation of what is flat does not come.
    """
    mean = box_mean(luma, _WINDOW)
    spread = np.sqrt(np.maximum(box_mean(luma * luma, _WINDOW) - mean * mean, 0))
    bright = np.clip((luma / airlight - level) / _RANGE, 0, 1)
    flat = np.clip(1 - (spread - _SPREAD) / spread_range, 0, 1)
    # A facade may be as flat and as bright as the sky, but it does not reach the upper edge without interruption.
    found = bright * flat
    count, regions = cv2.connectedComponents((found > 0.25).astype(np.uint8), connectivity=4)
    at_top = np.zeros(count, np.float32)
    at_top[regions[: max(1, len(regions) // 24)]] = 1
    at_top[0] = 0  # what is not a region
    if not at_top.any():
        return np.zeros_like(luma)
    found = found * at_top[regions]
    return np.clip(guided_filter(luma, found, _RADIUS, _EPSILON), 0, 1)


def find_sky(hazy: FloatArray, airlight: float, known: float = 0.0) -> FloatArray:
    """How much each pixel is sky, (rows, columns) in [0, 1]; 0 everywhere if too little reaches the upper edge.

    Args:
        hazy: (3, rows, columns) in [0, 1], its haze grey.
        airlight: brightness of the haze.
        known: how sure the haze's colour is, 0 to 1: where 1, what is brighter or of another colour is no sky, as a
            bright one behind dark smoke.
    """
    luma = channel_mean(hazy)
    scale = _LONG_SIDE / max(luma.shape)
    small = luma if scale >= 1 else cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sky = _whole_sky(np.asarray(small, np.float32), airlight)
    if scale < 1:
        sky = np.asarray(cv2.resize(sky, luma.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    if known > 0:
        differs = np.asarray(np.abs(hazy / np.float32(airlight) - 1).max(axis=0), np.float32)
        sky = sky * (1 - np.float32(known) * (1 - ramp(differs, _UNLIKE, _ALIKE_HAZE)))
    return sky


def keep_sky(hazy: FloatArray, answer: FloatArray, sky: FloatArray) -> FloatArray:
    """The network's answer, but the sky as it was seen, at the brightness that the answer gives it on average.

    Args:
        hazy: the picture that the network saw, (3, rows, columns) in [0, 1].
        answer: the network's, of the same shape.
        sky: as `find_sky` has it.
    """
    luma = channel_mean(hazy)
    light = float((sky * luma).sum())
    if light == 0:
        return answer
    least = _LEAST * (1 - ramp(float(sky.mean()), *_ALL))
    ratio = max(least, float((sky * channel_mean(answer)).sum()) / light)
    kept: FloatArray = answer + sky * (np.float32(ratio) * hazy - answer)
    return kept


def neutral_sky(clear: FloatArray, sky: FloatArray, share: float) -> FloatArray:
    """A picture (3, rows, columns) whose sky has lost a share of its tint, not of its light; `sky` as in `keep_sky`."""
    light = (clear * sky).sum(axis=(1, 2))
    if light.min() <= 0:
        return clear
    factors = (light.mean() / light)[:, None, None]
    neutral: FloatArray = clear * (1 + np.float32(share) * sky * (factors - 1))
    return neutral


def _whole_sky(luma: FloatArray, airlight: float) -> FloatArray:
    """The sky right up to what stands before it: no window there is flat, but its pixels are like those farther off."""
    sky = sky_of(luma, airlight, _SURE_LEVEL, _SURE_SPREAD_RANGE)
    edge = ramp(float(sky[: max(1, len(sky) // 24)].mean()), *_UPPER_EDGE)
    if edge == 0:
        return np.zeros_like(luma)
    around = box_mean(sky, _RADIUS)
    level = box_mean(sky * luma, _RADIUS) / np.maximum(around, 1e-3)
    alike = np.clip(1.5 - np.abs(luma - level) / _ALIKE, 0, 1)
    whole: FloatArray = np.maximum(sky, alike * ramp(around, *_NEXT)) * np.float32(edge)
    return np.clip(guided_filter(luma, whole, _SOFT_RADIUS, _SOFT_EPSILON), 0, 1)

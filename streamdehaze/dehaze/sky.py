"""The sky: nothing stands behind the haze there, so nothing is to be found in it.

A network finds something all the same: blotches, and a colour that grows with the haze. So the sky, and whatever else
is flat and as bright as the haze itself, keeps its own texture and colour; what the network may change is its
brightness, as a whole.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.dehaze.guided import box_mean, guided_filter
from streamdehaze.frame import FloatArray

_LEVEL, _SURE_LEVEL = 0.7, 0.78
"""Brightness over the airlight's up to which nothing is sky; the second where walls in haze must not pass for it."""
_RANGE = 0.15
"""How far above that everything may be sky."""
_SPREAD, _SPREAD_RANGE = 0.006, 0.02
"""Standard deviation in a window up to which the picture is flat, and how much above it it is not."""
_WINDOW, _RADIUS, _EPSILON = 7, 8, 1e-3
_LONG_SIDE = 256
"""Pixels of the long side of the picture that these suit."""


def sky_of(luma: FloatArray, airlight: float, level: float = _LEVEL) -> FloatArray:
    """How much each pixel is sky, (rows, columns) in [0, 1]: flat, bright as the airlight, connected to the upper edge.

    Args:
        luma: (rows, columns) of a picture whose haze is grey, best of a long side of about 256 pixels.
        airlight: brightness of its haze.
        level: brightness over the airlight's up to which nothing is sky.
    """
    mean = box_mean(luma, _WINDOW)
    spread = np.sqrt(np.maximum(box_mean(luma * luma, _WINDOW) - mean * mean, 0))
    bright = np.clip((luma / airlight - level) / _RANGE, 0, 1)
    flat = np.clip(1 - (spread - _SPREAD) / _SPREAD_RANGE, 0, 1)
    # A facade may be as flat and as bright as the sky, but it does not reach the upper edge without interruption.
    found = bright * flat
    count, regions = cv2.connectedComponents((found > 0.25).astype(np.uint8), connectivity=4)
    at_top = np.zeros(count, np.float32)
    at_top[regions[: max(1, len(regions) // 24)]] = 1
    at_top[0] = 0  # what is no region
    found = found * at_top[regions]
    return np.clip(guided_filter(luma, found, _RADIUS, _EPSILON), 0, 1)


def keep_sky(hazy: FloatArray, answer: FloatArray, airlight: float) -> FloatArray:
    """The network's answer, but the sky as it was seen, at the brightness that the answer gives it on average.

    Args:
        hazy: the picture that the network saw, (3, rows, columns) in [0, 1], its haze grey.
        answer: the network's, of the same shape.
        airlight: brightness of the haze.
    """
    luma = hazy.mean(axis=0, dtype=np.float32)
    scale = _LONG_SIDE / max(luma.shape)
    small = luma if scale >= 1 else cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sky = sky_of(np.asarray(small, np.float32), airlight, _SURE_LEVEL)
    if scale < 1:
        sky = np.asarray(cv2.resize(sky, luma.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    light = float((sky * luma).sum())
    if light == 0:
        return answer
    ratio = float((sky * answer.mean(axis=0)).sum()) / light
    kept: FloatArray = answer + sky * (np.float32(ratio) * hazy - answer)
    return kept

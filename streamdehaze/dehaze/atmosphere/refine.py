"""Halos and blotches: what a network changes where the hazy picture gives it no reason to.

Around a dark thing in fog a network darkens the fog as well, and on an even wall it sees clouds. But what looks alike
in the haze, side by side, is alike: there the answer follows the hazy picture, ``J ≈ a·I + b`` in windows wide enough
to reach past the halo (guided filter; He, Sun & Tang, PAMI 2013). Where a small window has texture of its own the
network's answer stays.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.dehaze.guided import box_mean
from streamdehaze.frame import FloatArray

_RADIUS = 12
"""The picture's long side, in units of half the wide window's side."""
_EPSILON = 1e-4
"""Variance in the wide window below which the answer becomes even."""
_TEXTURE = 1e-4
"""Variance in a window of 3 x 3 pixels from which on the answer stays."""


def without_halos(hazy: FloatArray, answer: FloatArray) -> FloatArray:
    """The network's answer, smoothed where the hazy picture has no texture.

    Args:
        hazy: the picture that the network saw, (3, rows, columns) in [0, 1], its haze grey.
        answer: the network's, of the same shape.
    """
    # The channels side by side in memory: OpenCV takes them in one call.
    I, J = (np.asarray(cv2.merge([*picture]), np.float32) for picture in (hazy, answer))
    rows, columns = I.shape[:2]
    # What is even needs no more than every second pixel (He & Sun, "Fast Guided Filter", arXiv 1505.00996).
    half = (columns + 1) // 2, (rows + 1) // 2
    # Halving three channels in one call takes OpenCV more than twice as long as each on its own.
    halves = ([cv2.resize(x, half, interpolation=cv2.INTER_AREA) for x in picture] for picture in (hazy, answer))
    half_I, half_J = (np.asarray(cv2.merge(channels), np.float32) for channels in halves)
    radius = max(rows, columns) // (2 * _RADIUS)
    mean_I, mean_J = box_mean(half_I, radius), box_mean(half_J, radius)
    variance = np.maximum(box_mean(half_I * half_I, radius) - mean_I * mean_I, 0)
    a = np.asarray((box_mean(half_I * half_J, radius) - mean_I * mean_J) / (variance + _EPSILON), np.float32)
    gain, offset = (
        np.asarray(cv2.resize(box_mean(x, radius), (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
        for x in (a, mean_J - a * mean_I)
    )
    even = gain * I + offset
    small = box_mean(I, 1)
    texture = np.maximum(box_mean(I * I, 1) - small * small, 0)
    even += texture / (texture + _TEXTURE) * (J - even)
    return np.ascontiguousarray(even.transpose(2, 0, 1), np.float32)

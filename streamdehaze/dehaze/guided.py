"""The guided filter (He, Sun & Tang, "Guided Image Filtering", PAMI 2013)."""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.frame import FloatArray

_THIRDS = np.full(3, 1 / 3, np.float32)


def guided_filter(guide: FloatArray, values: FloatArray, radius: int, epsilon: float) -> FloatArray:
    """Values, smoothed where `guide` is smooth; both (rows, columns).

    Args:
        guide: whose edges stay; `values` itself keeps its own.
        values: what is filtered.
        radius: half of the window's side, pixels.
        epsilon: variance of the guide in a window below which it counts as smooth.
    """
    mean_I, mean_II = box_mean(guide, radius), box_mean(guide * guide, radius)
    if values is guide:
        mean_p, mean_Ip = mean_I, mean_II
    else:
        mean_p, mean_Ip = box_mean(values, radius), box_mean(guide * values, radius)
    a = (mean_Ip - mean_I * mean_p) / (mean_II - mean_I**2 + epsilon)
    filtered: FloatArray = box_mean(a, radius) * guide + box_mean(mean_p - a * mean_I, radius)
    return filtered


def box_mean(x: FloatArray, radius: int) -> FloatArray:
    """The mean in a window around each pixel, mirrored at the borders; x is (rows, columns) or (rows, columns,
    channels)."""
    if radius == 1:  # in two thirds of the time of the general filter
        return np.asarray(cv2.sepFilter2D(x, cv2.CV_32F, _THIRDS, _THIRDS, borderType=cv2.BORDER_REFLECT), np.float32)
    side = 2 * radius + 1
    return np.asarray(cv2.blur(x, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

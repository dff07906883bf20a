"""What NumPy does as well, in a fraction of its time."""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.frame import FloatArray


def median(values: FloatArray) -> float:
    """As `np.median`; NumPy finds one rank with vector instructions, but not two at once."""
    flat = values.ravel()
    middle = flat.size // 2
    parted = np.partition(flat, middle)
    upper = parted[middle]
    return float(upper if flat.size % 2 else (parted[:middle].max() + upper) / 2)


def channel_mean(picture: FloatArray) -> FloatArray:
    """As ``picture.mean(axis=0)``, bit for bit, of few channels (n, rows, columns)."""
    total: FloatArray = picture[0].copy()
    for channel in picture[1:]:
        total += channel
    total /= np.float32(len(picture))
    return total


def log(x: FloatArray) -> FloatArray:
    """The natural logarithm, within 1e-6 of `np.log`'s."""
    return np.asarray(cv2.log(x.reshape(-1, x.shape[-1])), np.float32).reshape(x.shape)


def exp(x: FloatArray) -> FloatArray:
    """e to the power of x, within a millionth of `np.exp`'s."""
    return np.asarray(cv2.exp(x.reshape(-1, x.shape[-1])), np.float32).reshape(x.shape)

"""What haze of a known colour lets through: the least transmission with which the scene's light is possible at all.

A network learns from bright grey haze, and takes dark smoke for a dim day. Where the airlight A is known, physics alone
tells more: the scene's own light ``J = (I − A)/t + A`` is neither negative nor brighter than the brightest surface, and
that bounds t from below. The farther a pixel is from A, to either side, the more of its light is the scene's. In most
small windows something comes near a bound, so the largest bound of a window is a good estimate of its t: Meng et al.,
"Efficient Image Dehazing with Boundary Constraint and Contextual Regularization" (ICCV 2013), here with a guided filter
in place of their regularization.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.dehaze.atmosphere.airlight import Airlight
from streamdehaze.dehaze.atmosphere.ramp import ramp
from streamdehaze.dehaze.guided import guided_filter
from streamdehaze.dehaze.kernels import channel_mean
from streamdehaze.frame import FloatArray

_LEAST = 0.15
"""Transmission below which noise would grow more than the scene."""
_CAUTION = np.float32(0.9)
"""Power of the bound: windows where nothing comes near it, and a colour a little off, make it too small."""
_WINDOW, _RADIUS, _EPSILON = 13, 9, 1e-3
_LONG_SIDE = 256
"""Pixels of the long side of the picture that these suit."""
_WHITE, _OVER = 99.9, 1.25
"""Percentile of the brightest channel, and how much brighter the brightest surface is than that through the haze."""
_DARK, _BRIGHT = 0.5, 0.7
"""Brightness of the airlight up to which the network does not help, and from which on it does."""
_GREY, _TINTED = 0.05, 0.15
"""Tint (see `Airlight.tint`) up to which it is, and from which on it is not."""


def unlike_fog(airlight: Airlight) -> float:
    """How little haze of a known colour has in common with what networks learn from, 0 (bright and grey) to 1."""
    if not airlight.given:
        return 0.0
    return max(ramp(float(airlight.color.mean()), _BRIGHT, _DARK), ramp(airlight.tint, _GREY, _TINTED))


def clear_picture(hazy: FloatArray, airlight: Airlight) -> FloatArray:
    """The scene's own light, RGB (3, rows, columns), not below 0.

    Args:
        hazy: RGB (3, rows, columns) in [0, 1].
        airlight: its colour must be known.
    """
    A = airlight.color[:, None, None]
    white = np.maximum(min(1.0, _OVER * float(np.percentile(hazy.max(axis=0), _WHITE))), A + 0.1)
    bound = np.maximum((A - hazy) / A, (hazy - A) / (white - A)).max(axis=0)
    scale = max(bound.shape) / _LONG_SIDE
    side = 2 * round(_WINDOW * scale / 2) + 1
    most = cv2.dilate(np.clip(bound, 0, 1) ** _CAUTION, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REFLECT)
    luma = channel_mean(hazy)
    t = guided_filter(luma, np.asarray(most, np.float32), max(1, round(_RADIUS * scale)), _EPSILON)
    return np.asarray(np.maximum((hazy - A) / np.clip(t, _LEAST, 1) + A, 0), np.float32)

"""Brightness: what haze scattered into the lens is gone from the clear picture, and with it most of its light.

A dehazed picture is darker than the hazy one, rightly so; but on a grey motorway the road sinks into black. So the
clear small picture goes through a power, ``J^γ`` with γ ≤ 1, that gives it almost the hazy picture's brightness. It
maps [0, 1] onto itself, so nothing is clipped. No pixel becomes much brighter than it was in the haze: what stands near
and had no haze keeps its black.

A power below 1 takes contrast from what it brightens, and with it half of what dehazing has gained in the distance. So
only the picture's base goes through it, and its detail is kept (Durand & Dorsey, "Fast Bilateral Filtering for the
Display of High-Dynamic-Range Images", SIGGRAPH 2002; here the base comes from a guided filter). All of it is done
before the maps are fitted, and costs nothing at full size.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.guided import box_mean, guided_filter
from streamdehaze.dehaze.kernels import channel_mean, exp, log, median
from streamdehaze.frame import FloatArray

BrightnessMode = Literal["keep", "natural"]
BRIGHTNESS_MODES: tuple[BrightnessMode, ...] = ("keep", "natural")

_KEPT = 0.9
"""Share of the hazy picture's brightness that the clear one gets."""
_LEAST_EXPONENT = 0.5
"""No picture is brightened more than by this power."""
_BRIGHTER = np.float32(1.25)
"""No pixel becomes brighter than this times what it was in the haze."""
_EDGE = 0.075
"""Standard deviation of the luma in a window: much below it there is only detail, much above it an edge."""
_DETAIL = np.float32(np.log(2))
"""Detail differs from its base by at most this, as a logarithm."""
_DARKEST = 0.02
_BLACK, _WHITE = np.float32(1e-3), np.float32(0.999)
"""Between these, a logarithm is finite and not 0."""


def exponent(hazy: FloatArray, clear: FloatArray, scene: npt.NDArray[np.bool_] | None = None) -> float:
    """γ that brings the clear picture's brightness back to the hazy one's, 0.5 to 1.

    Brightness is the mean of the median and the geometric mean of the luma: the first alone is the sky's where half of
    the picture is sky, the second alone that of the shadows.

    Args:
        hazy, clear: (3, rows, columns) in [0, 1].
        scene: (rows, columns), False where the frame is covered.
    """
    logs = []
    for picture in (hazy, clear):
        luma = np.maximum(channel_mean(picture), _DARKEST)
        light = log(luma if scene is None else luma[scene])
        logs.append(float((median(light) + light.mean()) / 2))
    before, after = logs
    if after > -1e-3:
        return 1.0
    return float(np.clip((before + np.log(_KEPT)) / after, _LEAST_EXPONENT, 1))


def brighten(clear: FloatArray, hazy: FloatArray, gamma: float) -> FloatArray:
    """``clear ** g``, with the detail of `clear`; g is `gamma`, or nearer to 1 where that would be too bright.

    Args:
        clear, hazy: (3, rows, columns) in [0, 1].
        gamma: as `exponent` finds it.
    """
    if gamma == 1:
        return clear
    clear = np.clip(clear, 0, 1)
    logs = _log(clear)
    luma = channel_mean(clear)
    log_luma = _log(luma)
    power = np.clip(_log(channel_mean(hazy) * _BRIGHTER) / log_luma, np.float32(gamma), np.float32(1))
    power = box_mean(power, 1)
    base = guided_filter(luma, luma, max(luma.shape) // 32, _EDGE**2)
    detail = np.clip(log_luma - _log(base), -_DETAIL, _DETAIL)
    # Half of the power bounds it: what stands out from its surroundings does not leave [0, 1] either.
    factor = exp(np.minimum((1 - power) * (detail - logs), (power / 2 - 1) * logs))
    return np.asarray(np.minimum(clear * factor, 1), np.float32)


def _log(x: FloatArray) -> FloatArray:
    return log(np.clip(x, _BLACK, _WHITE))

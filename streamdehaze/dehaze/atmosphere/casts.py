"""Casts: colour that a network sees where the haze leaves nothing of it to be seen.

Little of the scene's light comes through thick haze, and what comes is dark. There a network guesses colours, and the
tone curve makes the dark guesses bright: violet ground, teal towers. But haze takes the same share from every colour,
so the clear picture's chroma is the hazy one's, ``C = k·R``, with one k for all channels of a window; and R is known
only as well as the colour of the airlight, which is not quite the same all over a picture. So chroma grows as far as R
stands out from that, and where R stands out clearly it is R's own that grows, not what the network made of it.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.dehaze.guided import box_mean
from streamdehaze.dehaze.kernels import channel_mean
from streamdehaze.frame import FloatArray

_RADIUS = 32
"""The picture's long side, in units of half the window's side."""
_UNEVEN = 0.05
"""Chroma of the airlight, relative to its brightness, that may be none of the scene's: it does not grow."""
_OTHER_LIGHT = 0.3
"""The same where the haze is lit differently from the sky's, as under a blue one: much below it, R has the haze's hue,
and that of the network's answer is nearer to the scene's."""
_NONE = 1e-7
"""Square of a chroma that counts as none."""


def without_casts(hazy: FloatArray, clear: FloatArray, airlight: FloatArray) -> FloatArray:
    """The clear picture, its chroma no larger than the hazy picture's gives reason to; its luma stays.

    Args:
        hazy: (3, rows, columns) in [0, 1], with the tint that the clear picture is to have.
        clear: of the same shape.
        airlight: brightness of the light that each pixel gets from the haze, (rows, columns).
    """
    grey = channel_mean(clear)
    R, C = hazy - channel_mean(hazy), clear - grey
    # What is found in wide windows needs no more than every second pixel.
    some_R, some_C, light = (np.ascontiguousarray(x[..., ::2, ::2]) for x in (R, C, airlight))
    radius = max(1, max(grey.shape) // (2 * _RADIUS))
    seen, made, both = (
        box_mean(np.einsum("cyx,cyx->yx", one, other), radius)
        for one, other in ((some_R, some_R), (some_C, some_C), (some_R, some_C))
    )
    seen, made, unsure = seen + _NONE, made + _NONE, light * light
    grown = np.maximum(np.sqrt(made / seen), 1)
    kept = (1 + (grown - 1) * seen / (seen + _UNEVEN**2 * unsure)) / grown
    own = kept * seen / (seen + _OTHER_LIGHT**2 * unsure)
    for chroma, share in ((R, own * both / seen), (C, kept - own)):
        share = box_mean(np.asarray(share, np.float32), radius)
        chroma *= cv2.resize(share, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    R += C
    R += grey
    return R

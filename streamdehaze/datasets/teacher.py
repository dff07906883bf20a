"""A physical estimate of the clear picture, as a target for real haze that has no truth.

The dark channel prior (He, Sun & Tang, CVPR 2009): in a small window of a clear outdoor picture some pixel has almost
no light in some channel, so what light is there is haze. It fails where that does not hold, in skies and on white
things, and it makes noise of what is deep in the haze. So:

- the darkest channel is *opened* (eroded, then dilated) rather than eroded, which removes what is bright and small and
  keeps the outlines of what is dark: the usual halo around people and poles does not arise;
- transmission follows the picture's edges by a guided filter (He, Sun & Tang, PAMI 2013);
- where the picture is flat and as bright as the airlight, nothing stands behind the haze: sky stays as it is;
- where little light arrives, noise is smoothed away before it is amplified.

A network trained on these targets among pairs with a truth outdoes the teacher: it learns from the pairs what is white
and what is hazy.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.look import Picture
from streamdehaze.dehaze.atmosphere.sky import sky_of
from streamdehaze.dehaze.guided import guided_filter

Map = npt.NDArray[np.float32]
"""(H, W)."""

STRENGTH = 0.95
"""ω: share of the haze that is removed; a trace of it tells what is far."""
LEAST_TRANSMISSION = 0.1
_CHROMA = 0.75
"""Exponent of the gain for colour differences."""
_WINDOW, _RADIUS, _EPSILON = 5, 8, 4e-4


def transmission(balanced: Picture, airlight: float) -> Map:
    """t, (H, W), of a picture of long side about 256 whose haze is grey; 1 in the sky.

    Args:
        balanced: the hazy picture, balanced by its airlight (`streamdehaze.dehaze.atmosphere.airlight`).
        airlight: its brightness.
    """
    luma = balanced.mean(axis=2)
    dark = np.clip(balanced.min(axis=2) / airlight, 0, 1)
    opened = cv2.morphologyEx(
        dark, cv2.MORPH_OPEN, np.ones((_WINDOW, _WINDOW), np.uint8), borderType=cv2.BORDER_REFLECT
    )
    t = np.clip(guided_filter(luma, 1 - STRENGTH * np.asarray(opened), _RADIUS, _EPSILON), LEAST_TRANSMISSION, 1)
    sky = sky_of(luma, airlight)
    blended: Map = t * (1 - sky) + sky
    return blended


def clear_picture(balanced: Picture, airlight: float) -> Picture:
    """The clear picture of a balanced one, (H, W, 3) in [0, 1]."""
    t = transmission(balanced, airlight)[..., None]
    smooth = _without_noise(balanced)
    share = np.clip((0.5 - t) / 0.3, 0, 1)
    quiet = balanced + share * (smooth - balanced)
    gain = 1 / t
    luma = quiet.mean(axis=2, keepdims=True)
    # Colour grows less than brightness: where the estimate removes too much, the picture turns dark but not garish.
    clear: Picture = (luma - airlight) * gain + airlight + (quiet - luma) * gain**_CHROMA
    return np.clip(clear, 0, 1, out=clear)


def _without_noise(picture: Picture) -> Picture:
    """The picture smoothed where it varies by no more than its own noise."""
    luma = picture.mean(axis=2)
    # Median absolute response to a second difference, as of white noise (Immerkær 1996, made robust).
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    noise = float(np.median(np.abs(cv2.filter2D(luma, -1, kernel)))) / 0.6745 / 6
    epsilon = max(1.5 * noise, 0.002) ** 2
    channels = [guided_filter(luma, picture[..., c], 2, epsilon) for c in range(3)]
    return np.stack(channels, axis=2)

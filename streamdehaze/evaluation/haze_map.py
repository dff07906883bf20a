"""Where a hazy picture is hazy, by a physical estimate: what the measures without ground truth look at."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.picture import shrink, to_float
from streamdehaze.datasets.teacher import transmission
from streamdehaze.dehaze.atmosphere.airlight import darkest, estimate_airlight
from streamdehaze.dehaze.atmosphere.sky import sky_of
from streamdehaze.dehaze.guided import box_mean

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

LONG_SIDE = 256
"""Pixels of the shrunken picture that the estimate is made on."""
FAR_BAND = 0.1, 0.5
"""Transmission of what is far: hazy, but not lost."""
_HAZIEST = 0.1
"""Share of the pixels that are the haziest."""
_SKY = 0.9
"""How much a pixel must be sky to be measured as such."""


@dataclass(frozen=True)
class HazeMap:
    """Parts of a hazy picture, (H, W) each."""

    far: Mask
    """Transmission in `FAR_BAND`, and no sky."""
    haziest: Mask
    """The tenth of the pixels whose darkest channel is nearest to the airlight, sky included."""
    sky: Mask
    """Flat, and as bright as the airlight."""


def map_haze(hazy: Bytes) -> HazeMap:
    """The parts of a hazy picture, (H, W, 3) RGB, by `streamdehaze.datasets.teacher` on a shrunken copy."""
    height, width = hazy.shape[:2]
    small = to_float(shrink(hazy, LONG_SIDE))
    rgb = np.ascontiguousarray(small.transpose(2, 0, 1))
    airlight = estimate_airlight(rgb)
    balanced = np.clip(small * airlight.balance, 0, 1)
    t = transmission(balanced, airlight.brightness)
    sky = sky_of(balanced.mean(axis=2), airlight.brightness)
    dark = box_mean(darkest(np.asarray(rgb / airlight.color[:, None, None], np.float32)), 2).ravel()
    haziest = np.zeros(dark.size, np.float32)
    count = max(1, round(_HAZIEST * dark.size))
    haziest[np.argpartition(dark, -count)[-count:]] = 1

    def enlarged(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    large_t = enlarged(t)
    is_sky = enlarged(sky)
    far = (large_t >= FAR_BAND[0]) & (large_t <= FAR_BAND[1]) & (is_sky < 1 - _SKY)
    return HazeMap(far, enlarged(haziest.reshape(t.shape)) > 0.5, is_sky > _SKY)

"""What dehazing does to a picture other than making it clear: measures that need no ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.picture import grey_of, shrink, to_float
from streamdehaze.evaluation.halo import halo
from streamdehaze.evaluation.haze_map import LONG_SIDE, HazeMap, Mask

Bytes = npt.NDArray[np.uint8]

NEAR_BLACK = 16
"""Level that all channels of a pixel are below if it is near-black."""
CLIPPED = 255
"""Level that a channel of a clipped pixel has."""
_LEAST_SPREAD, _LEAST_CHROMA = 0.5, 1.0
"""Levels of luma and units of CIELAB that count as none: what is divided by is never less."""
_FEWEST = 0.01
"""Share of the picture that a sky must have to be measured."""


@dataclass(frozen=True)
class Appearance:
    """A picture after dehazing against itself before; (0, 0, 1 or None) where it is unchanged."""

    brightness: float
    """Mean luma after / before; near 1 is natural."""
    near_black: float
    """Share of the pixels that became near-black, less those that ceased to be; near 0 is better."""
    clipped: float
    """The same for pixels with a channel at its end."""
    chroma: float
    """Mean CIELAB chroma of the haziest tenth of the pixels after / before; haze's own colour should not grow."""
    sky: float | None
    """Standard deviation of the sky's luma after / before, at most 1 is better; None without sky."""
    halo: float | None
    """Overshoot along strong edges (`streamdehaze.evaluation.halo`), near 0 is better; None without such edges."""


def appearance(hazy: Bytes, result: Bytes, haze: HazeMap) -> Appearance:
    """Compare a picture before and after, both (H, W, 3) RGB.

    Args:
        hazy, result: the two.
        haze: of the hazy picture.
    """
    before, after = (grey_of(p).astype(np.float32) for p in (hazy, result))
    sky = None
    if haze.sky.mean() >= _FEWEST:
        sky = float(after[haze.sky].std()) / max(float(before[haze.sky].std()), _LEAST_SPREAD)
    return Appearance(
        brightness=float(after.mean()) / max(float(before.mean()), 1.0),
        near_black=_near_black(result) - _near_black(hazy),
        clipped=_clipped(result) - _clipped(hazy),
        chroma=chroma(result, haze.haziest) / max(chroma(hazy, haze.haziest), _LEAST_CHROMA),
        sky=sky,
        halo=halo(hazy, result),
    )


def chroma(picture: Bytes, where: Mask) -> float:
    """Mean CIELAB chroma √(a² + b²) of some pixels of an (H, W, 3) sRGB picture, shrunk first: noise has no colour."""
    small = to_float(shrink(picture, LONG_SIDE))
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    size = (small.shape[1], small.shape[0])
    share = cv2.resize(where.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    chosen = share > 0.5
    if not chosen.any():
        chosen = share >= share.max()
    return float(np.hypot(lab[..., 1], lab[..., 2])[chosen].mean())


def _near_black(picture: Bytes) -> float:
    return float((picture.max(axis=2) < NEAR_BLACK).mean())


def _clipped(picture: Bytes) -> float:
    return float((picture.max(axis=2) >= CLIPPED).mean())

"""What counts as clear: the tone of a clear picture before haze is laid over it.

Photos carry a veil of their own. A network trained to restore them as they are learns to leave that veil, so most
pictures have their black point stretched first; what remains (contrast, gamma, cast) is varied widely.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from streamdehaze.toml import Table

Picture = npt.NDArray[np.float32]
"""(H, W, 3) RGB in [0, 1]."""
Share = Annotated[float, Field(ge=0, le=1)]
"""The part of all pictures that something happens to."""


def in_order(ends: tuple[float, float]) -> tuple[float, float]:
    """The ends of a range; a ValueError if the first is not the lower one."""
    if ends[0] > ends[1]:
        raise ValueError(f"the lowest value comes first, not {ends[0]:g} before {ends[1]:g}")
    return ends


_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Percent = Annotated[float, Field(ge=0, le=100)]
Range = Annotated[tuple[_NotNegative, _NotNegative], AfterValidator(in_order)]
"""Lowest and highest value of an even draw."""
Shares = Annotated[tuple[Share, Share], AfterValidator(in_order)]
_Percents = Annotated[tuple[_Percent, _Percent], AfterValidator(in_order)]
_Positives = Annotated[tuple[_Positive, _Positive], AfterValidator(in_order)]


class LookConfig(Table):
    """How the tone of clear pictures varies."""

    black_point: Share = 0.9
    """Share whose darkest channel is stretched until `black_percentile` of it is black."""
    black_percentile: _Percents = (0.5, 5.0)
    """Percent of pixels that may become black."""
    white_point: Share = 0.5
    """Share whose brightest channel is stretched until `white_percentile` of it is white."""
    white_percentile: _Percents = (0.2, 3.0)
    """Percent of pixels that may become white."""
    gamma: _Positives = (0.8, 1.8)
    """Exponent of the tone curve, drawn evenly in its logarithm."""
    gain: Range = (0.85, 1.1)
    """Exposure, after the stretches."""
    cast: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Largest relative colour cast of a channel."""


def vary_look(picture: Picture, config: LookConfig, rng: np.random.Generator) -> Picture:
    """A clear picture of another tone.

    Args:
        picture: (H, W, 3) RGB in [0, 1].
        config: what varies, and how much.
        rng: decides; the same state gives the same picture.

    Returns:
        (H, W, 3) RGB in [0, 1].
    """
    gamma = np.exp(rng.uniform(*np.log(config.gamma)))
    cast = 1 + rng.uniform(-config.cast, config.cast, 3)
    stretch_black, black_percent = rng.random() < config.black_point, rng.uniform(*config.black_percentile)
    stretch_white, white_percent = rng.random() < config.white_point, rng.uniform(*config.white_percentile)
    gain = rng.uniform(*config.gain)

    picture = np.power(picture, np.float32(gamma)) * cast.astype(np.float32)
    # Channel by channel: numpy's own reduction over an axis of three is ten times slower.
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    black, white = 0.0, 1.0
    if stretch_black:
        black = float(np.percentile(np.minimum(np.minimum(red, green), blue), black_percent))
    if stretch_white:
        white = float(np.percentile(np.maximum(np.maximum(red, green), blue), 100 - white_percent))
    # A picture of one tone has nothing to stretch: dividing by its range would only raise its noise.
    scale = gain / max(white - black, 0.25)
    varied: Picture = np.clip((picture - np.float32(black)) * np.float32(scale), 0, 1)
    return varied

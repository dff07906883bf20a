"""Where in the frame haze is removed: a mask, and limits by how much light arrives from there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamdehaze.control.mask import Mask
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Family, Frame

if TYPE_CHECKING:
    from streamdehaze.dehaze.affine import AffineMaps

_SOFT = 0.1
"""Transmission over which a limit fades."""


@dataclass(frozen=True)
class Place:
    """Where in a frame its maps apply.

    Transmission is what the maps themselves say, ``1 / gain`` of the luma, smoothed.
    """

    mask: Mask | None = None
    near: float | None = None
    """What more than this share of its light arrives from is left as it is."""
    far: float | None = None
    """What less than this share of its light arrives from is left as it is."""

    def check(self) -> None:
        """Check the limits.

        Raises:
            ConfigError: if they are out of range, or leave nothing.
        """
        for name, value in (("near", self.near), ("far", self.far)):
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} is a share of the light and must lie between 0 and 1, not {value}")
        if self.near is not None and self.far is not None and self.near <= self.far:
            raise ConfigError(f"near ({self.near:g}) must be above far ({self.far:g}): more light arrives from near")

    def at(self, frame: Frame) -> Place:
        """What applies to one frame.

        Raises:
            ConfigError: if the mask has another shape, or ends before.
        """
        if self.mask is None:
            return self
        self.mask.check_shape(frame.width, frame.height)
        return replace(self, mask=self.mask.at(frame.seconds))

    def limit(self, maps: AffineMaps, family: Family) -> AffineMaps:
        """The maps where they apply, and nothing (gain 1, offset 0) where they do not."""
        shape = maps.gain.shape[1:]
        weight = np.ones(shape, np.float32)
        if self.mask is not None:
            weight = np.asarray(cv2.resize(self.mask.weight, shape[::-1], interpolation=cv2.INTER_AREA))
        if self.near is not None or self.far is not None:
            gain = maps.gain.mean(axis=0) if family == "rgb" else maps.gain[0]
            side = 2 * (max(shape) // 64) + 1
            smooth = np.asarray(cv2.blur(np.maximum(gain, 1), (side, side), borderType=cv2.BORDER_REFLECT))
            t = 1 / smooth
            if self.near is not None:
                weight = weight * np.clip((self.near - t) / _SOFT, 0, 1)
            if self.far is not None:
                weight = weight * np.clip((t - self.far) / _SOFT, 0, 1)
        weight = weight.astype(np.float32)
        return replace(maps, gain=1 + weight * (maps.gain - 1), offset=weight * maps.offset)

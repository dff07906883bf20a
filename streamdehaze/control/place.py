"""Where in the frame haze is removed: a mask, and limits by how much light arrives from there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamdehaze.errors import ConfigError
from streamdehaze.frame import Family, FloatArray

if TYPE_CHECKING:
    from streamdehaze.dehaze.affine import AffineMaps

_SOFT = 0.1
"""Transmission over which a limit fades."""
_SAME_SHAPE = 0.02
"""Largest relative difference between the aspects of a mask and a video."""


class Mask(str):
    """How much of the strength applies where: 0 (black) to 1 (white).

    As text it is the file's name and a hash of its content, so that settings that hold a mask can be compared and
    kept as text.
    """

    weight: FloatArray
    """(rows, columns) in [0, 1]."""

    @classmethod
    def read(cls, path: Path) -> Mask:
        """A picture as a mask; of a coloured one its luma.

        Raises:
            ConfigError: if it cannot be read.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"the mask '{path}' cannot be read: {error.strerror or error}") from error
        encoded = np.frombuffer(content, np.uint8)
        samples = None
        if encoded.size:
            samples = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
        if samples is None or samples.dtype not in (np.uint8, np.uint16):
            raise ConfigError(f"the mask '{path}' is not a picture; a PNG in black and white would do")
        mask = cls(f"{path.name} {hashlib.blake2b(content, digest_size=8).hexdigest()}")
        mask.weight = (samples / np.float32(255 if samples.dtype == np.uint8 else 65535)).astype(np.float32)
        return mask


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

    def check_shape(self, width: int, height: int) -> None:
        """Check that the mask fits a frame; it may be larger or smaller.

        Raises:
            ConfigError: if it has another shape.
        """
        if self.mask is None:
            return
        rows, columns = self.mask.weight.shape
        if abs(columns * height / (rows * width) - 1) > _SAME_SHAPE:
            name = self.mask.split()[0]
            raise ConfigError(f"the mask '{name}' is {columns}x{rows} pixels, another shape than {width}x{height}")

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

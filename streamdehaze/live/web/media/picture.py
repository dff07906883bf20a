"""A pair of frames as one picture to look at, plain or as a JPEG."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from streamdehaze.errors import StreamDehazeError
from streamdehaze.live.view import FramePair
from streamdehaze.video.rgb import RgbArray, RgbConverter

Side = Literal["both", "clear", "hazy"]
WIDTHS = (320, 480, 640, 960, 1280, 1920)
"""Pixels a picture is wide; a few, so that viewers share them."""
STREAM_QUALITY, SNAPSHOT_QUALITY = 80, 95
"""JPEG's, of 100."""

_BLOCK = 16
"""Pixels across a JPEG's blocks with halved chroma; a seam on their border keeps both sides clean."""


def width_of(wanted: int) -> int:
    """The smallest of `WIDTHS` that is not below `wanted`, or the largest."""
    return next((offered for offered in WIDTHS if offered >= wanted), WIDTHS[-1])


class PairScaler:
    """Makes one RGB picture of a pair: one of the two, or hazy (left) and clear (right) of the same frame.

    Args:
        side: which.
        width: of one picture in pixels at most, cut to whole blocks; None keeps the frame's own.
    """

    def __init__(self, side: Side, width: int | None = None) -> None:
        self._side, self._width = side, width
        self._size = (0, 0)
        self._convert = RgbConverter()

    def __call__(self, pair: FramePair) -> RgbArray:
        """(height, width or 2 · width, 3) uint8."""
        size = self._scaled(pair.clear.width, pair.clear.height)
        if size != self._size:
            self._size, self._convert = size, RgbConverter(*size)
        frames = {"both": (pair.hazy, pair.clear), "hazy": (pair.hazy,), "clear": (pair.clear,)}[self._side]
        return np.concatenate([self._convert(frame) for frame in frames], axis=1)

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        if self._width is None:
            return width, height
        scaled = max(min(self._width, width) // _BLOCK * _BLOCK, _BLOCK)
        return scaled, max(round(height * scaled / width), 1)


class PictureEncoder:
    """Makes a JPEG of a pair; see `PairScaler`.

    Args:
        side, width: which picture, and how wide.
        quality: JPEG's, 1 to 100.
    """

    def __init__(self, side: Side, width: int | None = None, quality: int = STREAM_QUALITY) -> None:
        self._scale, self._quality = PairScaler(side, width), quality

    def __call__(self, pair: FramePair) -> bytes:
        """The JPEG's bytes."""
        rgb = self._scale(pair)
        encoded, jpeg = cv2.imencode(
            ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, self._quality]
        )
        if not encoded:
            raise StreamDehazeError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} pixels is too large for JPEG")
        return jpeg.tobytes()

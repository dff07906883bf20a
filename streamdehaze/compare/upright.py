"""Pictures turned as players show them: by a video's display matrix or a photo's EXIF orientation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from streamdehaze.frame import Frame
from streamdehaze.video.picture import PictureSource
from streamdehaze.video.protocols import Source
from streamdehaze.video.sidedata import display_matrix

Pixels = npt.NDArray[Any]
Turn = Callable[[Pixels], Pixels]

_ORIENTATION = 0x0112
_BY_ORIENTATION: Mapping[int, Turn] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.rot90(np.fliplr(pixels), 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(np.fliplr(pixels), -1),
    8: lambda pixels: np.rot90(pixels, 1),
}
"""What each value of EXIF's tag asks for (JEITA CP-3451, orientation)."""


def upright(pixels: Pixels, frame: Frame, source: Source) -> Pixels:
    """Pixels (height, width, …) of a `frame` of `source`, turned by quarters and mirrored as players do."""
    if isinstance(source, PictureSource):
        tags = Image.Exif()
        tags.load(source.metadata.exif)
        turn = _BY_ORIENTATION.get(tags.get(_ORIENTATION, 1))
        return np.ascontiguousarray(turn(pixels)) if turn else pixels
    matrix = display_matrix(frame.opaque)
    if matrix is None:
        return pixels
    a, b, _, c, d, *_ = matrix
    if a * d < b * c:  # it mirrors from left to right before it turns
        pixels, a, b = np.fliplr(pixels), -a, -b
    quarters = round(-math.atan2(b, a) / (math.pi / 2))  # as av_display_rotation_get
    return np.ascontiguousarray(np.rot90(pixels, quarters))

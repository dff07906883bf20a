"""Pictures turned as players show them: by a video's display matrix or a photo's EXIF orientation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from streamdehaze.frame import Frame
from streamdehaze.video.picture import PictureSource
from streamdehaze.video.protocols import Source
from streamdehaze.video.sidedata import display_matrix

Pixels = npt.NDArray[Any]


def upright(pixels: Pixels, frame: Frame, source: Source) -> Pixels:
    """Pixels (height, width, …) of a `frame` of `source`, turned by quarters and mirrored as players do."""
    if isinstance(source, PictureSource):
        picture = Image.fromarray(pixels)
        picture.getexif().load(source.metadata.exif)
        return np.asarray(ImageOps.exif_transpose(picture))
    matrix = display_matrix(frame.opaque)
    if matrix is None:
        return pixels
    a, b, _, c, d, *_ = matrix
    if a * d < b * c:  # it mirrors from left to right before it turns
        pixels, a, b = np.fliplr(pixels), -a, -b
    quarters = round(-math.atan2(b, a) / (math.pi / 2))  # as av_display_rotation_get
    return np.ascontiguousarray(np.rot90(pixels, quarters))


def is_turned(frame: Frame, source: Source) -> bool:
    """Whether width and height of a `frame` of `source` change places as it is turned."""
    return len(upright(np.zeros((1, 2, 3), np.uint8), frame, source)) == 2

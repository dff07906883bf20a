"""Reading pictures and depth maps of data sets, whatever their bit depth and channels, and plain conversions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.look import Picture
from streamdehaze.errors import SourceError

PICTURE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".avif",
)  # fmt: skip
"""Extensions that are taken for pictures, in lower case."""
SKY_DEPTH = 1.2
"""Relative depth that stands for the sky; nothing else is as far."""
RELATIVE_DEPTH_SCALE = SKY_DEPTH / 255
"""Distance of one step of an 8-bit depth map; the far end of the scene is at 1."""


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """A picture file as (H, W, 3) RGB; grey is repeated, 16 bit is rounded to 8, alpha is dropped.

    Raises:
        SourceError: if the file is missing, damaged or not a picture.
    """
    pixels = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise SourceError(f"{path} holds {pixels.dtype} pixels; convert it to 8 or 16 bit")
    return np.ascontiguousarray(pixels[..., ::-1])


def read_depth(path: Path) -> npt.NDArray[np.float32]:
    """A depth map as (H, W) distance relative to the far end of the scene.

    8 bit is taken as relative (255 is 1.2 and the sky), 16 bit as millimetres with 0 and 65535 for unknown; unknown
    pixels take the distance of the nearest known one.

    Raises:
        SourceError: if the file is missing, damaged, or knows no distance at all.
    """
    pixels = _decode(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if pixels.dtype == np.uint8:
        relative: npt.NDArray[np.float32] = pixels.astype(np.float32) * np.float32(RELATIVE_DEPTH_SCALE)
        return relative
    known = (pixels > 0) & (pixels < 65535)
    if not known.any():
        raise SourceError(f"{path} holds no known distance")
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    distances = np.zeros(int(nearest.max()) + 1, np.float32)
    distances[nearest[known]] = pixels[known]
    filled: npt.NDArray[np.float32] = distances[nearest]
    filled /= np.percentile(filled, 99.5)
    return filled


def to_float(picture: npt.NDArray[np.uint8]) -> Picture:
    """(H, W, 3) uint8 to float32 in [0, 1]."""
    scaled = picture.astype(np.float32)
    scaled /= 255
    return scaled


def shrink(picture: npt.NDArray[np.uint8], long_side: int) -> npt.NDArray[np.uint8]:
    """A picture of at most this long side in pixels, (H, W) or (H, W, 3)."""
    scale = min(1.0, long_side / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def grey_of(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The luma of an (H, W, 3) RGB picture, (H, W)."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _decode(path: Path, flags: int) -> npt.NDArray[Any]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror})") from error
    pixels = cv2.imdecode(data, flags) if data.size else None
    if pixels is None:
        raise SourceError(f"{path} is damaged or not a picture")
    return np.asarray(pixels)

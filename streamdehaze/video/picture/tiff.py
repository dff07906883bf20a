"""TIFF: its tags, and its pixels at 8 and 16 bits a sample (Pillow reads and writes no 16-bit RGB)."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdehaze.errors import SourceError
from streamdehaze.video.picture.metadata import PictureMetadata

Pixels = npt.NDArray[Any]

_STRIP_BYTES = 1 << 20
_DEFLATE, _HORIZONTAL_DIFFERENCING = 8, 2
_UNASSOCIATED_ALPHA = 2
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2


def refuse_unreadable(image: Any, path: Path) -> None:
    """Check that the first page's samples are what we can keep whole.

    Raises:
        SourceError: for sample types other than whole numbers of 1 to 8 or 16 bits, or if strips lie behind
            the file's end.
    """
    tags = image.tag_v2
    bits = set(tags.get(258, (1,)))
    kinds = set(tags.get(339, (1,)))
    if kinds != {1} or not bits <= {1, 2, 4, 8, 16} or len(bits) > 1:
        what = "floating-point" if 3 in kinds else f"{'/'.join(str(b) for b in sorted(bits))}-bit"
        raise SourceError(f"'{path}' has {what} samples; convert it to 8 or 16 bits a sample first")
    offsets, counts = tags.get(273) or tags.get(324), tags.get(279) or tags.get(325)
    if offsets and counts and max(map(sum, zip(offsets, counts, strict=False))) > path.stat().st_size:
        raise SourceError(f"'{path}' is cut off: the picture's end is missing")


def is_deep(image: Any) -> bool:
    """Whether the samples have 16 bits."""
    return 16 in image.tag_v2.get(258, (1,))


def decode_deep(image: Any, path: Path) -> Pixels:
    """Pixels of the first page of a TIFF of 16 bits a sample: (height, width, channels) of uint16.

    Raises:
        SourceError: if its compression or layout is not supported or its pixel data is damaged.
    """
    import cv2

    samples = int(image.tag_v2.get(277, 1))
    photometric = int(image.tag_v2.get(262, _MIN_IS_BLACK))
    if photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB) or samples not in (1, 3, 4):
        raise SourceError(f"'{path}' is a 16-bit TIFF that is neither gray nor RGB(A); convert it to RGB first")
    decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise SourceError(f"'{path}' is damaged, or compressed in a way that is not supported")
    pixels = decoded.reshape(*decoded.shape[:2], -1)
    if pixels.shape[2] >= 3:
        pixels = pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
    return np.ascontiguousarray(pixels)


def encode(pixels: Pixels, metadata: PictureMetadata) -> bytes:
    """A TIFF file of these pixels at their own depth, Deflate-compressed, with the metadata in its tags.

    Raises:
        ValueError: if the file would pass the 4 GiB of classic TIFF.
    """
    from PIL import TiffImagePlugin

    height, width, channels = pixels.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, (kind, value) in (metadata.tiff_tags or _new_tags(metadata)).items():
        if kind:
            directory.tagtype[tag] = kind
        directory[tag] = value
    rows = max(1, _STRIP_BYTES // (width * channels * pixels.itemsize))
    strips = [_compress(pixels[top : top + rows]) for top in range(0, height, rows)]
    starts = np.cumsum([0] + [len(strip) for strip in strips[:-1]])
    directory[256], directory[257] = width, height
    directory[258] = (pixels.itemsize * 8,) * channels
    directory[259] = _DEFLATE
    directory[262] = _RGB if channels >= 3 else _MIN_IS_BLACK
    directory[277] = channels
    directory[278] = rows
    directory[284] = 1
    directory[317] = _HORIZONTAL_DIFFERENCING
    if channels in (2, 4):
        directory[338] = (_UNASSOCIATED_ALPHA,)
    for tag, values in ((273, starts.tolist()), (279, [len(strip) for strip in strips])):
        directory.tagtype[tag] = 4
        directory[tag] = tuple(values)
    file = io.BytesIO()
    try:
        directory.save(file)
    except struct.error as error:
        raise ValueError("the file would be larger than a TIFF can be") from error
    return b"".join([file.getvalue(), *strips])


def lost(metadata: PictureMetadata) -> list[str]:
    """What a TIFF cannot hold of it, in words."""
    if metadata.tiff_tags is not None:
        return []
    others = sorted(set(metadata.text) - {"Comment", "Description"})
    return [f"text ({', '.join(others)})"] if others else []


def _compress(rows: Pixels) -> bytes:
    """One strip: differences of neighbouring pixels (TIFF 6.0 section 14), deflated."""
    differences = rows.astype(rows.dtype.newbyteorder("<"))
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.tobytes())


def _new_tags(metadata: PictureMetadata) -> dict[int, tuple[int, Any]]:
    """Tags (type or 0 to let Pillow choose, value) of a TIFF made from another format."""
    tags: dict[int, tuple[int, Any]] = {
        tag: (4 if isinstance(value, dict) else 0, value) for tag, value in metadata.exif_directories().items()
    }
    if metadata.dpi:
        tags |= {282: (5, metadata.dpi[0]), 283: (5, metadata.dpi[1]), 296: (3, 2)}
    if metadata.xmp:
        tags[700] = (1, metadata.xmp)
    if metadata.icc_profile:
        tags[34675] = (7, metadata.icc_profile)
    if metadata.photoshop:
        tags[34377] = (1, metadata.photoshop)
    caption = metadata.text.get("Comment") or metadata.text.get("Description")
    if caption and 270 not in tags:
        tags[270] = (2, caption)
    return tags

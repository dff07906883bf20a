"""TIFF: its tags, and its pixels at 8 and 16 bits a sample (Pillow reads and writes no 16-bit RGB)."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from streamdehaze.errors import SourceError
from streamdehaze.video.picture.metadata import PictureMetadata, Pixels
from streamdehaze.video.picture.tags import ASCII, BYTE, LONG, RATIONAL, SHORT, UNDEFINED, Directory

_STRIP_BYTES = 1 << 20
_DEFLATE, _HORIZONTAL_DIFFERENCING = 8, 2
_ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA = 1, 2
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2


def refuse_unreadable(image: Any, path: Path) -> None:
    """Check that the first page's samples are what we can keep whole.

    Raises:
        SourceError: for sample types other than whole numbers of 1 to 8 or 16 bits, or if strips lie beyond
            the file's end.
    """
    tags = image.tag_v2
    bits = set(tags.get(258, (1,)))
    kinds = set(tags.get(339, (1,)))
    if kinds != {1} or not bits <= {1, 2, 4, 8, 16} or len(bits) > 1:
        kind = {2: "signed ", 3: "floating-point "}.get(max(kinds), "")
        what = f"{kind}{'/'.join(str(b) for b in sorted(bits))}-bit"
        raise SourceError(f"'{path}' has {what} samples; convert it to 8 or 16 bits a sample first")
    offsets, counts = tags.get(273) or tags.get(324), tags.get(279) or tags.get(325)
    if offsets and counts and max(map(sum, zip(offsets, counts, strict=False))) > path.stat().st_size:
        raise SourceError(f"'{path}' is cut off: the picture's end is missing")


def stored_size(image: Any) -> tuple[int, int]:
    """(width, height) as stored; Pillow gives them as the orientation tag would have them."""
    return int(image.tag_v2[256]), int(image.tag_v2[257])


def orientation(image: Any) -> int:
    """The orientation tag, 1 to 8; to be asked before the pixels are loaded, which makes Pillow forget it."""
    return int(image.tag_v2.get(274, 1))


def as_stored(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels without the turn of the orientation tag, which Pillow and OpenCV carry out in TIFFs, asked or not."""
    undo: dict[int, Callable[[Pixels], Pixels]] = {
        2: lambda upright: upright[:, ::-1],
        3: lambda upright: upright[::-1, ::-1],
        4: lambda upright: upright[::-1],
        5: lambda upright: upright.swapaxes(0, 1),
        6: lambda upright: np.rot90(upright, 1),
        7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
        8: lambda upright: np.rot90(upright, -1),
    }
    return undo[orientation](pixels) if orientation in undo else pixels


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
    if samples > 1 and image.tag_v2.get(284, 1) != 1:  # OpenCV would read the planes as if they were interleaved
        raise SourceError(f"'{path}' is a 16-bit TIFF with its colours in separate planes; save them interleaved first")
    # OpenCV 5 moved the function. Silent, as our one sentence is enough.
    set_log_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
    said_before = set_log_level(0)
    try:
        decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        set_log_level(said_before)
    if decoded is None or decoded.dtype != np.uint16:
        raise SourceError(f"'{path}' is damaged, or compressed in a way that is not supported")
    pixels = decoded.reshape(*decoded.shape[:2], -1)
    if pixels.shape[2] >= 3:
        pixels = pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
    if photometric == _MIN_IS_WHITE:
        pixels = 65535 - pixels
    if samples == 4 and image.tag_v2.get(338) == (_ASSOCIATED_ALPHA,):
        alpha = np.maximum(pixels[:, :, 3:], 1).astype(np.uint64)
        pixels[:, :, :3] = np.minimum((pixels[:, :, :3] * np.uint64(65535) + alpha // 2) // alpha, 65535)
    return np.ascontiguousarray(pixels)


def encode(pixels: Pixels, metadata: PictureMetadata) -> bytes:
    """A TIFF file of these pixels at their own depth, Deflate-compressed, with the metadata in its tags.

    Raises:
        struct.error: if the file would pass the 4 GiB of classic TIFF.
    """
    height, width, channels = pixels.shape
    directory = metadata.tiff_tags.only(lambda _: True) if metadata.tiff_tags else _new_tags(metadata)
    rows = max(1, _STRIP_BYTES // (width * channels * pixels.itemsize))
    strips = [_compress(pixels[top : top + rows], directory.order) for top in range(0, height, rows)]
    lengths = [len(strip) for strip in strips]
    for tag, kind, values in (
        (256, LONG, [width]),  # width
        (257, LONG, [height]),  # height
        (258, SHORT, [pixels.itemsize * 8] * channels),  # bits a sample
        (259, SHORT, [_DEFLATE]),  # compression
        (262, SHORT, [_RGB if channels >= 3 else _MIN_IS_BLACK]),  # photometric interpretation
        (273, LONG, lengths),  # where the strips start: filled in once the directory's own length is known
        (277, SHORT, [channels]),  # samples a pixel
        (278, LONG, [rows]),  # rows a strip
        (279, LONG, lengths),  # bytes of each strip
        (284, SHORT, [1]),  # colours interleaved
        (317, SHORT, [_HORIZONTAL_DIFFERENCING]),  # predictor
    ):
        directory.set_numbers(tag, kind, values)
    if channels in (2, 4):
        directory.set_numbers(338, SHORT, [_UNASSOCIATED_ALPHA])  # extra samples
    directory.set_numbers(273, LONG, itertools.accumulate(lengths[:-1], initial=len(directory.block())))
    return b"".join([directory.block(), *strips])


def lost(metadata: PictureMetadata) -> list[str]:
    """What a TIFF cannot hold of it, as text."""
    if metadata.tiff_tags is not None:
        return []
    others = sorted(set(metadata.text) - {"Comment", "Description"})
    return [f"text ({', '.join(others)})"] if others else []


def _compress(rows: Pixels, order: Literal["<", ">"]) -> bytes:
    """One strip: differences of neighbouring pixels (TIFF 6.0 section 14), deflated."""
    differences = rows.astype(rows.dtype.newbyteorder(order))
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.tobytes())


def _new_tags(metadata: PictureMetadata) -> Directory:
    """Tags of a TIFF made from another format: EXIF's first directory is the TIFF's own."""
    tags = Directory.read(metadata.exif)
    if metadata.dpi:
        for tag, dots in zip((282, 283), metadata.dpi, strict=True):
            tags.set_numbers(tag, RATIONAL, [round(dots * 1000)])
        tags.set_numbers(296, SHORT, [2])
    for tag, kind, block in (
        (700, BYTE, metadata.xmp),
        (34675, UNDEFINED, metadata.icc_profile),
        (34377, BYTE, metadata.photoshop),
    ):
        if block:
            tags.set_bytes(tag, kind, block)
    caption = metadata.text.get("Comment") or metadata.text.get("Description")
    if caption and 270 not in tags.entries:
        tags.set_bytes(270, ASCII, caption.encode() + b"\0")
    return tags

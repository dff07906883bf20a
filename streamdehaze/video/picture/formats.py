"""The picture formats we write: what each one holds, and its encoder."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamdehaze.frame import Frame
from streamdehaze.video.picture import heif, png, tiff
from streamdehaze.video.picture.film import encode_dpx, encode_exr
from streamdehaze.video.picture.metadata import JpegCoding, PictureMetadata, Pixels
from streamdehaze.video.picture.pattern import is_sequence

_QUALITY = 95
"""Of JPEG, WebP, AVIF and HEIC, 1 to 100."""
_LARGEST_SEGMENT = 65533
_EXIF_HEADER = b"Exif\0\0"


@dataclass(frozen=True)
class PictureFormat:
    """One file format for still pictures."""

    name: str
    """As people write it."""
    codec: str
    """FFmpeg's name of the codec inside."""
    suffixes: tuple[str, ...]
    encode: Callable[[Pixels, PictureMetadata], bytes] | None
    """Pixels and metadata to the whole file."""
    lost: Callable[[PictureMetadata], list[str]]
    """What the format cannot hold of the metadata, as text."""
    deep: bool = False
    """Holds 16 bits a sample; the others get pixels rounded to 8."""
    alpha: bool = True
    encode_frame: Callable[[Frame, PictureMetadata], bytes] | None = None
    """The same from the frame itself, whatever its depth and planes."""


def _save(pixels: Pixels, format_name: str, **options: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(flat)).save(file, format_name, **options)
    return file.getvalue()


def _exif(metadata: PictureMetadata) -> dict[str, bytes]:
    return {"exif": _EXIF_HEADER + metadata.exif} if metadata.exif else {}


def _encode_jpeg(pixels: Pixels, metadata: PictureMetadata) -> bytes:
    """Quality 95, or the input's own where that was finer; the input's chroma subsampling, 4:4:4 if none."""
    options: dict[str, Any] = {"quality": _QUALITY, "subsampling": 0, "optimize": True}
    coding = metadata.jpeg
    if coding:
        options |= {"subsampling": coding.subsampling, "progressive": coding.progressive}
        if _finer_than_default(coding):
            options |= {"qtables": [list(table) for table in coding.quantization], "quality": -1}  # taken as they are
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    if metadata.exif and len(metadata.exif) + len(_EXIF_HEADER) <= _LARGEST_SEGMENT:
        options |= _exif(metadata)
    if len(metadata.xmp) + 29 <= _LARGEST_SEGMENT:
        options["xmp"] = metadata.xmp
    if metadata.icc_profile:
        options["icc_profile"] = metadata.icc_profile
    if comment := metadata.text.get("Comment", "").encode()[:_LARGEST_SEGMENT]:
        options["comment"] = comment
    options["extra"] = _photoshop_segments(metadata.photoshop) + metadata.jpeg_segments
    return _save(pixels, "JPEG", **options)


def _finer_than_default(coding: JpegCoding) -> bool:
    """Whether the input's luma table quantises less than the default quality's (libjpeg's table, scaled)."""
    scale = 200 - 2 * _QUALITY
    standard = [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
        51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121,
        120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ]  # fmt: skip
    return bool(coding.quantization) and sum(coding.quantization[0]) < sum((q * scale + 50) // 100 for q in standard)


def _photoshop_segments(resources: bytes) -> bytes:
    signature = b"Photoshop 3.0\0"
    room = _LARGEST_SEGMENT - len(signature)
    parts = [signature + resources[start : start + room] for start in range(0, len(resources), room)]
    return b"".join(b"\xff\xed" + struct.pack(">H", len(part) + 2) + part for part in parts)


def _lost_by_jpeg(metadata: PictureMetadata) -> list[str]:
    words = _lost_texts(metadata, {"Comment"}) + _lost_png_color(metadata)
    if len(metadata.exif) + len(_EXIF_HEADER) > _LARGEST_SEGMENT:
        words.append("EXIF (larger than a JPEG holds)")
    if len(metadata.xmp) + 29 > _LARGEST_SEGMENT:
        words.append("XMP (larger than a JPEG holds)")
    return words


def _encode_webp(pixels: Pixels, metadata: PictureMetadata) -> bytes:
    """Lossless where the input was."""
    options = {"lossless": metadata.lossless, "exact": True, "quality": 75 if metadata.lossless else _QUALITY}
    return _save(pixels, "WEBP", **options, **_blocks(metadata))


def _encode_avif(pixels: Pixels, metadata: PictureMetadata) -> bytes:
    options = {"quality": _QUALITY, "subsampling": "4:4:4", "speed": 6}
    return _save(pixels, "AVIF", **options, **_blocks(metadata))


def _encode_heif(pixels: Pixels, metadata: PictureMetadata) -> bytes:
    return heif.encode(pixels, _blocks(metadata), _QUALITY)


def _encode_bmp(pixels: Pixels, metadata: PictureMetadata) -> bytes:
    return _save(pixels, "BMP", **({"dpi": metadata.dpi} if metadata.dpi else {}))


def _blocks(metadata: PictureMetadata) -> dict[str, bytes]:
    blocks = {"icc_profile": metadata.icc_profile, "xmp": metadata.xmp}
    return {name: block for name, block in blocks.items() if block} | _exif(metadata)


def _lost_by_blocks(metadata: PictureMetadata) -> list[str]:
    words = _lost_texts(metadata, set()) + _lost_png_color(metadata)
    words += ["resolution"] if metadata.dpi and not metadata.exif else []
    return words + (["IPTC caption data"] if metadata.photoshop else [])


def told_by(metadata: PictureMetadata) -> list[str]:
    """All that a picture says besides its pixels, as text; BMP and films hold none of it."""
    blocks = (("EXIF", metadata.exif), ("ICC profile", metadata.icc_profile), ("XMP", metadata.xmp))
    words = [name for name, block in blocks if block] + _lost_texts(metadata, set()) + _lost_png_color(metadata)
    return words + (["IPTC caption data"] if metadata.photoshop else [])


def _lost_by_film(metadata: PictureMetadata) -> list[str]:
    return told_by(metadata) + (["resolution"] if metadata.dpi else [])


def _lost_texts(metadata: PictureMetadata, held: set[str]) -> list[str]:
    others = sorted(set(metadata.text) - held)
    return [f"text ({', '.join(others)})"] if others else []


def _lost_png_color(metadata: PictureMetadata) -> list[str]:
    """A PNG's HDR tags; gAMA and sRGB of an ordinary picture say what an untagged one means anyway."""
    kinds = {kind for kind, _ in metadata.png_chunks or ()}
    return ["HDR colour tags"] if b"cICP" in kinds else []


FORMATS = (
    PictureFormat("JPEG", "mjpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), _encode_jpeg, _lost_by_jpeg, alpha=False),
    PictureFormat("PNG", "png", (".png",), png.encode, png.lost, deep=True),
    PictureFormat("TIFF", "tiff", (".tif", ".tiff"), tiff.encode, tiff.lost, deep=True),
    PictureFormat("WebP", "webp", (".webp",), _encode_webp, _lost_by_blocks),
    PictureFormat("BMP", "bmp", (".bmp", ".dib"), _encode_bmp, told_by, alpha=False),
    PictureFormat("AVIF", "av1", (".avif",), _encode_avif, _lost_by_blocks),
    PictureFormat("DPX", "dpx", (".dpx",), None, _lost_by_film, deep=True, encode_frame=encode_dpx),
    *(
        [PictureFormat("HEIF", "hevc", heif.HEIF_SUFFIXES, _encode_heif, _lost_by_blocks, deep=True)]
        if heif.is_installed()
        else []
    ),
    PictureFormat("EXR", "exr", (".exr",), None, _lost_by_film, deep=True, encode_frame=encode_exr),
)
"""Every picture format read and written, by content on the way in and by file name on the way out."""

PICTURE_SUFFIXES = frozenset(suffix for entry in FORMATS for suffix in entry.suffixes)
"""Lower-case file name extensions of still pictures, the dot included."""

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"BM")
_SIGNATURES_INSIDE = {4: b"ftypavif", 8: b"WEBP"}


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a still picture: by its extension, or by its first bytes where it has none."""
    path = Path(path)
    if is_sequence(path):
        return False
    if path.suffix:
        return format_for(path.suffix) is not None
    if not path.is_file():  # reading from a named pipe would take the bytes away
        return False
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    inside = any(head[start:] == signature for start, signature in _SIGNATURES_INSIDE.items())
    return inside or head.startswith(_SIGNATURES)


def format_for(suffix: str) -> PictureFormat | None:
    """The format of an extension such as ".jpg"; None if it is not a picture's."""
    return next((entry for entry in FORMATS if suffix.lower() in entry.suffixes), None)

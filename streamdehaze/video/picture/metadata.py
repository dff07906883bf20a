"""What a picture file says besides its pixels, in a form that every picture format can take its share of."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamdehaze.video.picture.tags import Directory

if TYPE_CHECKING:
    from PIL import Image

Chunk = tuple[bytes, bytes]
"""Type and content of a PNG chunk."""

_EXIF_HEADER = b"Exif\0\0"
_PHOTOSHOP_TAG, _IPTC_TAG, _XMP_TAG, _ICC_TAG = 34377, 33723, 700, 34675
_LAYERS_TAG, _SUB_IFDS_TAG = 37724, 330
_LAYOUT_TAGS = frozenset(
    (
        *range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 301, 317, *range(320, 326),
        _SUB_IFDS_TAG, *range(332, 335), 336, *range(338, 344), 347, *range(512, 522), *range(529, 533), _LAYERS_TAG,
    )
)  # fmt: skip
"""TIFF tags that describe how the pixels are stored, which the writer decides anew, and layers of the hazy picture."""


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG was compressed, for writing one of the same kind."""

    quantization: tuple[tuple[int, ...], ...]
    """Quantisation tables of 64 entries each, as Pillow orders them."""
    subsampling: int
    """0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0 (Pillow's numbers)."""
    progressive: bool


@dataclass(frozen=True)
class PictureMetadata:
    """Everything kept of an input picture besides its pixels; an empty field means the input had none."""

    exif: bytes = b""
    """EXIF as a TIFF structure, without the signature "Exif" and without the hazy picture's thumbnail."""
    icc_profile: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical pixels per inch."""
    text: Mapping[str, str] = field(default_factory=dict)
    """Texts by keyword; a JPEG's comment has the keyword "Comment"."""
    photoshop: bytes = b""
    """Photoshop image resource blocks, where IPTC captions live."""
    jpeg: JpegCoding | None = None
    jpeg_segments: bytes = b""
    """Further whole JPEG segments (extended XMP)."""
    png_chunks: tuple[Chunk, ...] | None = None
    """A PNG's own chunks: a PNG made from it carries these and needs no other field."""
    tiff_tags: Directory | None = None
    """A TIFF's own tags: a TIFF made from it carries these and needs no other field."""
    lossless: bool = True
    """False where the input's compression threw something away (JPEG, most WebP, AVIF)."""
    left_out: tuple[str, ...] = ()
    """What of the input no output carries, in words: further pages, layers."""

    @classmethod
    def of(cls, image: Image.Image, path: Path) -> PictureMetadata:
        """Metadata of the file `path` that Pillow has opened as `image`."""
        info = image.info
        tags = _tiff_tags(path) if image.format == "TIFF" else None
        is_jpeg = image.format in ("JPEG", "MPO")
        dpi = info.get("dpi")
        text = {key: str(value) for key, value in getattr(image, "text", {}).items()}
        text.pop("XML:com.adobe.xmp", None)
        if comment := info.get("comment"):
            text["Comment"] = comment.decode("utf-8", "replace")
        xmp = info.get("xmp") or b""
        segments: list[tuple[str, bytes]] = getattr(image, "applist", [])
        return cls(
            exif=_exif_of(tags) if tags else without_thumbnail(info.get("exif", b"")),
            icc_profile=info.get("icc_profile") or b"",
            xmp=xmp.encode() if isinstance(xmp, str) else xmp,
            dpi=(float(dpi[0]), float(dpi[1])) if dpi and dpi[0] > 1 and dpi[1] > 1 else None,
            text=text,
            photoshop=_photoshop_of(tags) if tags else _jpeg_photoshop(segments),
            jpeg=_jpeg_coding(image) if is_jpeg else None,
            jpeg_segments=_extended_xmp(segments),
            tiff_tags=tags.only(lambda tag: tag not in _LAYOUT_TAGS) if tags else None,
            lossless=not is_jpeg and image.format != "AVIF",
            left_out=_left_out(image, tags),
        )


def without_thumbnail(exif: bytes) -> bytes:
    """The same EXIF block, its signature cut off and its thumbnail directory (a hazy one) unlinked in place.

    Nothing moves, so that maker notes with offsets into the block stay whole.
    """
    exif = exif.removeprefix(_EXIF_HEADER)
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return exif
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    if directory + 2 > len(exif):
        return exif
    (entries,) = struct.unpack_from(f"{order}H", exif, directory)
    link = directory + 2 + 12 * entries
    if link + 4 > len(exif):
        return exif
    return exif[:link] + bytes(4) + exif[link + 4 :]


def _tiff_tags(path: Path) -> Directory:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as block:
        return Directory.read(block)


def _exif_of(tags: Directory) -> bytes:
    """A TIFF's descriptive tags as the EXIF block that other formats carry."""
    elsewhere = (_XMP_TAG, _ICC_TAG, _PHOTOSHOP_TAG, _IPTC_TAG)
    exif = tags.only(lambda tag: tag not in _LAYOUT_TAGS and tag not in elsewhere)
    return exif.block() if exif.entries else b""


def _photoshop_of(tags: Directory) -> bytes:
    """A TIFF's Photoshop resources, or its plain IPTC data as the resource that holds it elsewhere."""
    iptc = tags.data(_IPTC_TAG)
    if resources := tags.data(_PHOTOSHOP_TAG):
        return resources
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + b"\0" * (len(iptc) % 2) if iptc else b""


def _jpeg_photoshop(segments: list[tuple[str, bytes]]) -> bytes:
    signature = b"Photoshop 3.0\0"
    return b"".join(
        data.removeprefix(signature) for name, data in segments if name == "APP13" and data.startswith(signature)
    )


def _extended_xmp(segments: list[tuple[str, bytes]]) -> bytes:
    return b"".join(
        b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
        for name, data in segments
        if name == "APP1" and data.startswith(b"http://ns.adobe.com/xmp/extension/\0")
    )


def _jpeg_coding(image: Any) -> JpegCoding:
    from PIL import JpegImagePlugin

    tables = tuple(tuple(table) for _, table in sorted(image.quantization.items()))
    sampling = JpegImagePlugin.get_sampling(image)
    return JpegCoding(tables, sampling if sampling >= 0 else 0, bool(image.info.get("progressive")))


def _left_out(image: Any, tags: Directory | None) -> tuple[str, ...]:
    words = []
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        words.append(f"{pages - 1} further picture{'s' if pages > 2 else ''} in the file")
    if tags and _LAYERS_TAG in tags.entries:
        words.append("Photoshop layers")
    if tags and _SUB_IFDS_TAG in tags.entries:
        words.append("embedded smaller versions")
    return tuple(words)

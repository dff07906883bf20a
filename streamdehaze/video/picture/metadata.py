"""What a picture file holds apart from its pixels, in a form that every picture format can take its share of."""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from streamdehaze.video.picture import heif
from streamdehaze.video.picture.tags import Directory

if TYPE_CHECKING:
    from PIL import Image

Chunk = tuple[bytes, bytes]
"""Type and content of a PNG chunk."""
Pixels = npt.NDArray[Any]
"""(height, width, channels) of uint8 or uint16; 1 to 4 channels: gray, gray and alpha, RGB, RGBA."""

_PADDING = 16
"""Bytes after a picture that mean nothing."""
_EXIF_HEADER = b"Exif\0\0"
_PHOTOSHOP_TAG, _IPTC_TAG, _XMP_TAG, _ICC_TAG = 34377, 33723, 700, 34675
_LAYERS_TAG, _SUB_IFDS_TAG = 37724, 330
_LAYOUT_TAGS = frozenset(
    (
        *range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 301, 317, *range(320, 326),
        _SUB_IFDS_TAG, *range(332, 335), 336, *range(338, 344), 347, *range(512, 522), *range(529, 533), _LAYERS_TAG,
    )
)  # fmt: skip
"""TIFF tags for how the pixels are stored, which the writer decides itself, and for layers of the hazy picture."""


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
    """Everything kept of an input picture except its pixels; an empty field means the input had none."""

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
    """Further whole JPEG segments: extended XMP, and whatever else a camera put there."""
    png_chunks: tuple[Chunk, ...] | None = None
    """A PNG's own chunks: a PNG made from it carries these and needs no other field."""
    tiff_tags: Directory | None = None
    """A TIFF's own tags: a TIFF made from it carries these and needs no other field."""
    film: bytes = b""
    """The header of a DPX or EXR file: time code, key code, the camera's and the renderer's attributes."""
    lossless: bool = True
    """False where the input's compression threw something away (JPEG, most WebP, AVIF)."""
    left_out: tuple[str, ...] = ()
    """The parts of the input that no output carries, as text: further pages, layers."""

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
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        segments: list[tuple[str, bytes]] = getattr(image, "applist", [])
        trailer = _trailer_bytes(path) if is_jpeg and getattr(image, "n_frames", 1) == 1 else 0
        if is_jpeg and (trailer > _PADDING or getattr(image, "n_frames", 1) > 1):
            xmp = _without_pointers(xmp)
        return cls(
            exif=_exif_of(tags) if tags else without_thumbnail(info.get("exif") or b""),
            icc_profile=info.get("icc_profile") or b"",
            xmp=xmp,
            dpi=(float(dpi[0]), float(dpi[1])) if dpi and dpi[0] > 1 and dpi[1] > 1 else None,
            text=text,
            photoshop=_photoshop_of(tags) if tags else _jpeg_photoshop(segments),
            jpeg=_jpeg_coding(image) if is_jpeg else None,
            jpeg_segments=_other_segments(segments) if is_jpeg else b"",
            tiff_tags=tags.only(lambda tag: tag not in _LAYOUT_TAGS) if tags else None,
            lossless=not is_jpeg and image.format not in ("AVIF", "HEIF"),
            left_out=_left_out(image, tags, trailer),
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


_WRITTEN_OTHERWISE = (
    ("APP0", b""),  # density and thumbnail
    ("APP1", b"Exif\0"),
    ("APP1", b"http://ns.adobe.com/xap/1.0/\0"),
    ("APP2", b"ICC_PROFILE\0"),
    ("APP2", b"MPF\0"),  # where further pictures lie in the file, which are left out
    ("APP13", b"Photoshop 3.0\0"),
    ("APP14", b"Adobe"),  # how colours are coded
)
"""Segments of a JPEG that the writer makes itself, or that describe what is not written."""


def _other_segments(segments: list[tuple[str, bytes]]) -> bytes:
    """Whole segments that nothing here knows: extended XMP, the raw picture of a thermal camera, makers' data."""
    return b"".join(
        bytes([0xFF, 0xE0 + int(name[3:])]) + struct.pack(">H", len(data) + 2) + data
        for name, data in segments
        if name.startswith("APP")
        and not any(name == known and data.startswith(start) for known, start in _WRITTEN_OTHERWISE)
    )


def _trailer_bytes(path: Path) -> int:
    """How many bytes follow the picture in a JPEG file: a film (motion photo), a gain map, a maker's data."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as block:
        at = 2
        while at + 4 <= len(block) and block[at] == 0xFF:
            marker = block[at + 1]
            if marker == 0xFF or marker == 1 or 0xD0 <= marker <= 0xD8:
                at += 1 if marker == 0xFF else 2
                continue
            if marker == 0xD9:
                return len(block) - at - 2
            (length,) = struct.unpack_from(">H", block, at + 2)
            at += 2 + length
            if marker == 0xDA:  # coded samples, up to a marker other than a restart's
                at = _next_marker(block, at)
    return 0


def _next_marker(block: mmap.mmap, at: int) -> int:
    while (at := block.find(b"\xff", at)) >= 0 and at + 1 < len(block):
        if block[at + 1] not in _INSIDE_SAMPLES:
            return at
        at += 2
    return len(block)


_INSIDE_SAMPLES = frozenset({0, 0xFF, *range(0xD0, 0xD8)})
_POINTERS = re.compile(
    rb"\s(?:GCamera|hdrgm|Camera):(?:Motion|MicroVideo|Version|GainMap|Gamma|Offset|HDRCapacity|BaseRendition)\w*=\"[^\"]*\""
    rb"|<Container:Directory>.*?</Container:Directory>|<GContainer:Directory>.*?</GContainer:Directory>",
    re.DOTALL,
)
"""What XMP says of films and gain maps after the picture."""


def _without_pointers(xmp: bytes) -> bytes:
    return _POINTERS.sub(b"", xmp)


def _jpeg_coding(image: Any) -> JpegCoding:
    from PIL import JpegImagePlugin

    tables = tuple(tuple(table) for _, table in sorted(image.quantization.items()))
    sampling = JpegImagePlugin.get_sampling(image)
    return JpegCoding(tables, sampling if sampling >= 0 else 0, bool(image.info.get("progressive")))


def _left_out(image: Any, tags: Directory | None, trailer: int) -> tuple[str, ...]:
    words = []
    if trailer > _PADDING:
        words.append(f"{trailer} bytes after the picture (a motion photo's film, a gain map, or a maker's data)")
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        words.append(f"{pages - 1} further picture{'s' if pages > 2 else ''} in the file")
    if image.format == "HEIF":
        words += heif.lost(image.info)
    if tags and _LAYERS_TAG in tags.entries:
        words.append("Photoshop layers")
    if tags and _SUB_IFDS_TAG in tags.entries:
        words.append("embedded smaller versions")
    return tuple(words)

"""What a picture file says besides its pixels, in a form that every picture format can take its share of."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

Chunk = tuple[bytes, bytes]
"""Type and content of a PNG chunk."""

_EXIF_HEADER = b"Exif\0\0"
_EXIF_POINTER, _GPS_POINTER, _INTEROPERABILITY_POINTER = 34665, 34853, 40965
_PHOTOSHOP_TAG, _IPTC_TAG = 34377, 33723
_LAYERS_TAG, _SUB_IFDS_TAG = 37724, 330
_TIFF_LAYOUT_TAGS = frozenset(
    (
        *range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 301, 317,
        *range(320, 326), _SUB_IFDS_TAG, *range(332, 335), 336, *range(338, 344), 347, *range(512, 522),
        *range(529, 533), _LAYERS_TAG,
    )
)  # fmt: skip
"""TIFF tags that describe how the pixels are stored, which the writer decides anew."""
_TIFF_OWN_FIELDS = frozenset([282, 283, 296, 700, 34675, _PHOTOSHOP_TAG, _IPTC_TAG])
"""TIFF tags that `PictureMetadata` has fields of their own for: resolution, XMP, ICC profile, IPTC."""


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
    tiff_tags: Mapping[int, tuple[int, Any]] | None = None
    """A TIFF's own tags (type, value): a TIFF made from it carries these and needs no other field."""
    lossless: bool = True
    """False where the input's compression threw something away (JPEG, most WebP, AVIF)."""
    left_out: tuple[str, ...] = ()
    """What of the input no output carries, in words: further pages, layers."""

    @classmethod
    def of(cls, image: Image.Image) -> PictureMetadata:
        """Metadata of a picture that Pillow has opened (chunks aside, see `png.read_chunks`)."""
        info = image.info
        is_tiff = image.format == "TIFF"
        is_jpeg = image.format in ("JPEG", "MPO")
        dpi = info.get("dpi")
        text = {key: str(value) for key, value in getattr(image, "text", {}).items()}
        text.pop("XML:com.adobe.xmp", None)
        if comment := info.get("comment"):
            text["Comment"] = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
        xmp = info.get("xmp") or b""
        segments: list[tuple[str, bytes]] = getattr(image, "applist", [])
        return cls(
            exif=_exif_of_tiff(image) if is_tiff else without_thumbnail(info.get("exif", b"")),
            icc_profile=info.get("icc_profile") or b"",
            xmp=xmp.encode() if isinstance(xmp, str) else xmp,
            dpi=(float(dpi[0]), float(dpi[1])) if dpi and dpi[0] > 1 and dpi[1] > 1 else None,
            text=text,
            photoshop=_tiff_photoshop(image) if is_tiff else _jpeg_photoshop(segments),
            jpeg=_jpeg_coding(image) if is_jpeg else None,
            jpeg_segments=_extended_xmp(segments),
            tiff_tags=_own_tiff_tags(image) if is_tiff else None,
            lossless=not is_jpeg and image.format != "AVIF",
            left_out=_left_out(image),
        )

    def exif_directories(self) -> dict[int, Any]:
        """EXIF as {tag: value} of its first directory; its Exif and GPS directories are dicts in it."""
        from PIL import Image

        if not self.exif:
            return {}
        exif = Image.Exif()
        exif.load(_EXIF_HEADER + self.exif)
        return _directories(exif)


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


def _directories(exif: Image.Exif) -> dict[int, Any]:
    found = {tag: value for tag, value in exif.items() if tag not in (_EXIF_POINTER, _GPS_POINTER)}
    for pointer in (_EXIF_POINTER, _GPS_POINTER):
        directory = {t: v for t, v in exif.get_ifd(pointer).items() if t != _INTEROPERABILITY_POINTER}
        if directory:
            found[pointer] = directory
    return {tag: value for tag, value in found.items() if tag not in _TIFF_LAYOUT_TAGS}


def _exif_of_tiff(image: Image.Image) -> bytes:
    """A TIFF's descriptive tags as the EXIF block that other formats carry."""
    from PIL import Image

    exif = Image.Exif()
    for tag, value in _directories(image.getexif()).items():
        if tag not in _TIFF_OWN_FIELDS:
            exif[tag] = value
    return exif.tobytes().removeprefix(_EXIF_HEADER) if len(exif) else b""


def _own_tiff_tags(image: Any) -> dict[int, tuple[int, Any]]:
    """Tags of a TIFF's first page that do not depend on how its pixels are stored: {tag: (type, value)}."""
    directories = _directories(image.getexif())
    tags: dict[int, tuple[int, Any]] = {}
    for tag in image.tag_v2:
        if tag in (_EXIF_POINTER, _GPS_POINTER):
            tags[tag] = (4, directories.get(tag, {}))
        elif tag not in _TIFF_LAYOUT_TAGS:
            tags[tag] = (image.tag_v2.tagtype[tag], image.tag_v2[tag])
    return {tag: pair for tag, pair in tags.items() if pair[1] != {}}


def _tiff_photoshop(image: Any) -> bytes:
    value = image.tag_v2.get(_PHOTOSHOP_TAG, b"")
    return value if isinstance(value, bytes) else b""


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


def _left_out(image: Any) -> tuple[str, ...]:
    words = []
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        words.append(f"{pages - 1} further picture{'s' if pages > 2 else ''} in the file")
    if image.format == "TIFF":
        if _LAYERS_TAG in image.tag_v2:
            words.append("Photoshop layers")
        if _SUB_IFDS_TAG in image.tag_v2:
            words.append("embedded smaller versions")
    return tuple(words)

"""PNG: its chunks, and its pixels at 8 and 16 bits a sample (Pillow has no 16-bit RGB, FFmpeg has)."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np

from streamdehaze.errors import SourceError
from streamdehaze.video.picture.metadata import Chunk, PictureMetadata, Pixels, without_thumbnail

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_CHUNKS = frozenset([b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI"])
_FORMATS = {
    (1, 8): "gray", (2, 8): "ya8", (3, 8): "rgb24", (4, 8): "rgba",
    (1, 16): "gray16be", (2, 16): "ya16be", (3, 16): "rgb48be", (4, 16): "rgba64be",
}  # fmt: skip
_CHANNELS = {name: channels for (channels, _), name in _FORMATS.items()}


def read_chunks(path: Path) -> tuple[tuple[Chunk, ...], bool]:
    """Chunks worth keeping in a changed picture, and whether the file is animated.

    Kept is what the standard marks safe to copy (text, resolution, EXIF) and what describes colour.

    Raises:
        SourceError: if the file is cut off or a chunk's checksum is wrong.
    """
    kept: list[Chunk] = []
    animated = False
    with path.open("rb") as file:
        file.seek(len(_SIGNATURE))
        kind = b""
        while kind != b"IEND":
            head = file.read(8)
            if len(head) < 8:
                raise SourceError(f"'{path}' is cut off: the picture's end is missing")
            length, kind = struct.unpack(">I4s", head)
            data = file.read(length)
            checksum = file.read(4)
            if len(data) < length or len(checksum) < 4:
                raise SourceError(f"'{path}' is cut off: the picture's end is missing")
            if zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
                raise SourceError(f"'{path}' is damaged: the checksum of its {kind.decode('latin-1')} part is wrong")
            animated = animated or kind == b"acTL"
            safe_to_copy = bool(kind[0] & 0x20) and bool(kind[3] & 0x20)
            if safe_to_copy or kind in _COLOR_CHUNKS:
                kept.append((kind, without_thumbnail(data) if kind == b"eXIf" else data))
    return tuple(kept), animated


def channels(path: Path) -> int:
    """Channels of a PNG that is not palette-based, a transparent colour counted as alpha: 1 to 4."""
    with path.open("rb") as file:
        color_type = file.read(26)[25]
    return {0: 1, 2: 3, 4: 2, 6: 4}[color_type]


def decode_deep(path: Path) -> Pixels:
    """Pixels of a PNG of 16 bits a sample.

    Raises:
        SourceError: if its pixel data is damaged.
    """
    import av
    from av.video.codeccontext import VideoCodecContext

    decoder = VideoCodecContext.create("png", "r")
    try:
        frame = [*decoder.decode(av.Packet(path.read_bytes())), *decoder.decode(None)][0]
    except (av.FFmpegError, IndexError) as error:
        raise SourceError(f"'{path}' is damaged: its pixels cannot be decoded") from error
    channels = _CHANNELS[frame.format.name]
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), ">u2").reshape(frame.height, plane.line_size // 2)
    native: Pixels = rows[:, : frame.width * channels].astype(np.uint16)
    return native.reshape(frame.height, frame.width, channels)


def encode(pixels: Pixels, metadata: PictureMetadata) -> bytes:
    """A PNG file of these pixels at their own depth, with the metadata in its chunks."""
    drawn = _chunks_of(_encode_pixels(pixels))
    chunks = [drawn[0], *(metadata.png_chunks if metadata.png_chunks is not None else _new_chunks(metadata))]
    chunks += [chunk for chunk in drawn if chunk[0] in (b"IDAT", b"IEND")]
    return _SIGNATURE + b"".join(
        struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
        for kind, data in chunks
    )


def lost(metadata: PictureMetadata) -> list[str]:
    """What a PNG cannot hold of it, as text."""
    if metadata.png_chunks is not None:
        return []
    return ["IPTC caption data"] if metadata.photoshop else []


def _encode_pixels(pixels: Pixels) -> bytes:
    import av
    from av.video.codeccontext import VideoCodecContext

    height, width, channels = pixels.shape
    name = _FORMATS[channels, pixels.itemsize * 8]
    encoder = VideoCodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, name, Fraction(1)
    encoder.options = {"pred": "mixed"}
    frame = av.VideoFrame(width, height, name)
    plane = frame.planes[0]
    stored = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
    row_bytes = width * channels * pixels.itemsize
    in_file_order = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">"))
    stored[:, :row_bytes] = in_file_order.view(np.uint8).reshape(height, row_bytes)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def _chunks_of(png: bytes) -> list[Chunk]:
    chunks, start = [], len(_SIGNATURE)
    while start < len(png):
        length, kind = struct.unpack_from(">I4s", png, start)
        chunks.append((kind, png[start + 8 : start + 8 + length]))
        start += length + 12
    return chunks


def _new_chunks(metadata: PictureMetadata) -> list[Chunk]:
    chunks: list[Chunk] = []
    if metadata.icc_profile:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.dpi:
        per_metre = [round(dots / 0.0254) for dots in metadata.dpi]
        chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if metadata.xmp:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    for keyword, text in metadata.text.items():
        chunks.append((b"iTXt", keyword[:79].encode("latin-1", "replace") + b"\0\0\0\0\0" + text.encode()))
    return chunks

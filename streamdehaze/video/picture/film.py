"""DPX and OpenEXR: what film scanners and compositing programs number frame by frame; FFmpeg reads and writes them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.error

from streamdehaze.errors import SourceError
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.video.light import decoded
from streamdehaze.video.picture.metadata import PictureMetadata
from streamdehaze.video.planes import PictureWriter, color_of, frame_from_av, working_format

FILM_SUFFIXES = frozenset({".dpx", ".exr"})
_EXR = b"\x76\x2f\x31\x01"
_SCANLINES_A_CHUNK = 16
"""With FFmpeg's compression zip16."""
_CODING = frozenset(
    {
        b"channels", b"compression", b"dataWindow", b"displayWindow", b"lineOrder", b"screenWindowCenter",
        b"screenWindowWidth", b"tiles", b"chunkCount", b"type", b"version", b"name", b"view", b"multiView", b"preview",
        b"dwaCompressionLevel",
    }
)  # fmt: skip
"""EXR attributes that say how the pixels are stored, which the writer decides; and a picture of the hazy pixels."""
_PLAIN_CHANNELS = frozenset({b"R", b"G", b"B", b"A", b"Y"})
_FLOAT = 2
_MULTIPART, _LONG_NAMES = 0x1000, 0x400
_GENERIC, _HEADER = 1664, 2048
"""Bytes of DPX headers: FFmpeg writes file, image and orientation; film and television headers follow them."""
_FILE_TEXTS = slice(36, 660)
"""File name, date, creator, project and copyright in a DPX header."""
_WHO = slice(160, 660)
"""The last three of them."""
_DPX_TIME, _EXR_TIME = 1920, b"timeCode"
_NO_TIME = 0xFFFFFFFF
_TELLING_NOTHING = _CODING | {b"pixelAspectRatio", b"writer", b"gamma"}
"""EXR attributes that FFmpeg writes into every file, besides."""


@dataclass(frozen=True)
class _Attribute:
    name: bytes
    whole: bytes
    """With name, type and size."""
    value: bytes


class FilmFile:
    """A DPX or EXR file that is read: its one picture, and what else its header says.

    Raises:
        SourceError: if it is damaged or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        codec = path.suffix.lower()[1:]
        try:
            options = {"pattern_type": "none"}  # a % in a name is not a number
            with av.open(f"file:{path}", "r", format="image2", options=options) as container:
                stream: Any = container.streams.video[0]
                self._picture = next(container.decode(stream))
        except (av.error.FFmpegError, OSError, ValueError, IndexError, StopIteration) as error:
            raise SourceError(f"'{path}' is damaged, or not a {codec.upper()} picture that FFmpeg reads") from error
        picture = self._picture
        header, lost = read_header(path)
        self.metadata = PictureMetadata(film=header, left_out=lost)
        self.info = VideoInfo(
            width=picture.width,
            height=picture.height,
            pixel_format=working_format(picture.format.name),
            average_rate=None,
            time_base=Fraction(1),
            frame_count=1,
            duration_seconds=None,
            codec=codec,
            color=color_of(picture),
        )

    def frames(self) -> Iterator[Frame]:
        """The one frame."""
        yield frame_from_av(self._picture, pts=0, time_base=Fraction(1))


def encode_dpx(frame: Frame, metadata: PictureMetadata) -> bytes:
    """A DPX file of the frame's own depth, with film and television headers (time code, key code) of a DPX input."""
    layout = frame.pixel_format
    little = metadata.film.startswith(b"XPDS")
    alpha = "a" in layout.name.removeprefix("gray")
    name = _dpx_format(layout.depth, gray=layout.family == "gray" and not alpha, alpha=alpha)
    if layout.depth > 8:
        name += "le" if little else "be"
    data = _encoded("dpx", frame, name)
    if metadata.film[:4] in (b"XPDS", b"SDPX"):
        order = "<" if data.startswith(b"XPDS") else ">"
        film = metadata.film[_GENERIC:] if data[:4] == metadata.film[:4] else b""
        head = bytearray(data[:_GENERIC] + film)
        head[_FILE_TEXTS] = metadata.film[_FILE_TEXTS]
        struct.pack_into(f"{order}I", head, 4, len(head))
        struct.pack_into(f"{order}I", head, 16, len(data) + len(film))
        struct.pack_into(f"{order}II", head, 24, len(film), 0)
        data = bytes(head) + data[_GENERIC:]
    return data


def encode_exr(frame: Frame, metadata: PictureMetadata) -> bytes:
    """An EXR file of scene light, half floats (floats of an input with such), with all attributes of an EXR input."""
    layout = frame.pixel_format
    alpha = "a" in layout.name.removeprefix("gray")
    name = "gbrap16le" if alpha else "gray16le" if layout.family == "gray" else "gbrp16le"
    writer = PictureWriter()
    picture = writer.convert(writer.picture(frame), frame.width, frame.height, name)
    halves = not _has_floats(metadata.film)
    options = {"compression": "zip16", "format": "half" if halves else "float"}
    data = _encode(decoded(picture, frame.color.transfer, halves=halves), "exr", options)
    return _with_attributes(data, frame.height, metadata.film) if metadata.film.startswith(_EXR) else data


def _dpx_format(depth: int, *, gray: bool, alpha: bool) -> str:
    if depth <= 8:
        return "rgba" if alpha else "gray" if gray else "rgb24"
    if alpha:
        return "rgba64"
    return "gray16" if gray else {10: "gbrp10", 12: "gbrp12"}.get(depth, "rgb48")


def _encoded(codec: str, frame: Frame, name: str) -> bytes:
    writer = PictureWriter()
    return _encode(writer.convert(writer.picture(frame), frame.width, frame.height, name), codec, {})


def _encode(picture: av.VideoFrame, codec: str, options: dict[str, str]) -> bytes:
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format.name
    context.time_base = Fraction(1, 25)
    context.options = options
    picture.pts = 0
    return b"".join(bytes(packet) for each in (picture, None) for packet in context.encode(each))


def read_header(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """The part of a file's header that another file can carry, and as text what none can."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if not head.startswith(_EXR):
            pixels = int.from_bytes(head[4:8], _order(head))
            return head[: _HEADER if pixels >= _HEADER else _GENERIC], ()
        head += file.read(1 << 20)
    attributes, end = _attributes(head)
    channels = next((_channels(each.value) for each in attributes if each.name == b"channels"), [])
    others = [name.decode(errors="replace") for name, _ in channels if name not in _PLAIN_CHANNELS]
    lost = [f"channels {', '.join(others)}"] if others else []
    if int.from_bytes(head[4:8], "little") & _MULTIPART:
        lost.append("parts after the first")
    return head[:end], tuple(lost)


def said_by(header: bytes) -> str:
    """What a header says of more than its pixels, as text; "" for nothing."""
    if header.startswith(_EXR):
        told = any(each.name not in _TELLING_NOTHING for each in _attributes(header)[0])
    else:
        who = header[_WHO].strip(b"\0\xff")
        told = bool(header[_GENERIC:].strip(b"\0\xff")) or bool(who and not who.startswith(b"Lav"))
    return f"what the {'EXR' if header.startswith(_EXR) else 'DPX'} header says of time code, camera and film" * told


def time_code_of(header: bytes) -> str:
    """The time code in a header, as FFmpeg writes it ("01:00:00:12"); "" for none (SMPTE 12M, 2065-4; 268M)."""
    if header.startswith(_EXR):
        bits = next(
            (int.from_bytes(each.value[:4], "little") for each in _attributes(header)[0] if each.name == _EXR_TIME),
            _NO_TIME,
        )
    else:
        bits = int.from_bytes(header[_DPX_TIME:][:4], _order(header)) if len(header) == _HEADER else _NO_TIME
    hours, minutes, seconds, frames = (
        10 * (bits >> shift + 4 & tens) + (bits >> shift & 15) for shift, tens in ((24, 3), (16, 7), (8, 7), (0, 3))
    )
    if bits == _NO_TIME or hours > 23 or minutes > 59 or seconds > 59:
        return ""
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if bits & 0x40 else ':'}{frames:02}"


def _order(header: bytes) -> Literal["little", "big"]:
    return "little" if header.startswith(b"XPDS") else "big"


def _attributes(head: bytes) -> tuple[list[_Attribute], int]:
    """The attributes of an EXR header, and where their list ends (OpenEXR file layout)."""
    found: list[_Attribute] = []
    at = 8
    while at < len(head) and head[at]:
        name_end = head.find(b"\0", at)
        type_end = head.find(b"\0", name_end + 1)
        if not 0 < name_end < type_end or type_end + 5 > len(head):
            break
        value = type_end + 5
        after = value + int.from_bytes(head[type_end + 1 : value], "little")
        if after > len(head):
            break
        found.append(_Attribute(head[at:name_end], head[at:after], head[value:after]))
        at = after
    return found, at


def _has_floats(header: bytes) -> bool:
    """Whether a channel of an EXR holds floats of 32 bits."""
    values = [each.value for each in _attributes(header)[0] if each.name == b"channels"] if header else []
    return any(kind == _FLOAT for value in values for _, kind in _channels(value))


def _channels(value: bytes) -> list[tuple[bytes, int]]:
    """The channels in a list of them: the name and the number of its type, the first of 16 bytes after it."""
    found = []
    while len(value) > 1 and value[0]:
        name, _, rest = value.partition(b"\0")
        found.append((name, rest[0] if rest else 0))
        value = rest[16:]
    return found


def _with_attributes(data: bytes, height: int, input_header: bytes) -> bytes:
    """An EXR file with the attributes of another that do not say how its pixels are stored."""
    own, end = _attributes(data)
    theirs = [each for each in _attributes(input_header)[0] if each.name not in _CODING]
    names = {each.name for each in theirs}
    head = data[:8] + b"".join(each.whole for each in own if each.name not in names)
    head += b"".join(each.whole for each in theirs)
    if any(len(name) > 31 for name in names):
        head = head[:4] + (int.from_bytes(head[4:8], "little") | _LONG_NAMES).to_bytes(4, "little") + head[8:]
    chunks = -(-height // _SCANLINES_A_CHUNK)
    table = end + 1
    offsets = struct.unpack_from(f"<{chunks}Q", data, table)
    moved = struct.pack(f"<{chunks}Q", *(offset + len(head) - end for offset in offsets))
    return head + b"\0" + moved + data[table + 8 * chunks :]

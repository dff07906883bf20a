"""The shape of pixels in Matroska and WebM, where FFmpeg's muxer asks the stream for it, and PyAV sets it in the
parameters of the codec alone (findings/pyav-aspect-matroska.sh).

Room for it is left in the stream's name, and used once the file is complete; no other byte of it moves.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

FORMATS = frozenset({"matroska", "webm"})
_ROOM = re.compile(rb"<pixels (\d+):(\d+)>\.*\Z")
_ROOM_BYTES = 50

_HEAD_BYTES = 12
"""Of an element's kind and size, at most."""
_LARGEST = 1 << 14
"""Beyond that, a display size is rounded."""
_RATIO = 3
"""The unit of a display size that is a ratio and not in pixels."""
_SEGMENT, _TRACKS, _ENTRY = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae"
_NAME, _VIDEO, _VOID, _CRC = b"\x53\x6e", b"\xe0", b"\xec", b"\xbf"
_WIDTH, _HEIGHT, _SHOWN_WIDTH, _SHOWN_HEIGHT, _UNIT = b"\xb0", b"\xba", b"\x54\xb0", b"\x54\xba", b"\x54\xb2"


def room_for(ratio: Fraction) -> str:
    """The end of the name of a stream whose pixels are to have this width by their height."""
    return f"<pixels {ratio.numerator}:{ratio.denominator}>".ljust(_ROOM_BYTES, ".")


def write_aspects(file: BinaryIO) -> None:
    """Write the display sizes (RFC 9559, 5.1.4.1.28) of the streams with room for one, and their names without it.

    Args:
        file: a complete Matroska or WebM file, open for reading and writing.

    Raises:
        OSError: if that fails.
    """
    place: tuple[int, int] | None = (0, file.seek(0, os.SEEK_END))
    for kind in (_SEGMENT, _TRACKS):
        place = place and next(((start, end) for found, start, end in _places(file, *place) if found == kind), None)
    if place is not None:
        start, end = place
        file.seek(start)
        tracks = file.read(end - start)  # with subtitles that bring their fonts along, megabytes
        file.seek(start)
        file.write(_tracks(tracks))


def _tracks(tracks: bytes) -> bytes:
    """The content of the list of tracks, of the same length."""
    content, check = b"", False
    for kind, at, start, end in _elements(tracks, 0, len(tracks)):
        raw = tracks[at:end]
        if kind == _CRC:
            check = True
        elif kind == _ENTRY:
            content += tracks[at:start] + _entry(tracks[start:end])
        else:
            content += raw
    return _element(_CRC, zlib.crc32(content).to_bytes(4, "little")) + content if check else content


def _entry(entry: bytes) -> bytes:
    """The content of one track, of the same length: what its name had as room is now its display size and a void."""
    parts = [(kind, entry[at:end], entry[start:end]) for kind, at, start, end in _elements(entry, 0, len(entry))]
    room = next((found for kind, _, payload in parts if kind == _NAME and (found := _ROOM.search(payload))), None)
    if room is None:
        return entry
    ratio = Fraction(int(room[1]), int(room[2]))
    content = b""
    for kind, raw, payload in parts:
        if kind == _NAME:
            name = payload[: room.start()]
            content += _element(_NAME, name) if name else b""
        elif kind == _VIDEO:
            content += _element(_VIDEO, _video(payload, ratio))
        else:
            content += raw
    return content + _element(_VOID, bytes(len(entry) - len(content) - 2))


def _video(video: bytes, ratio: Fraction) -> bytes:
    """How the pictures of a track are, with a display size: in pixels if these are whole numbers, or a ratio."""
    places = list(_elements(video, 0, len(video)))
    sides = {kind: int.from_bytes(video[start:end], "big") for kind, _, start, end in places}
    width = ratio * sides[_WIDTH]
    times = width.denominator
    if max(width.numerator, sides[_HEIGHT] * times) > _LARGEST:
        times = 1
    shown = [(_SHOWN_WIDTH, max(round(width * times), 1)), (_SHOWN_HEIGHT, sides[_HEIGHT] * times)]
    if times > 1:
        shown.append((_UNIT, _RATIO))
    kept = (video[at:end] for kind, at, _, end in places if kind not in (_SHOWN_WIDTH, _SHOWN_HEIGHT, _UNIT))
    return b"".join((*kept, *(_element(kind, number.to_bytes(4, "big")) for kind, number in shown)))


def _places(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each element of a file, and where its content begins and ends."""
    while at < end:
        file.seek(at)
        head = file.read(_HEAD_BYTES).ljust(_HEAD_BYTES, b"\0")
        found = next(_elements(head, 0, end - at), None)
        if found is None:
            return
        kind, _, start, after = found
        yield kind, at + start, at + after
        at += after


def _elements(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Each element's kind, and where it, its content and the next one begin; one of unknown size lasts until `end`."""
    while at < end and data[at]:
        content = at + 9 - data[at].bit_length()
        kind = data[at:content]
        if content >= end or not data[content]:
            return
        digits = 9 - data[content].bit_length()
        size = int.from_bytes(data[content : content + digits], "big") & ((1 << 7 * digits) - 1)
        start = content + digits
        after = end if size == (1 << 7 * digits) - 1 else start + size
        yield kind, at, start, after
        at = after


def _element(kind: bytes, content: bytes) -> bytes:
    digits = next(digits for digits in range(1, 9) if len(content) < (1 << 7 * digits) - 1)
    return kind + (1 << 7 * digits | len(content)).to_bytes(digits, "big") + content

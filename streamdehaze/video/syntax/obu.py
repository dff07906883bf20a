"""HDR10+ in AV1 streams: metadata units (AV1 Bitstream & Decoding Process Specification, 5.8; HDR10+ AV1, 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_METADATA, _ITUT_T35 = 5, 4
"""Type of a unit, and of what is in it."""
_OF_PICTURES = (3, 6)
"""Types of units that begin a picture: its header alone, or all of it."""


def t35_messages(picture: bytes) -> list[bytes]:
    """The payloads of T.35 messages in an encoded picture, from the country's code on."""
    found = []
    for _, kind, content in _units(picture):
        if kind == _METADATA and content[:1] == bytes([_ITUT_T35]):
            found.append(content[1:].rstrip(b"\0").removesuffix(b"\x80"))  # without the trailing bits
    return found


def with_t35_messages(picture: bytes, payloads: Sequence[bytes]) -> bytes:
    """An encoded picture with T.35 messages in front of its first frame."""
    place = next((at for at, kind, _ in _units(picture) if kind in _OF_PICTURES), None)
    if place is None:
        return picture
    units = b""
    for payload in payloads:
        content = bytes([_ITUT_T35]) + payload + b"\x80"
        units += bytes([_METADATA << 3 | 2]) + _leb128(len(content)) + content
    return picture[:place] + units + picture[place:]


def _units(picture: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Place, type and content of each unit, to the first that is cut off."""
    at = 0
    while at < len(picture):
        head, begin = picture[at], at + 1 + (picture[at] >> 2 & 1)
        end = len(picture)
        if head & 2:
            size = shift = 0
            while begin < len(picture):
                byte = picture[begin]
                begin += 1
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128 or shift > 56:
                    break
            end = begin + size
        if end > len(picture):
            return
        yield at, head >> 3 & 15, picture[begin:end]
        at = end


def _leb128(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])

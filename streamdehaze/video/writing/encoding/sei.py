"""User data in H.264 and HEVC streams (SEI messages): dates of AVCHD cameras, stamps of network and body cameras.

And what HEVC carries of HDR for each picture, as it is: HDR10+ (messages too) and Dolby Vision (units of type 62).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_START = b"\0\0\1"
_REGISTERED, _UNREGISTERED = 4, 5
"""Types of messages with user data."""
_HDR10_PLUS = bytes.fromhex("b5003c000104")
"""Country, provider and application of such data (SMPTE ST 2094-40)."""
_PREFIX_SEI, _DOLBY_VISION = 39, 62
_H264_SEI = b"\x06"
_HEVC_SEI = b"\x4e\x01"
"""Header of a prefix SEI unit, type 39 (ITU-T H.265, table 7-1)."""
_FIRST_SLICE = {"h264": range(1, 6), "hevc": range(32)}
"""Types of units that hold pictures."""


@dataclass(frozen=True)
class DynamicHdr:
    """What an HEVC picture says of its own brightness."""

    hdr10_plus: tuple[bytes, ...] = ()
    """Payloads of SEI messages of type 4."""
    dolby_vision: tuple[bytes, ...] = ()
    """Whole units."""

    @classmethod
    def of(cls, packet: bytes, length_bytes: int) -> DynamicHdr | None:
        """What is in an encoded picture; None if nothing is.

        Args:
            packet: its units.
            length_bytes: of the length before each unit; 0 for start codes instead (ITU-T H.265, annex B).
        """
        kinds = [(unit[0] >> 1 & 63, unit) for unit in _units(packet, length_bytes) if len(unit) > 2]
        payloads = [
            payload
            for kind, unit in kinds
            if kind == _PREFIX_SEI and _HDR10_PLUS in unit
            for number, payload in _messages(unit[2:].replace(b"\0\0\3", b"\0\0"))
            if number == _REGISTERED and payload.startswith(_HDR10_PLUS)
        ]
        dolby = [unit for kind, unit in kinds if kind == _DOLBY_VISION]
        return cls(tuple(payloads), tuple(dolby)) if payloads or dolby else None


def with_user_data(picture: bytes, codec: str, data: Sequence[bytes], hdr: DynamicHdr | None = None) -> bytes:
    """An encoded picture with user data in front of its first slice, and with HDR of its own.

    Args:
        picture: all units of it, each after a start code (ITU-T H.264, annex B).
        codec: "h264" or "hevc".
        data: the payloads of SEI messages of type 5, each a UUID and what belongs to it.
        hdr: what belongs to an HEVC picture.
    """
    place = _first_slice(picture, codec)
    if place is None:
        return picture
    header = _H264_SEI if codec == "h264" else _HEVC_SEI
    messages = [(_UNREGISTERED, each) for each in data]
    messages += [(_REGISTERED, each) for each in (hdr.hdr10_plus if hdr is not None else ())]
    units = b"".join(b"\0" + _START + header + _escaped(_message(*each)) for each in messages)
    after = b"".join(b"\0" + _START + each for each in (hdr.dolby_vision if hdr is not None else ()))
    return picture[:place] + units + picture[place:] + after


def _first_slice(picture: bytes, codec: str) -> int | None:
    """Where the start code of the first unit with a picture lies; None for a picture in another form."""
    if not picture.startswith((_START, b"\0" + _START)):
        return None
    at = picture.find(_START)
    while 0 <= at < len(picture) - 3:
        head = picture[at + 3]
        if (head & 31 if codec == "h264" else head >> 1 & 63) in _FIRST_SLICE[codec]:
            return at - 1 if at and picture[at - 1] == 0 else at
        at = picture.find(_START, at + 3)
    return None


def _units(packet: bytes, length_bytes: int) -> Iterator[bytes]:
    if not length_bytes:
        yield from (unit.rstrip(b"\0") for unit in packet.split(_START)[1:])
        return
    at = 0
    while at + length_bytes < len(packet):
        size = int.from_bytes(packet[at : at + length_bytes], "big")
        at += length_bytes
        yield packet[at : at + size]
        at += size


def _messages(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of the messages in an SEI unit (ITU-T H.265, 7.3.5)."""
    at = 0
    while at + 2 < len(content):
        numbers = []
        for _ in range(2):
            number = 0
            while at < len(content) and content[at] == 255:
                number += 255
                at += 1
            number += content[at] if at < len(content) else 0
            at += 1
            numbers.append(number)
        kind, size = numbers
        yield kind, content[at : at + size]
        at += size


def _message(kind: int, payload: bytes) -> bytes:
    """The payload of an SEI unit with one message, to the trailing bit (ITU-T H.264, 7.3.2.3.1)."""
    size = len(payload)
    head = bytes([kind]) + b"\xff" * (size // 255) + bytes([size % 255])
    return head + payload + b"\x80"


def _escaped(payload: bytes) -> bytes:
    """With a 3 wherever three bytes would look like a start code."""
    found = bytearray()
    zeros = 0
    for byte in payload:
        if zeros == 2 and byte <= 3:
            found.append(3)
            zeros = 0
        found.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(found)

"""User data in H.264 and HEVC streams (SEI messages): dates of AVCHD cameras, stamps of network and body cameras.

And what a picture says of its own looks, as it is: film grain and HDR10+ (messages too, the latter also in AV1) and
Dolby Vision (units of type 62).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from streamdehaze.video.syntax.obu import t35_messages, with_t35_messages

Units = Literal["h264", "hevc", "av1"]
"""The codecs whose pictures can be given more than an encoder writes."""
_START = b"\0\0\1"
_REGISTERED, _UNREGISTERED, _FILM_GRAIN = 4, 5, 19
"""Types of messages: with user data, and with film grain characteristics."""
_HDR10_PLUS = bytes.fromhex("b5003c000104")
"""Country, provider and application of such data (SMPTE ST 2094-40)."""
_SEI = {"h264": 6, "hevc": 39}
_DOLBY_VISION = 62
_SEQUENCE = 7
"""Type of a unit of H.264 with the parameters of a sequence."""
_H264_SEI = b"\x06"
_HEVC_SEI = b"\x4e\x01"
"""Header of a prefix SEI unit, type 39 (ITU-T H.265, table 7-1)."""
_FIRST_SLICE = {"h264": range(1, 6), "hevc": range(32)}
"""Types of units that hold pictures."""


@dataclass(frozen=True)
class PictureNotes:
    """What a picture says of its own looks."""

    hdr10_plus: tuple[bytes, ...] = ()
    """Payloads of T.35 messages, from the country's code on."""
    dolby_vision: tuple[bytes, ...] = ()
    """Whole units of HEVC."""
    film_grain: tuple[bytes, ...] = ()
    """Payloads of SEI messages of type 19, which end otherwise in H.264 than in HEVC."""

    @classmethod
    def of(cls, packet: bytes, codec: Units, length_bytes: int = 0) -> PictureNotes | None:
        """What is in an encoded picture; None if nothing is.

        Args:
            packet: its units.
            codec: of it.
            length_bytes: of the length before each unit; 0 for start codes instead (ITU-T H.265, annex B).
        """
        if codec == "av1":
            found = cls(tuple(each for each in t35_messages(packet) if each.startswith(_HDR10_PLUS)))
            return found if found.hdr10_plus else None
        kinds = [(_kind(unit[0], codec), unit) for unit in units_of(packet, length_bytes) if len(unit) > 2]
        header = len(_H264_SEI if codec == "h264" else _HEVC_SEI)
        messages = [
            message
            for kind, unit in kinds
            if kind == _SEI[codec]
            for message in _messages(unit[header:].replace(b"\0\0\3", b"\0\0"))
        ]
        found = cls(
            tuple(load for kind, load in messages if kind == _REGISTERED and load.startswith(_HDR10_PLUS)),
            tuple(unit for kind, unit in kinds if kind == _DOLBY_VISION and codec == "hevc"),
            tuple(load for kind, load in messages if kind == _FILM_GRAIN),
        )
        return found if found.hdr10_plus or found.dolby_vision or found.film_grain else None


def with_user_data(picture: bytes, codec: Units, data: Sequence[bytes], notes: PictureNotes | None = None) -> bytes:
    """An encoded picture with user data in front of its first slice, and with what it says of its looks.

    Args:
        picture: all units of it; of H.264 and HEVC each after a start code (ITU-T H.264, annex B).
        codec: of it.
        data: the payloads of SEI messages of type 5, each a UUID and what belongs to it; not for AV1.
        notes: what it says of its looks, of which AV1 takes HDR10+.
    """
    notes = notes or PictureNotes()
    if codec == "av1":
        return with_t35_messages(picture, notes.hdr10_plus)
    place = _first_slice(picture, codec)
    if place is None:
        return picture
    header = _H264_SEI if codec == "h264" else _HEVC_SEI
    messages = [(_UNREGISTERED, each) for each in data]
    messages += [(_REGISTERED, each) for each in notes.hdr10_plus]
    messages += [(_FILM_GRAIN, each) for each in notes.film_grain]
    units = b"".join(b"\0" + _START + header + _escaped(_message(*each)) for each in messages)
    after = b"".join(b"\0" + _START + each for each in notes.dolby_vision)
    return picture[:place] + units + picture[place:] + after


def without_fixed_rate(units: bytes, ticks_a_second: int) -> bytes:
    """Units of H.264 whose sequence parameter sets do not call the rate fixed any more (ITU-T H.264, E.1.1).

    x264 does with the tune zerolatency, and without its option for that it would hold a picture back; FFmpeg's filter
    h264_metadata cannot take it back, since it expects another flag to follow.

    Args:
        units: each after a start code.
        ticks_a_second: that they state, of one unit a tick.
    """
    timing = f"1{1:032b}{ticks_a_second:032b}"
    parts = units.split(_START)
    for index, part in enumerate(parts):
        if part and _kind(part[0], "h264") == _SEQUENCE:
            content = part.replace(b"\0\0\3", b"\0\0")
            bits = f"{int.from_bytes(content, 'big'):0{8 * len(content)}b}".replace(f"{timing}1", f"{timing}0", 1)
            parts[index] = _escaped(int(bits, 2).to_bytes(len(content), "big"))
    return _START.join(parts)


def _first_slice(picture: bytes, codec: str) -> int | None:
    """Where the start code of the first unit with a picture lies; None for a picture in another form."""
    if not picture.startswith((_START, b"\0" + _START)):
        return None
    at = picture.find(_START)
    while 0 <= at < len(picture) - 3:
        if _kind(picture[at + 3], codec) in _FIRST_SLICE[codec]:
            return at - 1 if at and picture[at - 1] == 0 else at
        at = picture.find(_START, at + 3)
    return None


def _kind(head: int, codec: str) -> int:
    """The type of a unit by its first byte."""
    return head & 31 if codec == "h264" else head >> 1 & 63


def length_bytes_of(header: bytes, codec: str) -> int:
    """Bytes of the length before each unit of H.264 or HEVC, by the stream's header; 0 for start codes instead."""
    place = {"h264": 4, "hevc": 21}.get(codec, len(header))  # ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1
    return (header[place] & 3) + 1 if len(header) > place and header[0] == 1 else 0


def units_of(packet: bytes, length_bytes: int) -> Iterator[bytes]:
    """The units of a packet of H.264 or HEVC, after start codes (annex B of either) or after lengths of some bytes."""
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

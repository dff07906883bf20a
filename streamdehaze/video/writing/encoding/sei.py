"""User data in H.264 and HEVC streams (SEI messages): dates of AVCHD cameras, stamps of network and body cameras."""

from __future__ import annotations

from collections.abc import Sequence

_START = b"\0\0\1"
_USER_DATA_UNREGISTERED = 5
_H264_SEI = b"\x06"
_HEVC_SEI = b"\x4e\x01"
"""Header of a prefix SEI unit, type 39 (ITU-T H.265, table 7-1)."""
_FIRST_SLICE = {"h264": range(1, 6), "hevc": range(32)}
"""Types of units that hold pictures."""


def with_user_data(picture: bytes, codec: str, data: Sequence[bytes]) -> bytes:
    """An encoded picture with user data in front of its first slice.

    Args:
        picture: all units of it, each after a start code (ITU-T H.264, annex B).
        codec: "h264" or "hevc".
        data: the payloads of SEI messages of type 5, each a UUID and what belongs to it.
    """
    place = _first_slice(picture, codec)
    if place is None:
        return picture
    header = _H264_SEI if codec == "h264" else _HEVC_SEI
    units = b"".join(b"\0" + _START + header + _escaped(_message(each)) for each in data)
    return picture[:place] + units + picture[place:]


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


def _message(payload: bytes) -> bytes:
    """The payload of an SEI unit with one message, to the trailing bit (ITU-T H.264, 7.3.2.3.1)."""
    size = len(payload)
    head = bytes([_USER_DATA_UNREGISTERED]) + b"\xff" * (size // 255) + bytes([size % 255])
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

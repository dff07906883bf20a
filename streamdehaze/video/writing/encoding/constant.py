"""Constant bit rates, which broadcasters ask for: XDCAM, IMX and D-10 deliver MPEG-2 at one."""

from __future__ import annotations

from dataclasses import dataclass

_SEQUENCE, _EXTENSION, _PICTURE = b"\0\0\1\xb3", b"\0\0\1\xb5", b"\0\0\1\0"
_VARIABLE = 0xFFFF
"""The delay that a picture of a variable rate states (ISO/IEC 13818-2, 6.3.9)."""


@dataclass(frozen=True)
class ConstantRate:
    """What an MPEG-2 stream of constant bit rate says of it."""

    bits_a_second: int
    buffer_bits: int

    @classmethod
    def of(cls, packet: bytes) -> ConstantRate | None:
        """That of a stream that begins with this packet; None if its rate varies (ISO/IEC 13818-2, 6.2.2 and 6.2.3)."""
        sequence, extension, picture = (packet.find(code) + 4 for code in (_SEQUENCE, _EXTENSION, _PICTURE))
        if min(sequence, extension, picture) < 4 or len(packet) < max(sequence, extension, picture) + 8:
            return None
        if int.from_bytes(packet[picture : picture + 4], "big") >> 3 & 0xFFFF == _VARIABLE:
            return None
        head = int.from_bytes(packet[sequence : sequence + 8], "big")  # two sizes, aspect, rate, then these
        more = int.from_bytes(packet[extension : extension + 6], "big")
        rate = (head >> 14 & 0x3FFFF) | (more >> 17 & 0xFFF) << 18
        buffer = (head >> 3 & 0x3FF) | (more >> 8 & 0xFF) << 10
        return cls(rate * 400, buffer * 16384) if rate and buffer else None

    @property
    def options(self) -> dict[str, str]:
        """FFmpeg's options for an encoder."""
        rate = str(self.bits_a_second)
        return {"b": rate, "minrate": rate, "maxrate": rate, "bufsize": str(self.buffer_bits)}

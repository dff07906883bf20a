"""Whether a file is encrypted, where FFmpeg only finds it damaged."""

from __future__ import annotations

import os
from pathlib import Path

from streamdehaze.errors import SourceError
from streamdehaze.video.mp4 import index_of

_ENTRIES = (b"encv", b"enca")
"""Kinds of encrypted streams in MP4 and MOV files (ISO/IEC 23001-7)."""
_SYNC, _PACKET_BYTES = 0x47, 188
_SCRAMBLED = 0xC0
"""Bits of the fourth byte of a packet of a transport stream (ISO/IEC 13818-1, 2.4.3.2)."""
_LOOKED_AT = 1 << 20


def refuse_encrypted(path: str) -> None:
    """Check that a file that cannot be decoded is not encrypted; of a pipe, nothing is left to look at.

    Raises:
        SourceError: if it is.
    """
    if not os.path.isfile(path):
        return
    try:
        with open(path, "rb") as file:
            start = file.read(_LOOKED_AT)
        index = index_of(Path(path))
    except OSError:
        return
    packets = [start[at : at + 4] for at in range(0, len(start) - _PACKET_BYTES, _PACKET_BYTES)]
    is_stream = bool(packets) and all(packet[0] == _SYNC for packet in packets)
    is_scrambled = is_stream and sum(packet[3] & _SCRAMBLED > 0 for packet in packets) * 2 > len(packets)
    if is_scrambled or (index is not None and any(kind in index[1] for kind in _ENTRIES)):
        raise encrypted(path)


def encrypted(name: str) -> SourceError:
    """The error of a source that is."""
    return SourceError(f"'{name}' is encrypted; decrypt it first (no keys are taken here)")

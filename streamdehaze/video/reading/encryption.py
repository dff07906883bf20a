"""Whether a file is encrypted, where FFmpeg only finds it damaged."""

from __future__ import annotations

import os
from pathlib import Path

from streamdehaze.errors import SourceError
from streamdehaze.video.syntax.mp4 import index_of
from streamdehaze.video.syntax.transport import TransportStream

_ENTRIES = (b"encv", b"enca")
"""Kinds of encrypted streams in MP4 and MOV files (ISO/IEC 23001-7)."""
_SCRAMBLED = 0xC0
"""Bits of the fourth byte of a packet of a transport stream (ISO/IEC 13818-1, 2.4.3.2)."""


def refuse_encrypted(path: str) -> None:
    """Check that a file that cannot be decoded is not encrypted; of a pipe, nothing is left to look at.

    Raises:
        SourceError: if it is.
    """
    if not os.path.isfile(path):
        return
    try:
        with open(path, "rb") as file:
            stream = TransportStream.of(file)
        index = index_of(Path(path))
    except OSError:
        return
    packets = [] if stream is None else list(stream.packets())
    is_scrambled = sum(packet[3] & _SCRAMBLED > 0 for packet in packets) * 2 > len(packets)
    if is_scrambled or (index is not None and any(kind in index[1] for kind in _ENTRIES)):
        raise encrypted(path)


def encrypted(name: str) -> SourceError:
    """The error of a source that is."""
    return SourceError(f"'{name}' is encrypted; decrypt it first (no keys are taken here)")

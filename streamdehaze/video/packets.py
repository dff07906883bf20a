"""Encoded packets of one encoder run in a file of their own, until they are muxed.

A container would round their times (Matroska) or drop their durations (NUT); here they stay as they left the encoder.
Each packet is a head of 33 bytes, little-endian (PTS, DTS, duration: int64; size: uint64; flags: uint8), and its data.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from streamdehaze.durable import rename_durably

_HEAD = struct.Struct("<qqqQB")
_NO_TIME = -(1 << 63)
_KEYFRAME = 1
_CHUNK_BYTES = 1 << 20


class PacketFile:
    """Takes packets; the file has its name once `finish` has made sure of its content.

    Raises:
        OSError: whatever the file system says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._partial = path.with_name(f"{path.name}.part")
        self._file = open(self._partial, "wb", buffering=_CHUNK_BYTES)  # noqa: SIM115 (closed by finish or abort)
        self._digest = hashlib.blake2b(digest_size=16)

    def write(self, packets: list[av.Packet[Any]]) -> None:
        """Append packets whose times are in ticks."""
        for packet in packets:
            data = bytes(packet)
            times = (_NO_TIME if time is None else time for time in (packet.pts, packet.dts))
            flags = _KEYFRAME * packet.is_keyframe
            for piece in (_HEAD.pack(*times, packet.duration or 0, len(data), flags), data):
                self._file.write(piece)
                self._digest.update(piece)
                self.size_bytes += len(piece)

    def finish(self) -> str:
        """Give the file its name; the hash of its content."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        rename_durably(self._partial, self.path)
        return self._digest.hexdigest()

    def abort(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(OSError):  # fails once more where the disk is full
            self._file.close()
        self._partial.unlink(missing_ok=True)


def read_packets(path: Path, tick: Fraction) -> Iterator[av.Packet[Any]]:
    """The packets of a file, with times in ticks of `tick` seconds.

    Raises:
        ValueError: if the file is cut off.
        OSError: if it cannot be read.
    """
    with open(path, "rb", buffering=_CHUNK_BYTES) as file:
        left = os.fstat(file.fileno()).st_size
        while head := file.read(_HEAD.size):
            if len(head) < _HEAD.size:
                raise ValueError("a packet is cut off")
            pts, dts, duration, size, flags = _HEAD.unpack(head)
            left -= len(head) + size
            if left < 0:
                raise ValueError("a packet is cut off")
            packet: av.Packet[Any] = av.Packet(file.read(size))
            packet.pts = None if pts == _NO_TIME else pts
            packet.dts = None if dts == _NO_TIME else dts
            packet.duration = duration
            packet.time_base = tick
            packet.is_keyframe = bool(flags & _KEYFRAME)
            yield packet


def file_hash(path: Path) -> str:
    """32 hexadecimal digits of a file's content, as `PacketFile.finish` gives them.

    Raises:
        OSError: if it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()

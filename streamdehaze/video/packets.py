"""Encoded packets as plain bytes and times, independent of any container, and files of them.

A container would round their times (Matroska) or drop their durations (NUT); here they stay as they left the encoder.
In a file, each packet is a head of 33 bytes, little-endian (PTS, DTS, duration: int64; size: uint64; flags: uint8), and
its data.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from av.packet import Packet

from streamdehaze.durable import rename_durably
from streamdehaze.video.pyav import fraction

_HEAD = struct.Struct("<qqqQB")
_NO_TIME = -(1 << 63)
_KEYFRAME = 1
_CHUNK_BYTES = 1 << 20


class StreamFormat(Protocol):
    """The parameters of a stream, which muxers need before its first packet."""

    stream: Any
    """A PyAV stream that has them."""


@dataclass(frozen=True)
class EncodedPacket:
    """An encoded picture, or a packet of sound."""

    data: bytes = field(repr=False)
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction
    """Seconds a tick of the times."""
    is_keyframe: bool
    format: StreamFormat | None = field(default=None, repr=False)
    """Parameters of its stream; another object after any change."""
    arrival: float | None = None
    """When the frame it was made of arrived, monotonic seconds."""

    @classmethod
    def of(cls, packet: Packet[Any], format: StreamFormat | None = None, arrival: float | None = None) -> EncodedPacket:
        """A copy of a PyAV packet, without its side data."""
        return cls(
            bytes(packet),
            packet.pts,
            packet.dts,
            packet.duration or 0,
            fraction(packet.time_base),
            packet.is_keyframe,
            format,
            arrival,
        )

    @property
    def is_picture(self) -> bool:
        """Whether it belongs to the video."""
        return self.format is not None and self.format.stream.type == "video"

    def packet(self) -> Packet[Any]:
        """A new PyAV packet; it still needs its stream."""
        packet: Packet[Any] = Packet(self.data)
        packet.time_base = self.time_base
        packet.pts, packet.dts, packet.duration = self.pts, self.dts, self.duration
        packet.is_keyframe = self.is_keyframe
        return packet


class PacketFile:
    """Takes packets of one time base; the file has its name once `finish` has made sure of its content.

    Raises:
        OSError: whatever the file system reports.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._partial = path.with_name(f"{path.name}.part")
        self._file = open(self._partial, "wb", buffering=_CHUNK_BYTES)  # noqa: SIM115 (closed by finish or abort)
        self._digest = hashlib.sha256()

    def write(self, packets: Iterable[EncodedPacket]) -> None:
        """Append packets."""
        for packet in packets:
            times = (_NO_TIME if time is None else time for time in (packet.pts, packet.dts))
            flags = _KEYFRAME * packet.is_keyframe
            for piece in (_HEAD.pack(*times, packet.duration, len(packet.data), flags), packet.data):
                self._file.write(piece)
                self._digest.update(piece)
                self.size_bytes += len(piece)

    def finish(self) -> str:
        """Give the file its name; the SHA-256 of its content, hexadecimal."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        rename_durably(self._partial, self.path)
        return self._digest.hexdigest()

    def abort(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(OSError):  # fails again where the disk is full
            self._file.close()
        self._partial.unlink(missing_ok=True)


def read_packets(path: Path, tick: Fraction) -> Iterator[EncodedPacket]:
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
            pts, dts = (None if time == _NO_TIME else time for time in (pts, dts))
            yield EncodedPacket(file.read(size), pts, dts, duration, tick, bool(flags & _KEYFRAME))

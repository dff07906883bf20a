"""Packets and tables of MPEG transport streams, as far as FFmpeg leaves them to others (ISO/IEC 13818-1)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_PACKET, _SYNC = 188, 0x47
_STRIDES = (188, 192, 204)
"""Bytes from packet to packet: plain, after a time stamp (.m2ts), before a checksum."""
_TRIED = 8
"""Packets at whose beginnings a transport stream is known."""
_HEAD_BYTES = 1 << 23
"""The tables are repeated every 2 s at least, which of a whole satellite channel's stream are 8 MiB."""


@dataclass(frozen=True)
class TransportStream:
    """The beginning of a transport stream."""

    data: bytes
    first: int
    """Where its first packet is."""
    stride: int

    @classmethod
    def of(cls, file: BinaryIO) -> TransportStream | None:
        """That of a file at its beginning; None if it is something else."""
        head = file.read((_TRIED + 1) * _STRIDES[-1])
        places = itertools.product(range(_STRIDES[-1]), _STRIDES)
        grid = next(((at, by) for at, by in places if set(head[at : at + _TRIED * by : by]) == {_SYNC}), None)
        return None if grid is None else cls(head + file.read(_HEAD_BYTES), *grid)

    def packets(self, pid: int | None = None) -> Iterator[bytes]:
        """All packets, or those of one PID (2.4.3.2)."""
        data = self.data
        for at in range(self.first, len(data) - _PACKET + 1, self.stride):
            if data[at] == _SYNC and (pid is None or (data[at + 1] & 0x1F) << 8 | data[at + 2] == pid):
                yield data[at : at + _PACKET]

    def tables(self, pid: int, kind: int) -> Iterator[bytes]:
        """The whole tables of one kind on a PID, each once (2.4.4)."""
        seen, table = set(), b""
        for packet in self.packets(pid):
            begins, has_field, has_content = packet[1] & 0x40, packet[3] & 0x20, packet[3] & 0x10
            content = packet[5 + packet[4] if has_field else 4 :] if has_content else b""
            if begins and content:
                table = content[1 + content[0] :]
            elif table:
                table += content
            while len(table) > 3 and len(table) >= (size := 3 + (int.from_bytes(table[1:3], "big") & 0xFFF)):
                whole, table = table[:size], table[size:]
                if whole[0] == kind and whole not in seen and _is_sound(whole):
                    seen.add(whole)
                    yield whole


def _is_sound(table: bytes) -> bool:
    """Whether the checksum at the end is that of the rest."""
    check = 0xFFFFFFFF
    for byte in table:
        check ^= byte << 24
        for _ in range(8):
            check = (check << 1 ^ (0x04C11DB7 if check >> 31 else 0)) & 0xFFFFFFFF
    return check == 0

"""The directories of tags that TIFF files and EXIF blocks are made of (TIFF 6.0 section 2), byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol, SupportsIndex

SHORT, LONG, RATIONAL, ASCII, BYTE, UNDEFINED = 3, 4, 5, 2, 1, 7
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes a value by type; BigTIFF's 8-byte types are left out, as no classic TIFF can hold them."""
_CODES = {SHORT: "H", LONG: "I"}
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
"""Tags whose value is the offset of a further directory."""
_MOST_ENTRIES = 4096


class Bytes(Protocol):
    """bytes, or a file mapped into memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice[SupportsIndex | None, SupportsIndex | None, None]) -> bytes: ...


@dataclass(frozen=True)
class Entry:
    """The value of one tag as it is stored."""

    kind: int
    """Type number: 2 is ASCII, 3 SHORT, 4 LONG, 5 RATIONAL, 7 UNDEFINED, …"""
    count: int
    data: bytes
    """In the byte order of the directory."""


@dataclass(frozen=True)
class Directory:
    """Tags of one directory; the value of `EXIF`, `GPS` and `INTEROPERABILITY` is a directory itself."""

    order: Literal["<", ">"] = "<"
    """Byte order of every value: "<" or ">"."""
    entries: dict[int, Entry | Directory] = field(default_factory=dict)

    @classmethod
    def read(cls, block: Bytes) -> Directory:
        """The first directory of a TIFF file or EXIF block; what is damaged in it is left out."""
        head = block[0:16]
        if head[:2] not in (b"II", b"MM") or len(head) < 8:
            return cls()
        order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
        big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
        if big and len(head) < 16:
            return cls(order)
        (offset,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", head, 8 if big else 4)
        return _read_directory(block, order, offset, big, depth=0)

    def only(self, keep: Callable[[int], bool]) -> Directory:
        """The same with the tags that `keep` accepts."""
        return Directory(self.order, {tag: value for tag, value in self.entries.items() if keep(tag)})

    def data(self, tag: int) -> bytes:
        """The stored bytes of a tag; empty if it is not there."""
        entry = self.entries.get(tag)
        return entry.data if isinstance(entry, Entry) else b""

    def set_numbers(self, tag: int, kind: int, values: Iterable[int]) -> None:
        """Set a tag of type SHORT or LONG, or a RATIONAL in thousandths."""
        numbers = list(values)
        if kind == RATIONAL:
            data = b"".join(struct.pack(f"{self.order}II", number, 1000) for number in numbers)
        else:
            data = struct.pack(f"{self.order}{len(numbers)}{_CODES[kind]}", *numbers)
        self.entries[tag] = Entry(kind, len(numbers), data)

    def set_bytes(self, tag: int, kind: int, data: bytes) -> None:
        """Set a tag of type BYTE, ASCII or UNDEFINED."""
        self.entries[tag] = Entry(kind, len(data), data)

    def block(self) -> bytes:
        """A TIFF header and this directory after it: an EXIF block, or the head of a TIFF file."""
        mark = b"II" if self.order == "<" else b"MM"
        return mark + struct.pack(f"{self.order}HI", 42, 8) + self._laid_out(8)

    def _laid_out(self, start: int) -> bytes:
        """The directory as stored from byte `start` of its file, its longer values after it."""
        table = [struct.pack(f"{self.order}H", len(self.entries))]
        tail = b""
        tail_start = start + 2 + 12 * len(self.entries) + 4
        for tag, value in sorted(self.entries.items()):
            where = tail_start + len(tail)
            if isinstance(value, Directory):
                kind, count, data = LONG, 1, struct.pack(f"{self.order}I", where)
                tail += value._laid_out(where)
            elif len(value.data) <= 4:
                kind, count, data = value.kind, value.count, value.data.ljust(4, b"\0")
            else:
                kind, count, data = value.kind, value.count, struct.pack(f"{self.order}I", where)
                tail += value.data
            tail += b"\0" * (len(tail) % 2)
            table.append(struct.pack(f"{self.order}HHI", tag, kind, count) + data)
        return b"".join([*table, bytes(4), tail])


def _read_directory(block: Bytes, order: Literal["<", ">"], offset: int, big: bool, depth: int) -> Directory:
    head, slot = ("Q", 8) if big else ("H", 4)
    head_size, size = struct.calcsize(f"{order}{head}"), 20 if big else 12
    found = Directory(order)
    start = block[offset : offset + head_size]
    count = struct.unpack(f"{order}{head}", start)[0] if len(start) == head_size else 0
    table = block[offset + head_size : offset + head_size + size * min(count, _MOST_ENTRIES)]
    for at in range(0, len(table) - size + 1, size):
        tag, kind, number = struct.unpack_from(f"{order}HH{'Q' if big else 'I'}", table, at)
        stored = table[at + size - slot : at + size]
        (pointer,) = struct.unpack(f"{order}{'Q' if big else 'I'}", stored)
        if tag in (EXIF, GPS, INTEROPERABILITY):
            inner = _read_directory(block, order, pointer, big, depth + 1) if depth < 3 else Directory(order)
            if inner.entries:
                found.entries[tag] = inner
        elif kind in _SIZES:
            length = _SIZES[kind] * number
            data = stored[:length] if length <= slot else block[pointer : pointer + length]
            if len(data) == length:
                found.entries[tag] = Entry(kind, number, data)
    return found

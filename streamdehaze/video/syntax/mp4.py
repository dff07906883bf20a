"""Boxes of MP4 and MOV files (ISO/IEC 14496-12), as far as FFmpeg leaves them to others."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_ENTRY_BYTES = 86
"""Bytes of a visual sample entry with its head, before its own boxes (ISO/IEC 14496-12, 12.1.3)."""
_INSIDE = (b"mdia", b"minf", b"stbl", b"stsd")
"""From a track to its sample entries."""
_LARGEST_INDEX = 256 << 20


@dataclass(frozen=True)
class Box:
    """A box, and where it lies."""

    kind: bytes
    at: int
    size: int


def video_boxes(path: str | os.PathLike[str], kinds: Collection[bytes]) -> list[bytes]:
    """The boxes of some kinds in the sample entry of a file's first video; none of any other kind of file.

    Raises:
        OSError: if it cannot be read.
    """
    index = index_of(Path(path))
    entry = None if index is None else _entry_of(index[1])
    if index is None or entry is None:
        return []
    content = index[1]
    inside = boxes_in(content, entry[-1].at + _ENTRY_BYTES, entry[-1].at + entry[-1].size)
    return [content[box.at : box.at + box.size] for box in inside if box.kind in kinds]


def add_video_boxes(path: Path, boxes: bytes) -> bool:
    """Add boxes to the first video of a file whose index lies at its end; False if that cannot be done.

    Raises:
        OSError: if it cannot be written.
    """
    found = index_of(path)
    entry = None if found is None else _entry_of(found[1])
    if found is None or entry is None or found[0] + len(found[1]) != path.stat().st_size:
        return False  # what follows the index would move, and with it all that the index points to
    start, index = found[0], bytearray(found[1])
    for box in entry:
        index[box.at : box.at + 4] = (box.size + len(boxes)).to_bytes(4, "big")
    end = entry[-1].at + entry[-1].size
    index[end:end] = boxes
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(index)
    return True


def index_of(path: Path) -> tuple[int, bytes] | None:
    """Where the box "moov" of a file lies, and its content, head and all; None if there is none."""
    for box in outermost(path):
        if box.kind == b"moov" and box.size <= _LARGEST_INDEX:
            with open(path, "rb") as file:
                file.seek(box.at)
                return box.at, file.read(box.size)
    return None


def outermost(path: Path) -> Iterator[Box]:
    """The boxes that a file consists of; none of a file that is neither MP4 nor MOV."""
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        at = 0
        while at + 8 <= end:
            file.seek(at)
            head = file.read(16)
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            size = int.from_bytes(head[8:16], "big") if size == 1 else end - at if size == 0 else size
            if size < 8 or (at == 0 and kind not in (b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip")):
                return
            yield Box(kind, at, size)
            at += size


def boxes_in(content: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes that lie one after the other in a part of some bytes."""
    while start + 8 <= end:
        size = int.from_bytes(content[start : start + 4], "big")
        if size < 8 or start + size > end:
            return
        yield Box(content[start + 4 : start + 8], start, size)
        start += size


def _entry_of(index: bytes) -> list[Box] | None:
    """The sample entry of the first video, after all boxes it lies in, from the outermost on."""
    root = Box(b"moov", 0, len(index))
    for track in boxes_in(index, 8, len(index)):
        if track.kind != b"trak" or b"vide" not in index[track.at : track.at + track.size][:4096]:
            continue
        chain = [root, track]
        for kind in _INSIDE:
            inside = boxes_in(index, chain[-1].at + 8, chain[-1].at + chain[-1].size)
            box = next((box for box in inside if box.kind == kind), None)
            if box is None:
                break
            chain.append(box)
        else:
            start = chain[-1].at + 16  # version, flags and count
            entry = next(boxes_in(index, start, chain[-1].at + chain[-1].size), None)
            return None if entry is None or entry.size < _ENTRY_BYTES else [*chain, entry]
    return None

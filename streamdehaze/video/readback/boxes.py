"""What cameras put into MP4 and MOV files in boxes of their own, which FFmpeg neither reads nor writes."""

from __future__ import annotations

import os
from pathlib import Path

from streamdehaze.video.syntax.mp4 import boxes_in, index_of, outermost

_OF_FILES = frozenset(b"ftyp moov mdat free skip wide moof mfra sidx ssix styp pdin emsg prft meta pnot PICT".split())
_OF_INDEXES = frozenset(b"mvhd trak mvex iods udta meta free skip cmov clip ctab ainf pssh".split())
_OF_USERS = frozenset(
    b"meta name titl auth cprt dscp gnre perf albm yrrc loci chpl hnti hinf manu modl kywd date free skip".split()
    + b"SelO AllF WLOC LOOP Xtra".split()
)
"""Boxes of user data that are read, or say how a player shows its window; those that begin with \xa9 are read, too."""
_LONGEST_PADDING = 64
"""Bytes after the last box that mean nothing."""


def camera_boxes(path: str | os.PathLike[str]) -> list[str]:
    """The parts of a file that only its camera's programs read, as text; empty for any file that is neither MP4 nor
    MOV.

    Raises:
        OSError: if it cannot be read.
    """
    found = index_of(Path(path))
    if found is None:
        return []
    index = found[1]
    inside = list(boxes_in(index, 8, len(index)))
    kinds = [box.kind for box in inside if box.kind not in _OF_INDEXES]
    for user in (box for box in inside if box.kind == b"udta"):
        of_users = boxes_in(index, user.at + 8, user.at + user.size)
        kinds += [box.kind for box in of_users if box.kind not in _OF_USERS and box.kind[0] != 0xA9]
    size = after = os.path.getsize(path)
    for box in outermost(Path(path)):
        if box.at + box.size > size or not box.kind.strip().isalnum():
            after = 0 if box.kind in _OF_FILES else size - box.at  # a part of the film that is cut off
            break
        kinds += [box.kind] if box.kind not in _OF_FILES else []
        after = size - box.at - box.size
    names = sorted({kind.decode("latin-1").strip() for kind in kinds})
    boxes = f"{'boxes' if len(names) > 1 else 'box'} {', '.join(names)}"
    lost = [f"{boxes} (for programs of the camera's maker)"] if names else []
    return lost + ([f"{after} bytes after the film"] if after > _LONGEST_PADDING else [])

"""Still pictures and sequences of them: read as frames, written with everything their files said besides the pixels."""

from __future__ import annotations

import os
from pathlib import Path

from streamdehaze.video.picture.formats import FORMATS, format_for
from streamdehaze.video.picture.sequence import SequenceSink, SequenceSource
from streamdehaze.video.picture.sink import PictureSink
from streamdehaze.video.picture.source import PictureSource
from streamdehaze.video.sequence import is_sequence

__all__ = ["PICTURE_SUFFIXES", "PictureSink", "PictureSource", "SequenceSink", "SequenceSource", "is_picture"]

PICTURE_SUFFIXES = frozenset(suffix for entry in FORMATS for suffix in entry.suffixes)
"""Lower-case file name endings of still pictures, the dot included."""

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"BM")
_SIGNATURES_INSIDE = {4: b"ftypavif", 8: b"WEBP"}


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a still picture: by its ending, or by its first bytes where it has none."""
    if "://" in os.fspath(path) or is_sequence(path):
        return False
    path = Path(path)
    if path.suffix:
        return format_for(path.suffix) is not None
    if not path.is_file():  # what is read from a named pipe is gone
        return False
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    inside = any(head[start:] == signature for start, signature in _SIGNATURES_INSIDE.items())
    return inside or head.startswith(_SIGNATURES)

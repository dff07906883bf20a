"""What runtimes keep for themselves beside an engine, used again only while its bytes are as they were.

OpenVINO takes a compiled model in whose weights bits have flipped and infers wrong pictures with it (2026.4), so each
such file has its hash noted beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from streamdehaze.engine.cache import file_hash


def note(files: Iterable[Path]) -> None:
    """Note the hashes of files that are new."""
    for file in files:
        beside = _note_of(file)
        if not beside.exists():
            partial = beside.with_name(f"{beside.name}.{os.getpid()}")
            partial.write_text(file_hash(file), encoding="ascii")
            partial.replace(beside)


def drop_altered(files: Iterable[Path]) -> None:
    """Delete files that are not what was noted of them, or of which nothing was."""
    for file in list(files):
        beside = _note_of(file)
        if not beside.is_file() or beside.read_text(encoding="ascii", errors="replace") != file_hash(file):
            file.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)


def _note_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")

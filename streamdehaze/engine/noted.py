"""What runtimes keep for themselves beside an engine, used again only while its bytes are as they were.

OpenVINO takes a compiled model in whose weights bits have flipped and infers wrong pictures with it (2026.4), so each
such file has its hash noted beside it. Where there is no space or no permission nothing is kept: it only saves time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from streamdehaze.engine.cache import file_hash


def keep(file: Path, content: bytes) -> None:
    """Write a file and note its hash, if that can be done."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        _note_of(file).unlink(missing_ok=True)
        _write(file, content)
        note([file])


def note(files: Iterable[Path]) -> None:
    """Note the hashes of files that are new, if that can be done."""
    for file in files:
        with contextlib.suppress(OSError):
            if not _note_of(file).exists():
                _write(_note_of(file), file_hash(file).encode("ascii"))


def drop_altered(files: Iterable[Path]) -> None:
    """Delete files that are not what was noted of them, or of which nothing was.

    Raises:
        OSError: if one cannot be read or deleted: then none of them may be used.
    """
    for file in list(files):
        beside = _note_of(file)
        if not beside.is_file() or beside.read_text(encoding="ascii", errors="replace") != file_hash(file):
            file.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)


def _write(file: Path, content: bytes) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _note_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")

"""Files that runtimes cache next to an engine, used again only while their bytes are unchanged.

OpenVINO takes a compiled model in whose weights bits have flipped and infers wrong pictures with it (2026.4), so each
such file has its hash next to it. Where there is no space or no permission nothing is cached: it only saves time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from streamdehaze.durable import file_sha256, write_whole


def keep(file: Path, content: bytes) -> None:
    """Write a file and its hash, if that can be done."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        _hash_file(file).unlink(missing_ok=True)
        write_whole(file, content)
        write_hashes([file])


def write_hashes(files: Iterable[Path]) -> None:
    """Write the hashes of files that have none yet, if that can be done."""
    for file in files:
        with contextlib.suppress(OSError):
            if not _hash_file(file).exists():
                write_whole(_hash_file(file), file_sha256(file).encode("ascii"))


def drop_altered(files: Iterable[Path]) -> None:
    """Delete files that differ from their hash or have none.

    Raises:
        OSError: if one cannot be read or deleted: then none of them may be used.
    """
    for file in list(files):
        known = _hash_file(file)
        if not known.is_file() or known.read_text(encoding="ascii", errors="replace") != file_sha256(file):
            file.unlink(missing_ok=True)
            known.unlink(missing_ok=True)


def _hash_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")

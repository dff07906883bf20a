"""The folder NAME.part beside an output: what is kept there of unfinished work."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from filelock import Timeout as LockTimeout

from streamdehaze.errors import SinkError
from streamdehaze.video.manifest import Identity, read_manifest


def part_folder(path: str | os.PathLike[str]) -> Path:
    """Where the segments of an output lie until it is whole."""
    return Path(f"{os.fspath(path)}.part")


@dataclass(frozen=True)
class Kept:
    """Unfinished work that is kept for another run."""

    folder: Path
    frames: int
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.frames} frames ({self.size_bytes / 1e6:.1f} MB) are kept in '{self.folder}'"


def kept_work(path: str | os.PathLike[str]) -> Kept | None:
    """What is kept of an output that is not finished; None if nothing is."""
    folder = part_folder(path)
    with contextlib.suppress(SinkError):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.segments and (manifest.published is None or not os.path.exists(path)):
            return Kept(folder, manifest.frames, manifest.size_bytes)
    return None


def find_kept(place: Path) -> list[Kept]:
    """Unfinished work at a place: of that output, or in that folder and those inside it."""
    folders = [place] if place.name.endswith(".part") else sorted(place.rglob("*.part"))
    found = [kept_work(folder.with_suffix("")) for folder in folders if folder.is_dir()]
    return [kept for kept in found if kept is not None]


def remove_kept(kept: Kept) -> None:
    """Remove unfinished work.

    Raises:
        SinkError: if a run is busy with it.
    """
    lock = FileLock(kept.folder / "lock")
    try:
        with lock.acquire(timeout=0):
            shutil.rmtree(kept.folder)
    except LockTimeout as error:
        raise SinkError(f"'{kept.folder}' is not removed: a run is busy with it") from error
    except OSError as error:
        raise SinkError(f"'{kept.folder}' cannot be removed: {error.strerror}") from error


def is_finished(path: str | os.PathLike[str]) -> bool:
    """Whether an output is a file already; what is left of the work on it is removed."""
    sweep(path)
    return os.path.isfile(path)


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove the segments of an output that got its final name just before the process ended."""
    folder = part_folder(path)
    with contextlib.suppress(SinkError, OSError):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.published == Identity.of(path):
            shutil.rmtree(folder)

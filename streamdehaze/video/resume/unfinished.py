"""The folder NAME.part next to an output: the finished segments of unfinished work."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from filelock import Timeout as LockTimeout

from streamdehaze.durable import sync_folder
from streamdehaze.errors import SinkError, counted
from streamdehaze.video.resume.cut import Cut
from streamdehaze.video.resume.manifest import (
    MANIFEST,
    PLAN,
    RECORD,
    FileIdentity,
    Manifest,
    Segment,
    read_cut,
    read_manifest,
    whole_segments,
    write_manifest,
)

log = logging.getLogger("streamdehaze")


def part_folder(path: str | os.PathLike[str]) -> Path:
    """Where the segments of an output lie until it is whole."""
    return Path(f"{os.fspath(path)}.part")


@dataclass(frozen=True)
class Unfinished:
    """Unfinished work that another run can continue."""

    folder: Path
    frames: int
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.amount} are kept in '{self.folder}'"

    @property
    def amount(self) -> str:
        """Frames and disk space in words."""
        return f"{self.frames} frames ({self.size_bytes / 1e6:.1f} MB)"


def unfinished_work(path: str | os.PathLike[str]) -> Unfinished | None:
    """What is left of the work on an output that is not finished; None if nothing is."""
    folder = part_folder(path)
    with contextlib.suppress(SinkError):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.segments and (manifest.published is None or not os.path.exists(path)):
            return Unfinished(folder, manifest.frames, manifest.size_bytes)
        if manifest is None and (folder / PLAN).exists():
            return Unfinished(folder, *_made_apart(folder))
    return None


def _made_apart(folder: Path) -> tuple[int, int]:
    """Frames and bytes of segments that were made apart."""
    segments = []
    for record in folder.glob(f"*{RECORD}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            segment = json.loads(record.read_bytes())["segment"]
            segments.append((int(segment["frames"]), int(segment["size_bytes"])))
    return sum(frames for frames, _ in segments), sum(size for _, size in segments)


def find_unfinished(place: Path) -> list[Unfinished]:
    """Unfinished work at a place: of that output, or in that folder and those inside it."""
    folders = [place] if place.name.endswith(".part") else sorted(place.rglob("*.part"))
    found = [unfinished_work(folder.with_suffix("")) for folder in folders if folder.is_dir()]
    return [work for work in found if work is not None]


def remove_unfinished(work: Unfinished) -> None:
    """Remove unfinished work.

    Raises:
        SinkError: if a run is busy with it.
    """
    lock = FileLock(work.folder / "lock")
    try:
        with lock.acquire(timeout=0):
            shutil.rmtree(work.folder)
    except LockTimeout as error:
        raise SinkError(f"'{work.folder}' is not removed: a run is busy with it") from error
    except OSError as error:
        raise SinkError(f"'{work.folder}' cannot be removed: {error.strerror}") from error


def is_finished(path: str | os.PathLike[str]) -> bool:
    """Whether an output is a file already; what is left of the work on it is removed."""
    sweep(path)
    return os.path.isfile(path)


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove the segments of an output that got its final name just before the process ended."""
    folder = part_folder(path)
    with contextlib.suppress(SinkError, OSError):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.published == FileIdentity.of(path):
            shutil.rmtree(folder)


class WorkFolder:
    """The folder NAME.part while this run writes into it.

    Args:
        path: of the folder, which is made if it is missing, as are those above it.
        name: of the output, for messages.
        fresh: describes the work of this run, and has no segments.
        resume: continue the work that an earlier run left in it; else that is removed.

    Raises:
        SinkError: if it cannot be used, another run does, or it holds work on another input or with other settings.
        OSError: whatever the file system reports.
    """

    def __init__(self, path: Path, name: str, fresh: Manifest, *, resume: bool) -> None:
        self.path, self._name = path, name
        try:
            path.mkdir(parents=True, exist_ok=True)
            sync_folder(path.parent)
        except FileExistsError as error:
            raise SinkError(f"'{path}' is a file; its name is needed for a folder of segments") from error
        self._lock = FileLock(path / "lock", thread_local=False)  # another thread releases it
        try:
            self._lock.acquire(timeout=0)
        except LockTimeout as error:
            raise SinkError(f"another run is writing {name}; wait for it, or stop it") from error
        except NotImplementedError:  # a file system without locks
            pass
        try:
            self.manifest = self._begin(fresh, resume)
            """What has been finished."""
        except BaseException:
            self._release(keep=(path / MANIFEST).exists() or (path / PLAN).exists())
            raise

    def reached(self) -> Cut | None:
        """The cut after which the next frame is wanted; None at the beginning.

        Raises:
            OSError, ValueError: if what the dehazer remembers there cannot be read.
        """
        segments = self.manifest.segments
        if not segments:
            return None
        log.warning("%s: continuing after %d frames of an earlier run", self._name, self.manifest.frames)
        end = segments[-1].end
        if end is None:  # of the video, too
            return Cut(self.manifest.frames, None, "")
        return read_cut(self.path, len(segments) - 1, end)

    def add(self, segment: Segment) -> None:
        """Note that a segment is finished; it outlives the process from now on."""
        manifest = self.manifest.model_copy(update={"segments": (*self.manifest.segments, segment)})
        write_manifest(self.path, manifest)
        self.manifest = manifest

    def about_to_publish(self, whole: Path) -> None:
        """Note what the whole output is, which gets its final name next."""
        write_manifest(self.path, self.manifest.model_copy(update={"published": FileIdentity.of(whole)}))

    def leave(self, *, done: bool, keep: bool = False) -> None:
        """Keep finished segments for another run; remove the folder if the work is done, or has none and not `keep`."""
        self._release(keep=(keep or bool(self.manifest.segments)) and not done)

    def _begin(self, fresh: Manifest, resume: bool) -> Manifest:
        found = read_manifest(self.path) if resume else None
        if resume and found is None and (self.path / PLAN).exists():
            raise SinkError(
                f"'{self.path}' holds segments made by --segment or --workers: run those again, then "
                f"streamdehaze join {self.path}, or start over with --no-resume"
            )
        segments: tuple[Segment, ...] = ()
        if found is not None and found.segments:
            if differences := found.differences(fresh):
                frames = counted(found.frames, "frame")
                raise SinkError(
                    f"'{self.path}' holds {frames} of unfinished work, but {'; '.join(differences)}: "
                    "run it as before to continue, or start over with --no-resume"
                )
            segments = whole_segments(self.path, found)
        manifest = fresh.model_copy(update={"segments": segments})
        self._remove_strays(len(segments))
        write_manifest(self.path, manifest)
        return manifest

    def _remove_strays(self, segments: int) -> None:
        """Remove what an earlier run left unfinished, and the segments after the first ones."""
        names = {f"{number:05d}" for number in range(segments)}
        for path in self.path.iterdir():
            is_segment = path.suffix in (".packets", ".npz", RECORD) and path.stem not in names
            if (
                is_segment
                or (not segments and path.name == PLAN)
                or path.name.endswith(".part")
                or path.stem.endswith(".part")
            ):
                path.unlink()

    def _release(self, *, keep: bool) -> None:
        self._lock.release()
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)

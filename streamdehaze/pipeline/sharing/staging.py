"""Inputs and outputs in object stores: fetched to this machine, and uploaded once they are complete."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from streamdehaze.address import scheme_of, without_secrets
from streamdehaze.durable import cache_folder
from streamdehaze.errors import (
    Cancelled,
    ConfigError,
    MissingPackageError,
    SinkError,
    SourceError,
    StreamDehazeError,
    first_line,
)
from streamdehaze.extras import install_command, needed_for, pip_install
from streamdehaze.video import part_folder, unfinished_work
from streamdehaze.video.resume.manifest import PLAN, segment_file
from streamdehaze.video.resume.plan import record_file

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

log = logging.getLogger("streamdehaze")

_PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs",
    "memory": "fsspec",
}  # fmt: skip
"""Schemes whose objects appear whole or not at all, and what fsspec reads them with. Not HTTP, which FFmpeg reads."""
_BROUGHT = ("s3fs", "gcsfs", "fsspec")
"""By the extra `cloud`."""
_KEPT_SECONDS = 86_400.0
"""What no work has touched in this time is removed when other work begins."""


def in_store(path: str) -> bool:
    """Whether a path is an address in an object store, as s3://bucket/film.mp4."""
    return scheme_of(path) in _PACKAGES


def parent_of(address: str) -> str:
    """The folder of an address in an object store."""
    return address.rpartition("/")[0]


def name_of(address: str) -> PurePosixPath:
    """The path of an address in an object store, its bucket included."""
    return PurePosixPath(address.partition("://")[2])


def matching(pattern: str) -> list[str]:
    """The addresses in an object store that match a glob.

    Raises:
        SourceError: if the store cannot be read.
    """
    with _reading(pattern):
        return [f"{scheme_of(pattern)}://{name.lstrip('/')}" for name in _store(pattern).glob(pattern)]


def exists(address: str) -> bool:
    """Whether something is at an address in an object store.

    Raises:
        SinkError: if the store cannot be read.
    """
    _check(address)
    with _writing(address):
        return bool(_store(address).exists(address))


class Staging:
    """Files of this machine that stand in for what a piece of work reads and writes in object stores.

    They lie in a folder of the user's cache that belongs to these two ends, so that the same work finds them again. For
    ends that are files already nothing is done.

    Args:
        source: what is read.
        target: what is written; None for nothing, as long as `source` is only looked at.
        stop: set it from elsewhere to stop fetching and uploading with `Cancelled`.
        keep: leave the folder for the next segment of the same work.

    Raises:
        ConfigError: when entered, for an address that no store takes.
        MissingPackageError: when entered, without fsspec or its package for such a store.
    """

    def __init__(
        self, source: object, target: object = None, stop: threading.Event | None = None, *, keep: bool = False
    ) -> None:
        self._given = source, target
        self.source_address = source if isinstance(source, str) and in_store(source) else None
        self.target_address = target if isinstance(target, str) and in_store(target) else None
        """Both None for what is not an address."""
        self._stop, self._keep = stop, keep
        self.is_needed = bool(self.source_address or self.target_address)
        """Whether any end is in an object store."""
        key = self.target_address or (
            os.path.abspath(target) if isinstance(target, str | os.PathLike) else f"{source} {id(target)}"
        )
        self._folder = _cache() / hashlib.blake2b(key.encode(errors="replace"), digest_size=12).hexdigest()

    def __enter__(self) -> Self:
        if self.is_needed:
            for address in filter(None, (self.source_address, self.target_address)):
                _check(address)
            _sweep(self._folder)
            self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything but unfinished work; an error names addresses instead of these files."""
        if not self.is_needed:
            return
        if not self._keep and (self.target_address is None or unfinished_work(self.target) is None):
            shutil.rmtree(self._folder, ignore_errors=True)
        if isinstance(error, StreamDehazeError) and str(self._folder) in str(error):
            raise type(error)(self._in_words(str(error))) from error

    @cached_property
    def source(self) -> Any:
        """What to read: the input, fetched if it is not here yet.

        Raises:
            SourceError: if it cannot be fetched.
            Cancelled: if the stop event is set meanwhile.
        """
        return self._given[0] if self.source_address is None else self.fetch(self.source_address)

    def fetch(self, address: str) -> str:
        """The file of this machine that stands in for an input; a path as it is.

        Raises:
            SourceError: if it cannot be fetched.
            Cancelled: if the stop event is set meanwhile.
        """
        if not in_store(address):
            return address
        self.is_needed = True
        _check(address)
        if "%" in name_of(address).name:
            raise SourceError(f"'{_shown(address)}' is an image sequence; copy it to this machine first")
        with _reading(address):
            store = _store(address)
            facts = store.info(address)
            if facts["type"] == "directory":
                raise SourceError(f"'{_shown(address)}' is a folder, not a video file")
            version = hashlib.blake2b(store.ukey(address).encode(), digest_size=6).hexdigest()
            path = self._folder / "input" / version / name_of(address).name
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.parent / "lock"):  # of the workers of one machine, one fetches
                if not path.exists():
                    self._fetch(address, path, int(facts.get("size") or 0))
                os.utime(self._folder)
        return str(path)

    @property
    def target(self) -> Any:
        """Where to write, before `publish`."""
        return self._given[1] if self.target_address is None else str(self._folder / name_of(self.target_address).name)

    def check_target(self, *, overwrite: bool) -> None:
        """Find out before the work begins whether the output can be uploaded.

        Raises:
            SinkError: if it is there already, or nothing can be written there.
        """
        if (address := self.target_address) is None:
            return
        if "%" in name_of(address).name:
            raise SinkError(f"'{_shown(address)}' is an image sequence; write it to this machine")
        with _writing(address):
            store, probe = _store(address), f"{address}.part/probe"
            if store.exists(address) and not overwrite:
                raise SinkError(f"'{_shown(address)}' exists already; use --overwrite to replace it")
            store.pipe_file(probe, b"\n")
            with contextlib.suppress(PermissionError):  # who may write may not always delete
                store.rm_file(probe)

    def publish(self, partial: Path, path: Path) -> None:
        """Give a complete file its final name: in the store, if it is the output and that is there.

        Raises:
            SinkError: if it cannot be uploaded; the file stays.
        """
        if self.target_address is None or str(path) != self.target:
            os.replace(partial, path)
            return
        with _writing(self.target_address):
            log.info("uploading '%s' (%.1f MB)", _shown(self.target_address), partial.stat().st_size / 1e6)
            _store(self.target_address).put_file(str(partial), self.target_address, callback=_watch(self._stop))
        partial.unlink()

    def pull_plan(self) -> None:
        """Fetch how the work is divided, if another machine has written that down.

        Raises:
            SinkError: if the store cannot be read.
        """
        if self.target_address is not None:  # what is here may be of work that is gone
            (part_folder(self.target) / PLAN).unlink(missing_ok=True)
        self._pull(part_folder(self.target) / PLAN)

    def push_plan(self) -> None:
        """Upload how the work is divided.

        Raises:
            SinkError: if that fails.
        """
        self._push(part_folder(self.target) / PLAN)

    def pull_record(self, number: int) -> None:
        """Fetch what is noted of a finished segment, if it is there.

        Raises:
            SinkError: if the store cannot be read.
        """
        self._pull(record_file(part_folder(self.target), number))

    def pull_segment(self, number: int) -> None:
        """Fetch a segment and what is noted of it, as far as that is there.

        Raises:
            SinkError: if the store cannot be read.
            Cancelled: if the stop event is set meanwhile.
        """
        self.pull_record(number)
        self._pull(segment_file(part_folder(self.target), number))

    def push_segment(self, number: int) -> None:
        """Upload a finished segment, and then what is noted of it; it is no longer kept here.

        Raises:
            SinkError: if that fails; what is here stays.
        """
        for path in (segment_file(folder := part_folder(self.target), number), record_file(folder, number)):
            self._push(path)
        if self.target_address is not None:
            segment_file(folder, number).unlink()

    def has_segment(self, number: int, size_bytes: int) -> bool:
        """Whether a segment is in the store, of that many bytes."""
        if self.target_address is None:
            return False
        with _writing(self.target_address), contextlib.suppress(FileNotFoundError):
            return bool(_store(self.target_address).size(self._part(segment_file(Path(), number))) == size_bytes)
        return False

    @property
    def kept_segments(self) -> str:
        """Where segments that were made apart wait in the store; "" if there are none, or for files."""
        there = self.target_address is not None and (part_folder(self.target) / PLAN).exists()
        return f"{_shown(str(self.target_address))}.part" if there else ""

    def remove_parts(self) -> None:
        """Remove the segments in the store.

        Raises:
            SinkError: if that fails.
        """
        if self.target_address is not None:
            with _writing(self.target_address), contextlib.suppress(FileNotFoundError):
                _store(self.target_address).rm(f"{self.target_address}.part", recursive=True)

    def _in_words(self, text: str) -> str:
        if self.target_address is not None:
            text = text.replace(self.target, _shown(self.target_address))
        if self.source_address is not None:
            text = re.sub(
                rf"{re.escape(str(self._folder))}[\\/]input[\\/]\w+[\\/][^'\\/]+", _shown(self.source_address), text
            )
        return text

    def _part(self, path: Path) -> str:
        return f"{self.target_address}.part/{path.name}"

    def _pull(self, path: Path) -> None:
        if self.target_address is None:
            return
        path.parent.mkdir(exist_ok=True)
        with _writing(self.target_address), contextlib.suppress(FileNotFoundError):
            self._get(self._part(path), path)

    def _push(self, path: Path) -> None:
        if self.target_address is not None:
            with _writing(self.target_address):
                _store(self.target_address).put_file(str(path), self._part(path), callback=_watch(self._stop))

    def _fetch(self, address: str, path: Path, size_bytes: int) -> None:
        missing = size_bytes - shutil.disk_usage(path.parent).free
        if missing > 0:
            raise SourceError(
                f"'{_shown(address)}' cannot be fetched: '{_cache()}' needs {missing / 1e6:.0f} MB more of free space"
            )
        log.info("fetching '%s' (%.1f MB)", _shown(address), size_bytes / 1e6)
        self._get(address, path)
        with contextlib.suppress(NotImplementedError):
            seconds = _store(address).modified(address).timestamp()
            os.utime(path, (seconds, seconds))

    def _get(self, address: str, path: Path) -> None:
        partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.fetch")
        try:
            _store(address).get_file(address, str(partial), callback=_watch(self._stop))
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _cache() -> Path:
    return cache_folder("stores")


def _sweep(own: Path) -> None:
    """Remove what other work has left and not touched for a day, but for finished segments."""
    for folder in _cache().glob("*"):
        with contextlib.suppress(OSError):
            files = [folder, *folder.glob("*"), *folder.glob("*.part/*")]
            if folder != own and max(file.stat().st_mtime for file in files) < time.time() - _KEPT_SECONDS:
                has_segments = any(file.suffix == segment_file(folder, 0).suffix for file in files)
                shutil.rmtree(folder / "input" if has_segments else folder)


def _check(address: str) -> None:
    """Refuse an address without an object, with a login, or of a store whose package is missing."""
    bucket, _, name = address.partition("://")[2].partition("/")
    if "@" in bucket:
        raise ConfigError(
            f"'{_shown(address)}' has a login in it; keys belong into the store's own configuration or variables"
        )
    if not name.strip("/"):
        raise ConfigError(f"'{address}' names no file in a bucket")
    package = _PACKAGES[scheme_of(address)]
    with needed_for(f"{scheme_of(address)}://", "cloud"):
        import fsspec  # noqa: F401
    if importlib.util.find_spec(package) is None:
        command = install_command("cloud") if package in _BROUGHT else pip_install(package)
        raise MissingPackageError(f"{scheme_of(address)}:// needs {package}: {command}")


def _store(address: str) -> Any:
    import fsspec

    return fsspec.filesystem(scheme_of(address), use_listings_cache=False)


def _watch(stop: threading.Event | None) -> Any:
    from fsspec import Callback

    class Watch(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            if stop is not None and stop.is_set():
                raise Cancelled("stopped while a file was fetched or uploaded")
            super().relative_update(inc)

    return Watch()


def _reading(address: str) -> contextlib.AbstractContextManager[None]:
    return _in_one_sentence(address, SourceError, "read", "does not exist")


def _writing(address: str) -> contextlib.AbstractContextManager[None]:
    return _in_one_sentence(address, SinkError, "written", "cannot be written: there is no such bucket")


@contextlib.contextmanager
def _in_one_sentence(address: str, kind: type[StreamDehazeError], done: str, missing: str) -> Iterator[None]:
    """Turn a store's error into one of ours; each store has exceptions of its own."""
    try:
        yield
    except StreamDehazeError:
        raise
    except FileNotFoundError as error:
        raise kind(f"'{_shown(address)}' {missing}") from error
    except Exception as error:
        cannot = "may not" if isinstance(error, PermissionError) else "cannot"
        raise kind(f"'{_shown(address)}' {cannot} be {done}: {without_secrets(first_line(error))}") from error


def _shown(address: str) -> str:
    return without_secrets(address)

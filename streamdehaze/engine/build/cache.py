"""Compiled engines on disk, each with a record of what it was made from."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from filelock import Timeout as LockTimeout
from pydantic import ValidationError, model_validator

from streamdehaze.durable import cache_folder, file_sha256, write_whole
from streamdehaze.engine.build.verify import Verification
from streamdehaze.engine.recipe import Recipe, Shape
from streamdehaze.errors import EngineError
from streamdehaze.toml import Table

EngineIdentity = Mapping[str, Any]
"""All an engine depends on: plain values, so that two processes and two days agree on its JSON."""

EngineState = Literal["verified", "rejected", "unverified"]


_OURS = re.compile(r"(?:.+-)?(?P<key>[0-9a-f]{16})\.(?:part|engine|onnx|compiled|json|json\.part)")


class EngineRecord(Table):
    """The sidecar file of an engine."""

    identity: dict[str, Any]
    checkpoint: str
    """Name or path of the checkpoint as it was given; its hash is in `identity`."""
    recipe: Recipe
    shape: Shape
    file: str
    """Name of the engine file in the same folder."""
    sha256: str
    size_bytes: int
    created: str
    """UTC, ISO 8601."""
    build_seconds: float
    state: EngineState
    """"unverified" was built for a device that is not here; "rejected" failed its comparison and never serves."""
    verification: Verification | None = None

    @model_validator(mode="after")
    def _verified_or_rejected_by_something(self) -> EngineRecord:
        if (self.state == "unverified") != (self.verification is None):
            raise ValueError(f"the state is {self.state} but the verification does not say so")
        return self


def engine_key(identity: EngineIdentity) -> str:
    """16 hexadecimal digits that change with anything in the identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def default_folder() -> Path:
    """Where engines are kept: `$STREAMDEHAZE_ENGINES`, or `engines` in the user's cache folder."""
    if chosen := os.environ.get("STREAMDEHAZE_ENGINES"):
        return Path(chosen).expanduser()
    return cache_folder("engines")


class EngineCache:
    """A folder of engine files `STEM-KEY.onnx` or `.engine`, each with a record `STEM-KEY.json`.

    Nothing is served whose bytes differ from its record, and nothing has its final name before it is whole.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()
        _refuse_open_to_others(self.folder)

    def records(self) -> list[EngineRecord]:
        """Every readable record, oldest first; other files in the folder are passed over."""
        found = [record for path in self.folder.glob("*.json") if (record := _read(path)) is not None]
        return sorted(found, key=lambda record: record.created)

    def named(self, name: str) -> EngineRecord:
        """The one record whose file name begins with `name` or ends with it, its suffix aside.

        Raises:
            EngineError: if there is none, or more than one.
        """
        name = Path(name).name
        found = [r for r in self.records() if r.file.startswith(name) or Path(r.file).stem.endswith(name)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise EngineError(f"there is no engine '{name}' in {self.folder}; see streamdehaze engine list")
        raise EngineError(f"'{name}' matches {' and '.join(record.file for record in found)}; give more of the name")

    def find(self, identity: EngineIdentity) -> EngineRecord | None:
        """The record of the engine made from exactly this, if its file is whole.

        A record whose engine file is missing or altered is removed, where that can be done, so that the engine is
        built again.
        """
        for path in self.folder.glob(f"*-{engine_key(identity)}.json"):
            record = _read(path)
            if record is not None and record.identity == dict(identity) and self.intact(record):
                return record
            with contextlib.suppress(OSError):
                self._remove_files(path)
        return None

    def intact(self, record: EngineRecord) -> bool:
        """Whether the engine file is there with the bytes of its record."""
        path = self.path(record)
        try:
            return path.stat().st_size == record.size_bytes and file_sha256(path) == record.sha256
        except OSError:
            return False

    def path(self, record: EngineRecord) -> Path:
        """The engine file of a record."""
        return self.folder / record.file

    def work_folder(self, record: EngineRecord) -> Path:
        """Where a runtime may keep what it compiles from the engine file; goes when the engine goes."""
        return self.folder / f"{Path(record.file).stem}.compiled"

    @contextlib.contextmanager
    def lock(self, identity: EngineIdentity) -> Iterator[None]:
        """Hold the right to build this engine; other processes wait. The system frees it when a process dies.

        Raises:
            EngineError: if the folder cannot be written.
        """
        with self._changing():
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{engine_key(identity)}.lock"):
                yield

    def workshop_folder(self, identity: EngineIdentity) -> Path:
        """Where an engine is built."""
        return self.folder / f"{engine_key(identity)}.part"

    @contextlib.contextmanager
    def workshop(self, identity: EngineIdentity) -> Iterator[Path]:
        """A folder for the files of a build, gone afterwards; take the lock first."""
        folder = self.workshop_folder(identity)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with self._changing():
                folder.mkdir(parents=True)
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def store(self, file: Path, record: EngineRecord) -> None:
        """Give a finished engine file its final name, then write its record.

        Raises:
            EngineError: if there is no space or no permission.
        """
        with self._changing():
            os.replace(file, self.path(record))
        self.write(record)

    def write(self, record: EngineRecord) -> None:
        """Write the record of an engine that is there, whole or not at all.

        Raises:
            EngineError: if there is no space or no permission.
        """
        content = record.model_dump_json(indent=2, exclude_unset=True) + "\n"
        with self._changing():
            write_whole(self.path(record).with_suffix(".json"), content.encode())

    @contextlib.contextmanager
    def _changing(self, failure: str = "the engine cannot be kept in") -> Iterator[None]:
        """Turn what the file system complains of into one sentence."""
        try:
            yield
        except OSError as error:
            why = "there is no space left" if error.errno == errno.ENOSPC else error.strerror or error
            raise EngineError(f"{failure} {self.folder}: {why}") from error

    def remove(self, record: EngineRecord) -> None:
        """Delete an engine, its record and what a runtime compiled from it.

        Raises:
            EngineError: if that is not permitted.
        """
        with self._changing("nothing can be removed from"):
            self._remove_files(self.path(record).with_suffix(".json"))

    def leftovers(self) -> list[Path]:
        """What builds that were killed half-way left, engine files without a readable record, and unreadable records.

        Files whose names are not of this cache's making are left alone.
        """
        if not self.folder.is_dir():
            return []
        whole = {Path(record.file).stem for record in self.records()}
        return sorted(path for path in self.folder.iterdir() if _OURS.fullmatch(path.name) and path.stem not in whole)

    def remove_leftover(self, path: Path) -> None:
        """Delete one of `leftovers`, unless a build in another process holds it or has finished it meanwhile.

        Raises:
            EngineError: if that is not permitted.
        """
        name = _OURS.fullmatch(path.name)
        if name is None:
            return
        lock = FileLock(self.folder / f".{name['key']}.lock", timeout=0)
        with self._changing("nothing can be removed from"), contextlib.suppress(LockTimeout), lock:
            if path not in self.leftovers():
                return
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _remove_files(self, sidecar: Path) -> None:
        # The record goes first: an engine file without one is never used.
        for path in (sidecar, sidecar.with_suffix(".engine"), sidecar.with_suffix(".onnx")):
            path.unlink(missing_ok=True)
        shutil.rmtree(sidecar.with_suffix(".compiled"), ignore_errors=True)


def _refuse_open_to_others(folder: Path) -> None:
    """Refuse a folder of engines, which are programs of a kind, that other users may write to."""
    if not hasattr(os, "geteuid") or not folder.is_dir():
        return
    facts = folder.stat()
    if facts.st_uid not in (0, os.geteuid()):
        raise EngineError(
            f"the engine folder '{folder}' belongs to another user; choose one with $STREAMDEHAZE_ENGINES"
        )
    if facts.st_mode & stat.S_IWOTH:
        raise EngineError(f"the engine folder '{folder}' is writable by everyone; chmod o-w")


def _read(path: Path) -> EngineRecord | None:
    try:
        record = EngineRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    # A record names only its own neighbour: never a file elsewhere.
    return record if Path(record.file).stem == path.stem and Path(record.file).name == record.file else None

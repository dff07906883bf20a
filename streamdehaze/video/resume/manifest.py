"""What a folder of finished segments was made of: enough to know whether the work can continue in it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from streamdehaze.arrays import pack_arrays, read_arrays
from streamdehaze.durable import file_sha256, write_whole
from streamdehaze.errors import SinkError
from streamdehaze.toml import Table
from streamdehaze.video.resume.cut import Cut

log = logging.getLogger("streamdehaze")

MANIFEST = "manifest.json"
PLAN = "plan.json"
"""The plan of segments that are made apart, see `streamdehaze.video.resume.plan`."""
RECORD = ".record"
"""Extension of what is noted of each of them."""
_EDGE_BYTES = 1 << 20
"""Bytes at each end of the input that its identity covers."""


class FileIdentity(Table, strict=True):
    """Which file it is, without reading all of it."""

    size_bytes: int
    mtime_ns: int
    hash: str
    """Hash of its first and last mebibyte."""

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileIdentity:
        """The identity of a file.

        Raises:
            OSError: if it cannot be read.
        """
        with open(path, "rb") as file:
            facts = os.fstat(file.fileno())
            digest = hashlib.blake2b(file.read(_EDGE_BYTES), digest_size=16)
            file.seek(max(0, facts.st_size - _EDGE_BYTES))
            digest.update(file.read(_EDGE_BYTES))
        return cls(size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns, hash=digest.hexdigest())

    def same_content(self, other: FileIdentity) -> bool:
        """Whether only the date differs, if anything."""
        return (self.size_bytes, self.hash) == (other.size_bytes, other.hash)


class CutRecord(Table, strict=True):
    """A cut, as it is written down; see `Cut` for the fields."""

    frames: int = Field(ge=0)
    last_pts: int | None
    last_hash: str
    damaged: int = Field(ge=0)
    state_hash: str | None
    """Hash of the file that holds the dehazer's state; None if there was nothing to remember."""


class Segment(Table, strict=True):
    """A finished segment."""

    first_frame: int = Field(ge=0)
    frames: int = Field(ge=0)
    first_pts: int
    """In ticks of the output, as `last_pts`."""
    last_pts: int
    size_bytes: int = Field(ge=0)
    hash: str
    header_hash: str
    """Hash of the encoder's own header (FFmpeg's "extradata"), which all segments must share."""
    end: CutRecord | None
    """The cut it ends with; None for the last segment of the video."""


class Manifest(Table, strict=True):
    """The content of `manifest.json`."""

    version: Literal[2] = 2
    input: str
    """Path, for humans; `identity` says whether it is the same."""
    identity: FileIdentity
    settings: dict[str, Any]
    """All that the result depends on except the input, as plain values."""
    segments: tuple[Segment, ...] = ()
    published: FileIdentity | None = None
    """The whole output, just before it gets its final name."""
    hash: str = ""
    """Hash of all the rest: a single wrong digit would silently move pictures to other times."""

    def sealed(self) -> Manifest:
        """The same with its hash."""
        bare = self.model_copy(update={"hash": ""}).model_dump_json().encode()
        return self.model_copy(update={"hash": hashlib.blake2b(bare, digest_size=16).hexdigest()})

    @property
    def frames(self) -> int:
        """Frames in the finished segments."""
        return sum(segment.frames for segment in self.segments)

    @property
    def size_bytes(self) -> int:
        """Bytes of the finished segments."""
        return sum(segment.size_bytes for segment in self.segments)

    @property
    def ended(self) -> bool:
        """Whether every frame is in a segment, and only the joining is left."""
        return bool(self.segments) and self.segments[-1].end is None

    def differences(self, other: Manifest, *, dated: bool = True) -> list[str]:
        """Why work described by `other` cannot continue here, as text; empty if it can.

        Args:
            other: the work wanted.
            dated: whether the input's date counts.
        """
        found = []
        if not self.identity.same_content(other.identity):
            found.append("the input changed")
        elif dated and self.identity != other.identity:
            found.append("the input's date changed")
        for name in sorted(self.settings.keys() | other.settings.keys()):
            before, now = self.settings.get(name), other.settings.get(name)
            if before != now:
                if isinstance(before, dict) and isinstance(now, dict):
                    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
                    before, now = ({key: one[key] for key in keys if key in one} for one in (before, now))
                found.append(f"{name.replace('_', ' ')} was {_shown(before)}, now {_shown(now)}")
        return found


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from JSON, so that they compare equal; "?" for bytes of names that are not text."""
    values: dict[str, Any] = json.loads(json.dumps(settings, ensure_ascii=False).encode(errors="replace"))
    return values


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else "not set" if value is None else str(value)


def segment_file(folder: Path, number: int) -> Path:
    """Where segment `number` lies."""
    return folder / f"{number:05d}.packets"


def state_file(folder: Path, number: int) -> Path:
    """Where the dehazer's state after segment `number` lies."""
    return folder / f"{number:05d}.npz"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder; None if there is none.

    Raises:
        SinkError: if it cannot be read or understood.
    """
    path = folder / MANIFEST
    damaged = f"'{path}' is damaged or of another version; --no-resume starts over"
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
        whole = manifest == manifest.sealed()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # of the disk, and no reason to start over
        raise SinkError(f"'{path}' cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SinkError(damaged) from error
    if not whole:
        raise SinkError(damaged)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest in a folder.

    Raises:
        OSError: if that fails; the one before stays.
    """
    write_whole(folder / MANIFEST, manifest.sealed().model_dump_json(indent=1).encode() + b"\n")


def write_state(folder: Path, number: int, cut: Cut) -> CutRecord:
    """Write the dehazer's state at the cut after segment `number`, if there is any; the place of the cut."""
    state_hash = None
    if cut.state:
        write_whole(state_file(folder, number), pack_arrays(**cut.state))
        state_hash = file_sha256(state_file(folder, number))
    return CutRecord(
        frames=cut.frames, last_pts=cut.last_pts, last_hash=cut.last_hash, damaged=cut.damaged, state_hash=state_hash
    )


def read_cut(folder: Path, number: int, place: CutRecord) -> Cut:
    """The cut after segment `number`.

    Raises:
        OSError, ValueError: if the state cannot be read.
    """
    state = {} if place.state_hash is None else read_arrays(state_file(folder, number))
    return Cut(place.frames, place.last_pts, place.last_hash, place.damaged, state=state)


def whole_segments(folder: Path, manifest: Manifest) -> tuple[Segment, ...]:
    """The segments from the first one on that are as they were written; the work continues after them.

    Raises:
        OSError: if one that is there cannot be read.
    """
    whole: list[Segment] = []
    for number, segment in enumerate(manifest.segments):
        fits = segment.first_frame == sum(earlier.frames for earlier in whole) and (
            segment.end is None or segment.end.frames == segment.first_frame + segment.frames
        )
        if not fits or not _is_whole(folder, number, segment):
            log.warning("'%s' is missing or damaged; the work continues before it", segment_file(folder, number))
            break
        whole.append(segment)
        if segment.end is None:
            break
    return tuple(whole)


def _is_whole(folder: Path, number: int, segment: Segment) -> bool:
    path = segment_file(folder, number)
    try:
        if path.stat().st_size != segment.size_bytes or file_sha256(path) != segment.hash:
            return False
        end = segment.end
        return end is None or end.state_hash is None or file_sha256(state_file(folder, number)) == end.state_hash
    except (FileNotFoundError, IsADirectoryError):
        return False

"""A long video in segments (`Spans`) made by any processes on any machines, and joined.

In the folder NAME.part lie `plan.json`, and of each finished segment its packets and a record; they are written whole
or not at all, and nothing else is shared, so that a folder on any network file system is enough.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from streamdehaze.durable import file_sha256, write_whole
from streamdehaze.errors import ConfigError, SinkError, SourceError
from streamdehaze.toml import Table
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.resume.manifest import (
    MANIFEST,
    PLAN,
    RECORD,
    CutRecord,
    Manifest,
    Segment,
    segment_file,
)
from streamdehaze.video.resume.sink import SegmentFileSink
from streamdehaze.video.resume.spans import Spans
from streamdehaze.video.writing.encoding.encoding import EncodeOptions


class Plan(Table, strict=True):
    """The content of `plan.json`: how the work is divided, and all it takes to join it."""

    version: Literal[2] = 2
    work: Manifest
    """What every segment is made of; it lists none."""
    seconds: float
    """Length of a segment, seconds of video."""
    count: int
    """Number of segments."""
    read: dict[str, Any]
    """How the input is read, as `FileSource` takes it."""
    encode: EncodeOptions
    """The encoder and its settings."""
    container: str | None


class SegmentRecord(Table, strict=True):
    """What is noted of a finished segment."""

    work: str
    """Hash of the work it belongs to."""
    segment: Segment
    """Its `first_frame` is 0: how many frames come before it is known when all are joined."""
    engine: str
    """That made it."""
    damaged: int
    """Damaged places of the input in it."""
    losses: tuple[str, ...] = ()


def count_segments(source: FileSource, seconds: float) -> int:
    """How many segments a video has.

    Raises:
        ConfigError: if segments have no length.
        SourceError: if the file does not tell how long it is.
    """
    if seconds <= 0:
        raise ConfigError("work is shared in segments; give --segment-seconds more than 0")
    count = Spans.of(source, seconds).count
    if count is None:
        raise SourceError(f"'{source.name}' does not tell how long it is, so it cannot be shared out in segments")
    return count


def record_file(folder: Path, number: int) -> Path:
    """Where it is noted that segment `number` is finished."""
    return folder / f"{number:05d}{RECORD}"


def make_plan(
    sink: SegmentFileSink,
    source: FileSource,
    settings: Mapping[str, object],
    seconds: float,
    encode: EncodeOptions,
    container: str | None,
) -> Plan:
    """How the work on a file is divided.

    Args:
        sink: of the whole file; nothing is written with it.
        source: the file.
        settings: all that decides what the frames look like, as plain values.
        seconds: of video in a segment.
        encode, container: as `sink` got them.

    Raises:
        ConfigError, SourceError: as `count_segments`.
    """
    return Plan(
        work=sink.describe({**settings, "segment_seconds": seconds}).sealed(),
        seconds=seconds,
        count=count_segments(source, seconds),
        read=source.options,
        encode=encode,
        container=container,
    )


def take_plan(folder: Path, plan: Plan) -> Plan:
    """Write the plan, or find that the one which is there agrees with it.

    Raises:
        SinkError: if it does not, the folder holds a run of another kind, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / PLAN).exists():
            if (folder / MANIFEST).exists():
                raise SinkError(
                    f"'{folder}' holds unfinished work of a run in one process: finish that, or start over with "
                    "--no-resume"
                )
            write_whole(folder / PLAN, plan.model_dump_json(indent=1).encode() + b"\n")
            return plan
    except OSError as error:
        raise SinkError(f"'{folder}' cannot be written: {error.strerror or error}") from error
    found = read_plan(folder)
    differences = found.work.differences(plan.work, dated=False)
    if not differences and found.count == plan.count:
        return found
    raise SinkError(
        f"'{folder}' holds segments of other work; {'; '.join(differences) or 'it is divided otherwise'}: run all parts"
        " alike, on machines with the same versions, or start over with --no-resume"
    )


def read_plan(folder: Path) -> Plan:
    """The plan in a folder.

    Raises:
        SinkError: if there is none, or it cannot be read.
    """
    try:
        return Plan.model_validate_json((folder / PLAN).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise SinkError(f"'{folder}' is not a folder of segments made by --segment or --workers") from None
    except (OSError, ValueError) as error:
        raise SinkError(
            f"'{folder / PLAN}' cannot be read, is damaged, or of another version; start over with --no-resume"
        ) from error


def finished(
    folder: Path, number: int, plan: Plan, is_elsewhere: Callable[[int, int], bool] = lambda number, size_bytes: False
) -> SegmentRecord | None:
    """What is noted of a segment that is complete and made by this plan.

    Args:
        folder: where it is noted.
        number: of the segment.
        plan: that it must belong to.
        is_elsewhere: whether a segment of that number and size is kept at another place than `folder`.
    """
    with contextlib.suppress(OSError, ValueError):
        record = SegmentRecord.model_validate_json(record_file(folder, number).read_bytes())
        if record.work == plan.work.hash and (
            is_elsewhere(number, record.segment.size_bytes)
            or file_sha256(segment_file(folder, number)) == record.segment.hash
        ):
            return record
    return None


def whole_work(folder: Path) -> tuple[Plan, Manifest, list[SegmentRecord]]:
    """The plan of a folder, the manifest of all its segments, and what was noted of each.

    Raises:
        SinkError: if segments are missing or do not fit together.
    """
    plan = read_plan(folder)
    found = [finished(folder, number, plan) for number in range(plan.count)]
    if missing := [str(number + 1) for number, record in enumerate(found) if record is None]:
        listed = ", ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
        are = "is" if len(missing) == 1 else "are"
        raise SinkError(f"{len(missing)} of {plan.count} segments {are} missing in '{folder}': {listed}")
    records = [record for record in found if record is not None]
    segments, frames = list[Segment](), 0
    before: Segment | None = None
    for number, record in enumerate(records):
        segment = record.segment.model_copy(update={"first_frame": frames})
        frames += segment.frames
        if number < plan.count - 1:
            end = CutRecord(frames=frames, last_pts=None, last_hash="", damaged=0, state_hash=None)
            segment = segment.model_copy(update={"end": end})
        if before is not None and segment.frames:
            if segment.header_hash != before.header_hash:
                raise SinkError(f"segments {number} and {number + 1} in '{folder}' were encoded by different encoders")
            if segment.first_pts <= before.last_pts:
                raise SinkError(f"segment {number + 1} in '{folder}' begins before the one before it ends")
        before = segment if segment.frames else before
        segments.append(segment)
    if not frames:
        raise SinkError(f"there is not one frame in '{folder}'")
    return plan, plan.work.model_copy(update={"segments": tuple(segments)}), records

"""A long video in segments that need nothing of each other, made by any processes on any machines, and joined.

Segment j holds the frames from j to j + 1 times the length of a segment. What smoothing over time remembers does not
come from the segment before but from a warm-up: the frames of the last seconds before the segment are dehazed and
dropped. So are those after it that its last frames are corrected by. So a segment depends on the input and the settings
alone, and is the same wherever and whenever it is made; and where it meets the next one, hardly anything differs from
what one pass over the whole video gives.

In the folder NAME.part lie `plan.json`, and of each finished segment its packets and a record; they are written whole
or not at all, and nothing else is shared, so that a folder on any network file system will do.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from streamdehaze.durable import write_whole
from streamdehaze.errors import ConfigError, SinkError, SourceError
from streamdehaze.video.packets import file_hash
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
from streamdehaze.video.writing.encoding.choose import AudioCodec, EncodeOptions

WARM_UP_SECONDS = 4.0
"""Of video before a segment. What is remembered fades within one or two seconds, but where the camera moves slowly half
of this could still be seen."""


class Plan(BaseModel):
    """The content of `plan.json`: how the work is divided, and all it takes to join it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    work: Manifest
    """What every segment is made of; it lists none."""
    seconds: float
    """Of video in a segment."""
    count: int
    """Segments."""
    read: dict[str, Any]
    """How the input is read, as `FileSource` takes it."""
    codec: str
    crf: float | None
    preset: str | None
    encoder_options: dict[str, str]
    pixel_format: str | None
    audio: AudioCodec
    container: str | None

    @property
    def encode(self) -> EncodeOptions:
        """The encoder and its settings."""
        return EncodeOptions(self.codec, self.crf, self.preset, self.encoder_options, self.pixel_format, self.audio)


class Record(BaseModel):
    """What is noted of a finished segment."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    work: str
    """Hash of the work it belongs to."""
    segment: Segment
    """Its `first_frame` is 0: how many frames come before it is known when all are joined."""
    engine: str
    """That made it."""
    damaged: int
    """Damaged places of the input in it."""
    losses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Span:
    """The part of a video that a segment holds, on the file's own clock in seconds."""

    number: int
    begin: Fraction | None
    """First instant; None for the beginning of the video."""
    end: Fraction | None
    """First instant no longer in it; None for the end of the video."""

    @property
    def warm_up(self) -> Fraction | None:
        """Where the warm-up begins."""
        return None if self.begin is None else self.begin - Fraction(str(WARM_UP_SECONDS))


def count_segments(source: FileSource, seconds: float) -> int:
    """How many segments a video has.

    Raises:
        ConfigError: if segments have no length.
        SourceError: if the file does not tell how long it is.
    """
    if seconds <= 0:
        raise ConfigError("work is shared in segments; give --segment-seconds more than 0")
    duration = source.info.duration_seconds
    if duration is None:
        raise SourceError(f"'{source.name}' does not tell how long it is, so it cannot be shared out in segments")
    return max(1, math.ceil(duration / seconds - 1e-3))  # a last frame alone is no segment


def span_of(source: FileSource, number: int, count: int, seconds: float) -> Span:
    """Where segment `number` of `count` begins and ends."""
    origin = source.origin if source.window.start is None else source.window.start
    length = Fraction(str(seconds))
    return Span(
        number,
        None if number == 0 else origin + number * length,
        None if number == count - 1 else origin + (number + 1) * length,
    )


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
        work=sink.describe({**settings, "segment_seconds": seconds, "warm_up_seconds": WARM_UP_SECONDS}).sealed(),
        seconds=seconds,
        count=count_segments(source, seconds),
        read=source.options,
        codec=encode.codec,
        crf=encode.crf,
        preset=encode.preset,
        encoder_options=dict(encode.options),
        pixel_format=encode.pixel_format,
        audio=encode.audio,
        container=container,
    )


def take_plan(folder: Path, plan: Plan) -> Plan:
    """Write the plan, or find that the one which is there agrees with it.

    Raises:
        SinkError: if it does not, the folder holds a run of another kind, or cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
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
    differences = [each for each in found.work.differences(plan.work) if each != "the input's date changed"]
    if found.work.identity.same_content(plan.work.identity) and not differences and found.count == plan.count:
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
        raise SinkError(f"'{folder}' is no folder of segments made by --segment or --workers") from None
    except (OSError, ValueError) as error:
        raise SinkError(f"'{folder / PLAN}' cannot be read or is damaged; start over with --no-resume") from error


def finished(folder: Path, number: int, plan: Plan) -> Record | None:
    """What is noted of a segment that is there, whole, and made by this plan."""
    with contextlib.suppress(OSError, ValueError):
        record = Record.model_validate_json(record_file(folder, number).read_bytes())
        if record.work == plan.work.hash and file_hash(segment_file(folder, number)) == record.segment.hash:
            return record
    return None


def whole_work(folder: Path) -> tuple[Plan, Manifest, list[Record]]:
    """The plan of a folder, the manifest of all its segments, and what was noted of each.

    Raises:
        SinkError: if segments are missing or do not fit together.
    """
    plan = read_plan(folder)
    found = [finished(folder, number, plan) for number in range(plan.count)]
    if missing := [str(number + 1) for number, record in enumerate(found) if record is None]:
        listed = ", ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
        raise SinkError(f"{len(missing)} of {plan.count} segments are missing in '{folder}': {listed}")
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

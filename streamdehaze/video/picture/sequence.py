"""Numbered pictures as one video: each file read and written with all that a single picture keeps."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from streamdehaze.durable import rename_durably, sync_file
from streamdehaze.errors import SinkError, SourceError
from streamdehaze.frame import Frame
from streamdehaze.video.picture.encoding import encode_picture, picture_format
from streamdehaze.video.picture.metadata import PictureMetadata
from streamdehaze.video.picture.pattern import numbered, numbered_files
from streamdehaze.video.picture.source import PictureSource
from streamdehaze.video.protocols import Reader, Source
from streamdehaze.video.writing.publish import OutputPlan, Writer
from streamdehaze.video.writing.target import refuse_unwritable

log = logging.getLogger("streamdehaze")

RATE = 25
"""Frames a second unless another is asked for: files say nothing of time, and FFmpeg takes the same."""


@dataclass(frozen=True)
class _Origin:
    """What a frame of a sequence carries to the sink."""

    number: int
    metadata: PictureMetadata


class SequenceSource(Reader):
    """The pictures of an image sequence such as "frames/%05d.png", in the order of their numbers.

    Missing numbers are reported, and no end: the frames after them follow on, and keep their numbers in a
    `SequenceSink`. Size and pixel format in `info` are those of the first picture.

    Args:
        path: the pattern.
        start, end: seconds; frames from `start` up to, not including, `end` are taken.
        rate: frames a second.

    Raises:
        SourceError: if there is no such file, or the first one cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        start: float | None = None,
        end: float | None = None,
        rate: Fraction | None = None,
    ) -> None:
        self.path = Path(path)
        self.options: dict[str, object] = {"start": start, "end": end, "rate": str(rate or RATE)}
        """How it is read, as plain values."""
        self._rate = rate = Fraction(RATE) if rate is None else rate
        files = list(numbered_files(self.path).items())
        if not files:
            raise SourceError(f"no file matches the image sequence '{self.path}'")
        self._files = [
            (index, number, file)
            for index, (number, file) in enumerate(files)
            if (start is None or index >= start * rate) and (end is None or index < end * rate)
        ]
        if not self._files:
            raise SourceError(f"'{self.path}' has no frames between --start and --end")
        self._name_missing()
        with contextlib.closing(PictureSource(self._files[0][2])) as first:
            self.metadata = first.metadata
            """Of the first picture."""
            self._info = replace(
                first.info,
                average_rate=rate,
                time_base=1 / rate,
                frame_count=len(self._files),
                duration_seconds=float(len(self._files) / rate),
            )

    @property
    def files(self) -> list[Path]:
        """The pictures, in order."""
        return [file for _, _, file in self._files]

    def _name_missing(self) -> None:
        numbers = {number for _, number, _ in self._files}
        first, last = min(numbers), max(numbers)
        if missing := last - first + 1 - len(numbers):
            gap = next(number for number in range(first, last) if number not in numbers)
            which = f"number {gap} is missing" if missing == 1 else f"{missing} numbers are missing, {gap} first"
            log.warning("%s: %s; the frames after it follow on without a gap in time", self.path, which)

    def skip(self, frames: int) -> None:
        """Leave out the first `frames` pictures, of which an earlier run made something."""
        self._files = self._files[frames:]

    def __iter__(self) -> Iterator[Frame]:
        """One frame a file, its PTS the index from the sequence's first file on.

        Raises:
            SourceError: naming the picture that cannot be read.
        """
        for index, number, file in self._files:
            with contextlib.closing(PictureSource(file)) as picture:
                for frame in picture:
                    origin = _Origin(number, picture.metadata)
                    yield replace(frame, pts=index, time_base=1 / self._rate, duration=1, opaque=origin)


class SequenceSink(Writer):
    """Writes frames as numbered pictures, "clear/%05d.png"; each gets its name as soon as it is whole, and stays.

    A frame of a `SequenceSource` keeps its number and its file's metadata; others are numbered from 1.

    Args:
        path: the pattern.
        source: where the frames come from.
        overwrite: replace files of such names.

    Raises:
        SinkError: if files of such names exist or cannot be written there, or it is not a picture's name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: Source,
        *,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        super().__init__(f"'{self.path}'")
        picture_format(self.path)
        refuse_unwritable(self.path, overwrite, None)
        there = numbered_files(self.path)
        if there and isinstance(source, SequenceSource) and _same_files(source.path, self.path):
            raise SinkError(f"'{self.path}' is the input itself; choose another name for the output")
        if there and not overwrite:
            first = next(iter(there.values()))
            raise SinkError(f"'{first}' exists already; use --overwrite to replace it")
        self._next = 1
        self.frames = 0
        """Pictures written so far."""
        self.losses += source.besides if isinstance(source, Reader) else []
        for each in self.losses:
            log.warning("not kept in %s: %s", self._name, each)

    def plan(self, frame: Frame) -> OutputPlan:
        """How the first picture would be written; nothing is."""
        metadata = frame.opaque.metadata if isinstance(frame.opaque, _Origin) else PictureMetadata()
        _, lost = encode_picture(numbered(self.path, self._next), frame, metadata)
        return OutputPlan(picture_format(self.path).name, frame.pixel_format.name, losses=(*self.losses, *lost))

    def _write(self, frame: Frame) -> None:
        self._write_one(frame)

    def _write_one(self, frame: Frame) -> Path:
        """Write the next picture, and say where."""
        origin = frame.opaque if isinstance(frame.opaque, _Origin) else _Origin(self._next, PictureMetadata())
        self._next = origin.number + 1
        file = numbered(self.path, origin.number)
        data, lost = encode_picture(file, frame, origin.metadata)
        partial = self._partial(file)
        partial.write_bytes(data)
        sync_file(partial)
        rename_durably(partial, file)
        del self._partials[partial]
        self._disclaim()
        self.frames += 1
        new = [each for each in lost if each not in self.losses]
        self.losses += new
        if new:
            log.warning("not kept in '%s' and those after it: %s", file, ", ".join(new))
        return file

    def _finish(self) -> None:
        if not self.frames:
            raise SinkError(f"no frame reached {self._name}, so it was not written")


def _same_files(one: Path, other: Path) -> bool:
    return one.name == other.name and one.parent.samefile(other.parent)

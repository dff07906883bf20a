"""Numbered pictures written one by one, and continued where an earlier run stopped."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from streamdehaze.durable import file_sha256, write_whole
from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.video.picture.sequence import SequenceSink, SequenceSource
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.resume.cut import Cut, Cutter, segment_length
from streamdehaze.video.resume.manifest import (
    FileIdentity,
    Manifest,
    Segment,
    plain,
    read_manifest,
    segment_file,
    write_state,
)
from streamdehaze.video.resume.unfinished import WorkFolder, part_folder

log = logging.getLogger("streamdehaze")

_MOST_SECONDS = 10.0
"""Longest stretch between two places where work can continue: pictures need no encoder run of their own."""


class ResumedSequenceSink(SequenceSink):
    """A `SequenceSink` that notes in the folder NAME.part which pictures are finished, and what the dehazer remembers.

    Args:
        path: the pattern.
        source: a sequence, or a film that can be read again.
        overwrite: replace files of such names that are not of an earlier run.
        seconds: between two places where work can continue, at least; 10 at most.
        resume: continue the work that an earlier run left.

    Raises:
        SinkError: as for a `SequenceSink`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: SequenceSource | FileSource,
        *,
        overwrite: bool = False,
        seconds: float = _MOST_SECONDS,
        resume: bool = True,
    ) -> None:
        self._folder = part_folder(path)
        earlier = resume and read_manifest(self._folder) is not None
        super().__init__(path, source, overwrite=overwrite or earlier)
        self._source, self._resume = source, resume
        self._length = segment_length(min(seconds, _MOST_SECONDS), source.info.average_rate)
        self._work: WorkFolder | None = None
        self._new: list[Path] = []

    @property
    def ended(self) -> bool:
        """Never: after the last picture nothing is left to do."""
        return False

    def take_up(self, settings: Mapping[str, object]) -> Cut | None:
        """Begin the work, or continue what an earlier run left: the cut after which the next frame is wanted.

        Args:
            settings: all that decides what the frames look like, as plain values.

        Raises:
            SinkError: if another run is writing, or earlier work was on another input or with other settings.
        """
        with self._working():
            fresh = Manifest(
                input=os.fsencode(os.path.abspath(self._source.path or "")).decode(errors="replace"),
                identity=_identity(self._source),
                settings=plain({**settings, **self._source.options, "segment_frames": self._length}),
            )
            self._work = work = WorkFolder(self._folder, self._name, fresh, resume=self._resume)
            whole = [self._is_there(number) for number in range(len(work.manifest.segments))]
            if False in whole:
                log.warning("%s: pictures of an earlier run are gone; the work continues before them", self._name)
                segments = work.manifest.segments[: whole.index(False)]
                work.manifest = work.manifest.model_copy(update={"segments": segments})
            self._next = work.manifest.frames + 1
            return work.reached()

    def cutter(self, begin: Cut | None, *, remembers: bool) -> Cutter:
        """See `SegmentSink.cutter`: the memory is kept at each cut, so that nothing needs a warm-up."""
        return Cutter(self._length, begin)

    def cut(self, cut: Cut) -> None:
        """Note that the pictures so far are finished.

        Raises:
            SinkError: if that cannot be written.
        """
        with self._working():
            self._note(cut)

    def _write(self, frame: Frame) -> None:
        self._new.append(self._write_one(frame))

    def _finish(self) -> None:
        if self._work is None or not (self._new or self._work.manifest.segments):
            raise SinkError(f"no frame reached {self._name}, so it was not written")

    def _release(self, *, published: bool) -> None:
        if self._work is not None:
            self._work.leave(done=published, keep=bool(self._new))

    def _note(self, cut: Cut) -> None:
        work = self._work
        if work is None or not self._new:
            return
        number = len(work.manifest.segments)
        listing = "".join(f"{path.stat().st_size} {path.name}\n" for path in self._new).encode(errors="surrogateescape")
        write_whole(segment_file(work.path, number), listing)
        work.add(
            Segment(
                first_frame=work.manifest.frames,
                frames=len(self._new),
                first_pts=0,
                last_pts=0,
                size_bytes=len(listing),
                hash=file_sha256(segment_file(work.path, number)),
                header_hash="",
                end=write_state(work.path, number, cut),
            )
        )
        self._new = []

    def _is_there(self, number: int) -> bool:
        """Whether the pictures of a segment are still there."""
        assert self._work is not None
        listing = segment_file(self._work.path, number).read_bytes().decode(errors="surrogateescape")
        for line in listing.splitlines():
            size, _, name = line.partition(" ")
            path = self.path.with_name(name)
            if not path.is_file() or str(path.stat().st_size) != size:
                return False
        return True


def _identity(source: SequenceSource | FileSource) -> FileIdentity:
    """The identity of a film, or of all pictures of a sequence."""
    if isinstance(source, FileSource):
        return FileIdentity.of(source.name)
    facts = [(file.name, os.stat(file)) for file in source.files]
    digest = hashlib.blake2b(repr([(name, s.st_size, s.st_mtime_ns) for name, s in facts]).encode(), digest_size=16)
    return FileIdentity(
        size_bytes=sum(s.st_size for _, s in facts),
        mtime_ns=max(s.st_mtime_ns for _, s in facts),
        hash=digest.hexdigest(),
    )

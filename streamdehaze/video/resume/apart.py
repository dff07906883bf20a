"""One segment of a long video, made apart from all others after a warm-up; see `streamdehaze.video.resume.plan`."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property

from filelock import FileLock, Timeout

from streamdehaze.durable import write_whole
from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.video.packets import PacketFile
from streamdehaze.video.protocols import Reader
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.resume.cut import Cut
from streamdehaze.video.resume.manifest import segment_file
from streamdehaze.video.resume.plan import Plan, SegmentRecord, record_file
from streamdehaze.video.resume.sink import OpenSegment, SegmentFileSink
from streamdehaze.video.resume.spans import Spans
from streamdehaze.video.resume.unfinished import part_folder
from streamdehaze.video.writing.encoding.encode import StreamSetup, VideoEncoder


class SpanSource(Reader):
    """The frames of a segment, before them those of its warm-up, and after them those that it is corrected by.

    Args:
        source: the file; it stays unread itself, and its owner closes it.
        spans: the segments.
        number: of the segment wanted.
        remembers: whether there is a warm-up.
        ahead: how many frames follow.
    """

    def __init__(self, source: FileSource, spans: Spans, number: int, *, remembers: bool, ahead: int) -> None:
        self._source, self._spans, self._number, self._ahead = source, spans, number, ahead
        self._since = None if number == 0 else spans.begin(number) - (spans.warm_up if remembers else 0)

    @property
    def info(self) -> VideoInfo:
        """What the container says of the whole video."""
        return self._source.info

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order, once."""
        spans, before, after = self._spans, 0, 0
        with closing(self._source.reopen(at=self._since)) as again:
            for frame in again:
                if self._since is not None and spans.instant(frame) < self._since:
                    continue
                number = spans.number(frame)
                if number < self._number:
                    before = again.damaged
                elif number > self._number:
                    if after == self._ahead:
                        break
                    after += 1
                yield frame
                if not after:
                    self.damaged = again.damaged - before

    def close(self) -> None:
        """Nothing is left open after the last frame."""


class SegmentApart(SegmentFileSink):
    """Encodes one segment of a long video into the folder NAME.part.

    Args:
        path, source, overwrite, stop: as for `SegmentFileSink`.
        frames_of: the segment's frames, and what surrounds them.
        number: of the segment.
        plan: how the work is divided.
        engine: that dehazes it.

    Raises:
        SinkError: if another process is making this segment.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: FileSource,
        frames_of: SpanSource,
        number: int,
        plan: Plan,
        engine: str,
        *,
        overwrite: bool,
        stop: threading.Event | None = None,
    ) -> None:
        super().__init__(path, source, encode=plan.encode, overwrite=overwrite, container=plan.container, stop=stop)
        self._plan, self._frames_of, self._number, self._engine = plan, frames_of, number, engine
        self._folder = part_folder(path)
        self._last_pts: int | None = None
        self._lock = FileLock(self._folder / f"{number:05d}.lock", thread_local=False)
        with contextlib.suppress(NotImplementedError):  # a file system without locks
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise SinkError(f"another process is making segment {number + 1} of {self._name}") from error

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return 0 if self._segment is None else self._segment.frames

    def cut(self, cut: Cut) -> None:
        """Remember where the segment begins."""
        if self._segment is None:
            self._last_pts = cut.last_pts

    def _write(self, frame: Frame) -> None:
        if self._segment is None:
            self._segment = self._open()
        self._segment.write(frame)

    @cached_property
    def _setup(self) -> StreamSetup:
        """The same for all segments; what it loses is reported when they are joined."""
        with closing(self._source.reopen()) as again:
            (first,) = itertools.islice(again, 1)
        return self._setup_for(first)

    def _open(self) -> OpenSegment:
        setup, last = self._setup, self._last_pts
        if last is not None:
            last = round(last * self._source.info.time_base / setup.tick) + setup.delay
        return OpenSegment(VideoEncoder(setup, last_pts=last), PacketFile(segment_file(self._folder, self._number)))

    def _finish(self) -> None:
        segment = self._segment or self._open()  # a gap in time may be longer than a segment
        record = SegmentRecord(
            work=self._plan.work.hash,
            segment=segment.finish(0),
            engine=self._engine,
            damaged=self._frames_of.damaged,
            losses=tuple(self.losses),
        )
        write_whole(record_file(self._folder, self._number), record.model_dump_json(indent=1).encode() + b"\n")

    def _release(self, *, published: bool) -> None:
        super()._release(published=published)
        self._lock.release()

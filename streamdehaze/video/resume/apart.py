"""One segment of a long video, made apart from all others after a warm-up; see `streamdehaze.video.resume.plan`."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction

from filelock import FileLock, Timeout

from streamdehaze.durable import write_whole
from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.video.packets import PacketFile
from streamdehaze.video.protocols import Reader
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.resume.manifest import segment_file
from streamdehaze.video.resume.plan import Plan, Record, Span, record_file
from streamdehaze.video.resume.sink import OpenSegment, SegmentFileSink
from streamdehaze.video.resume.unfinished import part_folder
from streamdehaze.video.writing.encoding.encode import VideoEncoder


class SpanSource(Reader):
    """The frames of a span, before them those of its warm-up, and after them those that it is corrected by.

    Args:
        source: the file; it stays unread itself, and its owner closes it.
        span: the part wanted.
        ahead: how many frames follow.
    """

    def __init__(self, source: FileSource, span: Span, ahead: int = 0) -> None:
        self._source, self.span, self._ahead = source, span, ahead

    @property
    def info(self) -> VideoInfo:
        """What the container says of the whole video."""
        return self._source.info

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order, once."""
        span, before, after = self.span, 0, 0
        with closing(self._source.reopen(at=span.warm_up)) as again:
            for frame in again:
                instant = self.instant(frame)
                if span.warm_up is not None and instant < span.warm_up:
                    continue
                if span.begin is not None and instant < span.begin:
                    before = again.damaged
                elif self._is_over(instant):
                    if after == self._ahead:
                        break
                    after += 1
                yield frame
                if not after:
                    self.damaged = again.damaged - before

    def instant(self, frame: Frame) -> Fraction:
        """When a frame is shown, on the file's own clock in seconds."""
        return (frame.pts or 0) * frame.time_base + self._source.window.offset

    def is_warm_up(self, frame: Frame) -> bool:
        """Whether a frame comes before the span."""
        return self.span.begin is not None and self.instant(frame) < self.span.begin

    def is_over(self, frame: Frame) -> bool:
        """Whether a frame comes after the span."""
        return self._is_over(self.instant(frame))

    def _is_over(self, instant: Fraction) -> bool:
        return self.span.end is not None and instant >= self.span.end

    def close(self) -> None:
        """Nothing is left open after the last frame."""


class SegmentApart(SegmentFileSink):
    """Encodes one segment of a long video into the folder NAME.part; frames outside of it are dropped.

    Args:
        path, source, overwrite, stop: as for `SegmentFileSink`.
        spans: the part of the video that is written, and what surrounds it.
        plan: how the work is divided.
        engine: that dehazes it.

    Raises:
        SinkError: if another process is making this segment.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: FileSource,
        spans: SpanSource,
        plan: Plan,
        engine: str,
        *,
        overwrite: bool,
        stop: threading.Event | None = None,
    ) -> None:
        super().__init__(path, source, encode=plan.encode, overwrite=overwrite, container=plan.container, stop=stop)
        number = spans.span.number
        self._plan, self.spans, self._number, self._engine = plan, spans, number, engine
        self._folder = part_folder(path)
        self._before: Frame | None = None
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

    def _write(self, frame: Frame) -> None:
        if self.spans.is_over(frame):
            return
        if self.spans.is_warm_up(frame):
            self._before = frame
            return
        if self._segment is None:
            self._segment = self._open()
        self._segment.write(frame)

    def _open(self) -> OpenSegment:
        setup, before = self._setup, self._before
        last = None
        if before is not None and before.pts is not None:
            last = round(before.pts * before.time_base / setup.tick) + setup.delay
        return OpenSegment(VideoEncoder(setup, last_pts=last), PacketFile(segment_file(self._folder, self._number)))

    def _finish(self) -> None:
        segment = self._segment or self._open()  # a gap in time may be longer than a segment
        record = Record(
            work=self._plan.work.hash,
            segment=segment.finish(0),
            engine=self._engine,
            damaged=self.spans.damaged,
            losses=tuple(self.losses),
        )
        write_whole(record_file(self._folder, self._number), record.model_dump_json(indent=1).encode() + b"\n")

    def _release(self, *, published: bool) -> None:
        super()._release(published=published)
        self._lock.release()

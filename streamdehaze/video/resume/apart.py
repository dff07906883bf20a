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
from streamdehaze.video.resume.cut import Cut, Cutter
from streamdehaze.video.resume.manifest import segment_file
from streamdehaze.video.resume.plan import Plan, Record, Span, record_file
from streamdehaze.video.resume.sink import OpenSegment, SegmentFileSink
from streamdehaze.video.resume.unfinished import part_folder
from streamdehaze.video.writing.encoding.encode import VideoEncoder


class SpanSource(Reader):
    """The frames of a span, and before them those of its warm-up.

    Args:
        source: the file; it stays unread itself, and its owner closes it.
        span: the part wanted.
    """

    def __init__(self, source: FileSource, span: Span) -> None:
        self._source, self.span = source, span

    @property
    def info(self) -> VideoInfo:
        """What the container says of the whole video."""
        return self._source.info

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order, once."""
        span, before = self.span, 0
        with closing(self._source.reopen(at=span.warm_up)) as again:
            for frame in again:
                instant = self.instant(frame)
                if span.end is not None and instant >= span.end:
                    break
                if span.warm_up is not None and instant < span.warm_up:
                    continue
                if span.begin is not None and instant < span.begin:
                    before = again.damaged
                yield frame
                self.damaged = again.damaged - before

    def instant(self, frame: Frame) -> Fraction:
        """When a frame is shown, on the file's own clock in seconds."""
        return (frame.pts or 0) * frame.time_base + self._source.window.offset

    def is_warm_up(self, frame: Frame) -> bool:
        """Whether a frame comes before the span."""
        return self.span.begin is not None and self.instant(frame) < self.span.begin

    def close(self) -> None:
        """Nothing is left open after the last frame."""


class WarmUp(Cutter):
    """One cut, between the warm-up and the span: nothing that looks ahead reaches over it."""

    def __init__(self, source: SpanSource) -> None:
        super().__init__(1)
        self._source, self._warm = source, False

    def before(self, frame: Frame) -> Cut | None:
        """The cut before this frame, if there is one."""
        was_warm_up, self._warm = self._warm, self._source.is_warm_up(frame)
        self.frames += 1
        return Cut(self.frames - 1, None, "") if was_warm_up and not self._warm else None


class SegmentApart(SegmentFileSink):
    """Encodes one segment of a long video into the folder NAME.part; the frames of its warm-up are dropped.

    Args:
        path, source, overwrite, stop: as for `SegmentFileSink`.
        spans: the part of the video that is written, and its warm-up.
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

    def cut(self, cut: Cut) -> None:
        """The warm-up is over; nothing of it was written."""

    @property
    def frames(self) -> int:
        """Frames written so far, without the warm-up."""
        return 0 if self._segment is None else self._segment.frames

    def _write(self, frame: Frame) -> None:
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

"""Decode, dehaze, apply and encode at the same time, each in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import psutil

from streamdehaze.dehaze import Dehazer
from streamdehaze.dehaze.stream import Solution, apply
from streamdehaze.errors import Cancelled, ConfigError, ResourceError, own_error
from streamdehaze.frame import Frame
from streamdehaze.meter.track import Track
from streamdehaze.pipeline.lanes import Lanes
from streamdehaze.pipeline.queue import ByteQueue
from streamdehaze.pipeline.statistics import StageStatistics, Statistics
from streamdehaze.video.protocols import Reader, SegmentSink, Sink, Source
from streamdehaze.video.resume.cut import Cut, Cutter, WarmUp

QUEUE_BYTES = 8 << 20
"""Bound of the queue before the dehaze thread; one frame always fits."""
_SOLVED_QUEUES = 2
"""Bound of the queue after it, in units of that: looking ahead hands out eight frames and more at once. Where they do
not fit, this stage and the encoder wait in turn."""
_CLEAR_BYTES = 4 << 20
"""The same for clear frames: a few, so that the encoder need not wait for each."""
_QUEUE_SHARE = 32
"""Part of the memory allowed that one queue may take."""
_PROGRESS_SECONDS = 0.1
_ABANDON_SECONDS = 5.0

Progress = Callable[[Statistics], None]
FrameCallback = Callable[[Frame, Frame], "Frame | None"]
"""Sees each hazy and clear frame in presentation order, and may return another to be written in its place."""


class Pipeline:
    """Moves every frame of a source through a dehazer into a sink.

    1. The decode thread iterates the source into a queue.
    2. The dehaze thread looks at each frame, runs the network on `batch_size` pictures at once (fewer where the video
       ends, see `Batch`) and queues what is to be done to the frames.
    3. The apply thread does it.
    4. The encode thread writes the clear frames and closes the sink, which gives the output its final name.

    With a `cutter`, the work is cut into segments, see `Lanes`; the sink gets each cut together with what the
    dehazer remembers there. With a `memory_limit` in bytes, the queues are kept short, and
    the work ends before the system would end the process.

    The queues are bounded in bytes. All waits watch one stop event; the first exception sets it, ends every stage,
    aborts the sink and is the one `run` raises. The caller closes the source.

    Raises:
        ConfigError: if `batch_size` is not positive.
    """

    def __init__(
        self,
        source: Source,
        dehazer: Dehazer,
        sink: Sink,
        *,
        batch_size: int | None = None,
        queue_bytes: int = QUEUE_BYTES,
        stop: threading.Event | None = None,
        cutter: Cutter | None = None,
        memory_limit: int | None = None,
        on_frame: FrameCallback | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch size must be at least 1, not {batch_size}")
        if memory_limit is not None:
            queue_bytes = min(queue_bytes, memory_limit // _QUEUE_SHARE)
        self._memory_limit = memory_limit
        self._source, self._dehazer, self._sink = source, dehazer, sink
        self._batch_size = batch_size
        self._cancel = stop or threading.Event()
        self._stop = threading.Event()
        self._hazy: ByteQueue[Frame | WarmUp | Cut | None] = ByteQueue(queue_bytes, self._stop)
        self._solved: ByteQueue[Solution | Cut | None] = ByteQueue(_SOLVED_QUEUES * queue_bytes, self._stop)
        self._clear: ByteQueue[Frame | Cut | None] = ByteQueue(min(queue_bytes, _CLEAR_BYTES), self._stop)
        self._cutter = cutter
        self._on_frame = on_frame
        self._first_error: BaseException | None = None
        self._complete = False
        self._error_lock = threading.Lock()
        self.statistics = Statistics()
        self.haze = Track()
        """What was measured of the haze so far, and the strength that was applied."""

    def run(self, progress: Progress | None = None) -> Statistics:
        """Work until the source ends.

        Args:
            progress: called about ten times a second, and once at the end, from the calling thread.

        Raises:
            Cancelled: if the stop event given at construction is set meanwhile.
            StreamDehazeError: the first failure of any stage.
        """
        self.statistics.started = time.perf_counter()
        # A decode thread may sit in a read that never returns (a silent pipe); being a daemon it cannot keep the
        # process alive, and it owns nothing but the source.
        decode = self._thread(self._decode, self.statistics.decode, daemon=True)
        dehaze = self._thread(self._dehaze, self.statistics.dehaze)
        apply_maps = self._thread(self._apply, self.statistics.apply)
        encode = self._thread(self._encode, self.statistics.encode)
        threads = [decode, dehaze, apply_maps, encode]
        try:
            for thread in threads:
                thread.start()
            while encode.is_alive() and not self._stop.is_set():
                encode.join(_PROGRESS_SECONDS)
                self._check_cancelled()
                self._check_memory()
                if progress:
                    progress(self.statistics)
        except BaseException as error:  # also KeyboardInterrupt, or a progress callback that failed
            self._fail(error)
        for thread, seconds in ((dehaze, None), (apply_maps, None), (encode, None), (decode, _ABANDON_SECONDS)):
            if thread.ident is not None:  # the system may have refused to start it
                thread.join(seconds)
        self.statistics.seconds = time.perf_counter() - self.statistics.started
        if self._complete and isinstance(self._first_error, Cancelled):
            self._first_error = None  # too late: the output is whole and has its final name
        if self._first_error is not None:
            with contextlib.suppress(Exception):  # a failed clean-up must not hide the first error
                self._sink.abort()
            raise self._first_error
        if progress:
            progress(self.statistics)
        return self.statistics

    def _thread(
        self, work: Callable[[StageStatistics], None], statistics: StageStatistics, daemon: bool = False
    ) -> threading.Thread:
        def guarded() -> None:
            try:
                work(statistics)
            except BaseException as error:
                self._fail(own_error(error, statistics.name))

        return threading.Thread(target=guarded, name=f"streamdehaze-{statistics.name}", daemon=daemon)

    def _fail(self, error: BaseException) -> None:
        with self._error_lock:
            if self._first_error is None:
                self._first_error = error
            self._stop.set()

    def _check_cancelled(self) -> None:
        if self._cancel.is_set():
            raise Cancelled("stopped before the end")

    def _check_memory(self) -> None:
        if self._memory_limit is not None and (held := psutil.Process().memory_info().rss) > self._memory_limit:
            mebibytes = 1 << 20
            raise ResourceError(
                f"the process uses {held // mebibytes} MiB, above --memory-limit "
                f"({self._memory_limit // mebibytes} MiB); raise the limit, or choose a smaller --batch-size or a "
                "faster --preset"
            )

    def _decode(self, statistics: StageStatistics) -> None:
        frames = iter(self._source)
        while True:
            with statistics.busy():
                frame = next(frames, None)
            if frame is not None and self._cutter is not None:
                with statistics.busy():
                    marks = self._cutter.before(frame)
                for mark in marks:
                    if isinstance(mark, Cut):
                        mark = replace(mark, damaged=self._source.damaged if isinstance(self._source, Reader) else 0)
                    with statistics.waiting():
                        self._hazy.put(mark, 0)
            with statistics.waiting():
                self._hazy.put(frame, frame.nbytes if frame else 0)
            if frame is None:
                return
            statistics.frames += 1

    def _dehaze(self, statistics: StageStatistics) -> None:
        item: Frame | WarmUp | Cut | None = None
        ended = False
        with Lanes(self._dehazer, self._batch_size) as lanes:
            lanes.prepare(self._source.info)
            while not ended:
                if lanes.has_asked and self._hazy.is_empty:
                    with statistics.busy():
                        passed = lanes.take_answers()
                else:
                    with statistics.waiting():
                        item = self._hazy.get()
                    ended = item is None
                    with statistics.busy():
                        passed = lanes.take(item)
                passed.reverse()
                while passed:  # none is kept here: with look-ahead there are dozens, each with its frame
                    one = passed.pop()
                    with statistics.waiting():
                        self._solved.put(one, one.look.frame.nbytes if isinstance(one, Solution) else 0)
                    statistics.frames += isinstance(one, Solution)
        with statistics.waiting():
            self._solved.put(None, 0)

    def _apply(self, statistics: StageStatistics) -> None:
        while True:
            with statistics.waiting():
                item = self._solved.get()
            if not isinstance(item, Solution):
                with statistics.waiting():
                    self._clear.put(item, 0)
                if item is None:
                    return
                continue
            with statistics.busy():
                clear = self._clear_frame(item)
            del item  # with its hazy frame, while there is no room for the clear one
            with statistics.waiting():
                self._clear.put(clear, clear.nbytes)
            statistics.frames += 1

    def _clear_frame(self, solution: Solution) -> Frame:
        look = solution.look
        self.haze.add(look.frame.seconds, solution.reading, look.strength)
        clear = apply(solution)
        return clear if self._on_frame is None else self._on_frame(look.frame, clear) or clear

    def _encode(self, statistics: StageStatistics) -> None:
        while True:
            with statistics.waiting():
                item = self._clear.get()
            self._check_cancelled()  # not left to the caller's thread: all would be written before it looks
            with statistics.busy():
                if item is None:
                    self._sink.close()
                    self._complete = True
                    return
                if isinstance(item, Cut):
                    assert isinstance(self._sink, SegmentSink)
                    self._sink.cut(item)
                    continue
                self._sink.write(item)
            statistics.frames += 1

"""The one thread that makes the frames of all cameras clear."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from streamdehaze.dehaze import Dehazer, Stream
from streamdehaze.errors import StreamDehazeError
from streamdehaze.frame import Frame, PixelFormat
from streamdehaze.live.adapt import Adapt
from streamdehaze.live.intake import Intake, LiveFrame

if TYPE_CHECKING:
    from streamdehaze.live.camera import Camera

log = logging.getLogger("streamdehaze.live")

_WINDOW_SECONDS = 0.004
"""Wait this long for frames of other cameras; a fuller batch is not worth more."""
_RECENT = 0.2
"""Weight of the newest batch in the running mean of how long a frame takes."""
_SHARE = 0.5
"""Of the tightest latency budget, the most that one batch may take: the first frame waits for the last."""


class Worker:
    """Takes frames from the intake, makes them clear and delivers them.

    Args:
        intake: where they come from; each lane's owner is a `Camera`.
        dehazer: makes the frames clear, each camera's in its own stream.
        adapt: chooses how often the network runs and at what size.
        batch_size: frames that share a run of the network, at most.
        ready: called once the engine is warm, before the first frame.
        failed: called with an error that ends all work.
    """

    def __init__(
        self,
        intake: Intake,
        dehazer: Dehazer,
        adapt: Adapt,
        *,
        batch_size: int,
        ready: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._intake, self._dehazer, self._adapt = intake, dehazer, adapt
        self._batch_size, self._ready, self._failed = batch_size, ready, failed
        self._stop = threading.Event()
        self._frame_seconds = 0.0
        self._warm: set[tuple[int, int, PixelFormat, bool]] = set()
        self._thread = threading.Thread(target=self._run, name="dehaze", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current batch."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        """Wait for the end, or `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether a batch may be in progress."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._warm_up()
            self._ready()
            while not self._stop.is_set():
                count = self._frames_in_time()
                batch = self._intake.take(
                    count, window_seconds=_WINDOW_SECONDS, work_seconds=count * self._frame_seconds
                )
                if not batch:
                    self._adapt.idle()
                    continue
                for lane, live in batch:
                    self._warm_up_for(lane.owner.stream, live.frame)
                began, network_before = time.monotonic(), self._dehazer.network_seconds
                self._work([(lane.owner, live) for lane, live in batch], began)
                self._intake.done(batch)
                seconds = time.monotonic() - began
                self._frame_seconds += _RECENT * (seconds / len(batch) - self._frame_seconds)
                self._adapt.worked(seconds, self._dehazer.network_seconds - network_before)
        except StreamDehazeError as error:
            self._failed(error)
        except BaseException as error:
            wrapped = StreamDehazeError(f"dehazing failed: {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            self._failed(wrapped)

    def _work(self, batch: list[tuple[Camera, LiveFrame]], began: float) -> None:
        level = self._adapt.level
        for camera, live in batch:
            camera.counters.observe("wait", began - live.decoded)
            if not camera.stream.exact:
                camera.stream.network_size, camera.stream.every = level.network_size, level.every
        many = self._dehazer.process_many([(camera.stream, live.frame) for camera, live in batch])
        for (camera, live), clear_frames in zip(batch, many, strict=True):
            camera.counters.observe("dehaze", time.monotonic() - began)
            for clear in clear_frames:
                if camera.deliver(live, clear):
                    self._adapt.late()

    def _warm_up(self) -> None:
        """Make a frame clear twice: the first run compiles loops and fills caches, which no camera must wait for."""
        planes = tuple(np.full(shape, 128, np.uint8) for shape in ((360, 640), (180, 320), (180, 320)))
        frame = Frame(planes, 640, 360, PixelFormat.parse("yuv420p"))
        for _ in range(2):
            began = time.monotonic()
            self._try(frame, self._adapt.level.network_size)
            self._frame_seconds = time.monotonic() - began

    def _warm_up_for(self, stream: Stream, frame: Frame) -> None:
        """Make a frame clear once at every network size that frames like it may get, alone and in a batch.

        An engine compiles for each, which takes time and memory: at a camera's first frame, and not when the processor
        cannot keep up and quality goes down for that.
        """
        kind = frame.width, frame.height, frame.pixel_format, stream.exact
        if kind in self._warm:
            return
        self._warm.add(kind)
        if stream.exact:
            self._try(frame, exact=True)
        else:
            for network_size in self._adapt.network_sizes:
                for count in range(1, min(self._batch_size, 2) + 1):
                    self._try(frame, network_size, count=count)
        self._adapt.restart()

    def _try(self, frame: Frame, network_size: int = 256, *, count: int = 1, exact: bool = False) -> None:
        for _ in self._dehazer.process_many([(Stream(network_size=network_size, exact=exact), frame)] * count):
            pass

    def _frames_in_time(self) -> int:
        """How many frames a batch may have and still be ready in time."""
        budget = self._intake.tightest_budget
        if budget is None or not self._frame_seconds:
            return self._batch_size
        return min(self._batch_size, max(1, int(_SHARE * budget / self._frame_seconds)))

"""The one thread that makes the frames of all cameras clear."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from streamdehaze.dehaze import Dehazer, Stream
from streamdehaze.dehaze.format import network_shape
from streamdehaze.errors import EngineError, StreamDehazeError
from streamdehaze.frame import Frame, PixelFormat
from streamdehaze.live.adapt import Adapt, QualityStep
from streamdehaze.live.intake import Intake, LiveFrame
from streamdehaze.live.shapes import FittedEngine, Shapes

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
        self._intake, self._adapt = intake, adapt
        self._batch_size, self._ready, self._failed = batch_size, ready, failed
        self._stop = threading.Event()
        self._frame_seconds = 0.0
        self._beat = time.monotonic()
        self._shapes = Shapes(dehazer.engine, adapt.network_sizes, batch_size=batch_size)
        self._dehazer = Dehazer(dehazer.checkpoint, engine=FittedEngine(dehazer.engine, self._shapes))
        self._thread = threading.Thread(target=self._run, name="dehaze", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current batch."""
        self._stop.set()
        self._shapes.stop()

    def join(self, timeout: float) -> None:
        """Wait for the end, or `timeout` seconds."""
        deadline = time.monotonic() + timeout
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._shapes.join(max(0.0, deadline - time.monotonic()))

    @property
    def beat_seconds(self) -> float:
        """Time since it last asked for work."""
        return time.monotonic() - self._beat

    @property
    def alive(self) -> bool:
        """Whether a batch may be in progress, or the engine may be compiling."""
        return self._thread.is_alive() or self._shapes.alive

    def _run(self) -> None:
        try:
            self._warm_up()
            self._shapes.start()
            self._ready()
            while not self._stop.is_set():
                self._beat = time.monotonic()
                count = self._frames_in_time()
                batch = self._intake.take(
                    count, window_seconds=_WINDOW_SECONDS, work_seconds=count * self._frame_seconds
                )
                if not batch:
                    self._adapt.idle()
                    continue
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
        pairs: list[tuple[Camera, LiveFrame]] = []
        for camera, live in batch:
            camera.counters.observe("wait", began - live.decoded)
            if self._fit(camera, live.frame, level):
                pairs.append((camera, live))
            else:
                camera.stream.reset()
                frame = live.frame
                self._deliver(camera, live, None, f"the engine is being prepared for {frame.width}×{frame.height}")
        if pairs:
            self._dehaze(pairs, began)

    def _fit(self, camera: Camera, frame: Frame, level: QualityStep) -> bool:
        """Choose the network size for a frame; False if the engine is ready for none it could have."""
        stream = camera.stream
        if stream.strength == 0:
            return True
        if camera.settling.wants(frame):
            self._shapes.want(frame, exact=stream.exact)
        size = self._shapes.fit(frame, level.network_size, exact=stream.exact)
        if size is not None and not stream.exact:
            stream.network_size, stream.every = size, level.every
        return size is not None

    def _dehaze(self, pairs: list[tuple[Camera, LiveFrame]], began: float) -> None:
        many = self._dehazer.process_many([(camera.stream, live.frame) for camera, live in pairs])
        for number, (camera, live) in enumerate(pairs):
            try:
                clear_frames = next(many)
            except EngineError:
                raise  # it concerns all cameras
            except Exception as error:
                self._dehaze_one_by_one(pairs[number:], began, error)
                return
            camera.counters.observe("dehaze", time.monotonic() - began)
            for clear in clear_frames:
                self._deliver(camera, live, clear)

    def _dehaze_one_by_one(self, pairs: list[tuple[Camera, LiveFrame]], began: float, error: Exception) -> None:
        """Find out which camera's frame raised an error: that one passes hazy, the others are none the worse."""
        for camera, _ in pairs:
            camera.stream.reset()
        if len(pairs) > 1:
            for pair in pairs:
                self._dehaze([pair], began)
            return
        camera, live = pairs[0]
        reason = str(error) if isinstance(error, StreamDehazeError) else f"{type(error).__name__}: {error}"
        self._deliver(camera, live, None, f"its frames cannot be dehazed: {reason}")

    def _deliver(self, camera: Camera, live: LiveFrame, clear: Frame | None, reason: str = "") -> None:
        if camera.deliver(live, clear, reason):
            self._adapt.late()

    def _warm_up(self) -> None:
        """Make a frame clear twice: the first run compiles loops and fills caches, which no camera must wait for."""
        planes = tuple(np.full(shape, 128, np.uint8) for shape in ((360, 640), (180, 320), (180, 320)))
        frame = Frame(planes, 640, 360, PixelFormat.parse("yuv420p"))
        network_size = self._adapt.level.network_size
        self._shapes.prepare(network_shape(640, 360, network_size))
        for _ in range(2):
            began = time.monotonic()
            for _ in self._dehazer.process_many([(Stream(network_size=network_size), frame)]):
                pass
            self._frame_seconds = time.monotonic() - began

    def _frames_in_time(self) -> int:
        """How many frames a batch may have and still be ready in time."""
        budget = self._intake.tightest_budget
        if budget is None or not self._frame_seconds:
            return self._batch_size
        return min(self._batch_size, max(1, int(_SHARE * budget / self._frame_seconds)))

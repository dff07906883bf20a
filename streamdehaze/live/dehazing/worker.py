"""The one thread that makes the frames of all cameras clear, in batches that are ready in time."""

from __future__ import annotations

import time
from collections.abc import Callable

from streamdehaze.dehaze import Dehazer
from streamdehaze.errors import own_error
from streamdehaze.live.background import Background
from streamdehaze.live.dehazing.adapt import Adapt
from streamdehaze.live.dehazing.batch import BatchDehazer
from streamdehaze.live.dehazing.scheduler import FrameScheduler
from streamdehaze.live.dehazing.shapes import Shapes

_WINDOW_SECONDS = 0.004
"""Wait this long for frames of other cameras; a fuller batch is not worth more."""
_RECENT = 0.2
"""Weight of the newest batch in the running mean of how long a frame takes."""
_SHARE = 0.5
"""Largest share of the tightest latency budget that one batch may take: the first frame waits for the last."""


class Worker(Background):
    """Takes frames from the scheduler and has them made clear, as many at once as their latency budget allows.

    Args:
        scheduler: where they come from; each queue's owner is a `Camera`.
        dehazer: makes the frames clear, each camera's in its own stream.
        adapt: chooses how often the network runs and at what size.
        batch_size: frames that share a run of the network, at most.
        ready: called once the engine is warm, before the first frame.
        failed: called with an error that ends all work.
    """

    def __init__(
        self,
        scheduler: FrameScheduler,
        dehazer: Dehazer,
        adapt: Adapt,
        *,
        batch_size: int,
        ready: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__("dehaze")
        self._scheduler, self._adapt = scheduler, adapt
        self._batch_size, self._ready, self._failed = batch_size, ready, failed
        self._frame_seconds = 0.0
        self._beat = time.monotonic()
        self._shapes = Shapes(dehazer.engine, adapt.network_sizes, batch_size=batch_size)
        self._dehazer = BatchDehazer(dehazer, self._shapes, adapt)

    def stop(self) -> None:
        """End after the current batch."""
        super().stop()
        self._shapes.stop()

    def join(self, timeout: float) -> bool:
        """Wait for the end, or `timeout` seconds; whether it has come."""
        deadline = time.monotonic() + timeout
        super().join(timeout)
        self._shapes.join(max(0.0, deadline - time.monotonic()))
        return not self.alive

    @property
    def beat_seconds(self) -> float:
        """Time since it last asked for work."""
        return time.monotonic() - self._beat

    @property
    def alive(self) -> bool:
        """Whether a batch may be in progress, or the engine may be compiling."""
        return super().alive or self._shapes.alive

    def _run(self) -> None:
        try:
            self._frame_seconds = self._dehazer.warm_up()
            self._shapes.start()
            self._ready()
            while not self._stop.is_set():
                self._beat = time.monotonic()
                count = self._frames_in_time()
                batch = self._scheduler.take(
                    count, window_seconds=_WINDOW_SECONDS, work_seconds=count * self._frame_seconds
                )
                if not batch:
                    self._adapt.idle()
                    continue
                began, network_before = time.monotonic(), self._dehazer.network_seconds
                self._dehazer.run([(queue.owner, live) for queue, live in batch])
                self._scheduler.done(batch)
                seconds = time.monotonic() - began
                self._frame_seconds += _RECENT * (seconds / len(batch) - self._frame_seconds)
                self._adapt.worked(seconds, self._dehazer.network_seconds - network_before)
        except BaseException as error:
            self._failed(own_error(error, "dehazing"))

    def _frames_in_time(self) -> int:
        """How many frames a batch may have and still be ready in time."""
        budget = self._scheduler.tightest_budget
        if budget is None or not self._frame_seconds:
            return self._batch_size
        return min(self._batch_size, max(1, int(_SHARE * budget / self._frame_seconds)))

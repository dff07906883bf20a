"""Frames of all cameras on their way to the one engine: fresh, fairly shared, and never more than fit."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streamdehaze.frame import Frame

_POLL_SECONDS = 0.1
_LIMIT_BYTES = 128 << 20
"""Limit for the waiting frames of one camera; the newest is kept whatever its size."""


@dataclass(frozen=True)
class LiveFrame:
    """A hazy frame that waits for the engine."""

    frame: Frame
    arrival: float
    """When its packet came, monotonic seconds."""
    decoded: float
    """When it was put into the scheduler, monotonic seconds."""


@dataclass
class FrameQueue:
    """One camera's place in the scheduler."""

    owner: Any
    """The camera that its frames belong to."""
    limit: int
    """Frames that may wait."""
    budget_seconds: float
    """Frames that cannot be clear within this long after their arrival are dropped for newer ones."""
    patient: bool
    """`put` waits for room instead of dropping frames: for files that are not played in real time."""
    drop: Callable[[str, int], None]
    """Called with the reason and the number of frames dropped."""
    blocked: Callable[[], bool] = lambda: False
    """Whether a clear frame would have to wait for this camera's sinks: its frames stay here then."""
    frames: deque[LiveFrame] = field(default_factory=deque)
    in_work: int = 0
    """Frames that were taken and are not done yet."""

    @property
    def waiting(self) -> int:
        """Frames inside."""
        return len(self.frames)

    @property
    def is_ready(self) -> bool:
        """Whether a frame can be taken."""
        return bool(self.frames) and not self.blocked()

    def is_full(self, frame: LiveFrame) -> bool:
        """Whether another frame is one too many."""
        used = sum(each.frame.nbytes for each in self.frames)
        return len(self.frames) >= self.limit or (used > 0 and used + frame.frame.nbytes > _LIMIT_BYTES)


class FrameScheduler:
    """Takes frames in from many threads and hands out batches to one.

    Frames are dropped only where a queue is full or a frame is stale, the oldest first; the newest of a queue is
    always handed out, so that a processor that is too slow shows its best instead of nothing.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: list[FrameQueue] = []
        self._turn = 0
        self._closed = False

    def add(self, queue: FrameQueue) -> None:
        """Register a camera."""
        with self._changed:
            self._queues.append(queue)

    def remove(self, queue: FrameQueue) -> None:
        """Forget a camera and the frames it has inside."""
        with self._changed:
            if queue in self._queues:
                self._queues.remove(queue)
            queue.frames.clear()
            self._changed.notify_all()

    @property
    def tightest_budget(self) -> float | None:
        """The smallest latency budget of the cameras inside, seconds; None if none has any."""
        with self._changed:
            return min((queue.budget_seconds for queue in self._queues if not queue.patient), default=None)

    def put(self, queue: FrameQueue, frame: LiveFrame, unwanted: Callable[[], bool] = lambda: False) -> None:
        """Add a frame; a full queue drops its oldest, or waits if it is patient (until `unwanted` says otherwise)."""
        with self._changed:
            while queue.patient and queue.is_full(frame) and not self._closed and not unwanted():
                self._changed.wait(_POLL_SECONDS)
            if self._closed or unwanted() or queue not in self._queues:
                return
            while queue.is_full(frame):
                queue.frames.popleft()
                queue.drop("buffer_full", 1)
            queue.frames.append(frame)
            self._changed.notify_all()

    def take(self, count: int, *, window_seconds: float, work_seconds: float) -> list[tuple[FrameQueue, LiveFrame]]:
        """Up to `count` frames, the oldest of each camera in turn; empty once closed, or if none comes for a while.

        Args:
            count: frames at most.
            window_seconds: how long frames of further cameras are waited for once there is one.
            work_seconds: how long the work on a batch takes, which a frame's age must leave room for.
        """
        with self._changed:
            if not any(queue.is_ready for queue in self._queues):
                self._changed.wait(_POLL_SECONDS)
            deadline = time.monotonic() + window_seconds
            while not self._closed and 0 < self._filled() < min(count, len(self._queues)):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            if self._closed:
                return []
            self._drop_stale(work_seconds)
            batch = self._in_turn(count)
            for queue, _ in batch:
                queue.in_work += 1
            if batch:
                self._changed.notify_all()  # a patient putter may continue
            return batch

    def done(self, batch: list[tuple[FrameQueue, LiveFrame]]) -> None:
        """Frames that were taken are worked off."""
        with self._changed:
            for queue, _ in batch:
                queue.in_work -= 1

    def holds(self, queue: FrameQueue) -> bool:
        """Whether frames of a camera wait or are being worked on."""
        with self._changed:
            return bool(queue.frames) or queue.in_work > 0

    def wake(self) -> None:
        """A camera that was blocked no longer is."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all waiters and drop the frames that wait."""
        with self._changed:
            self._closed = True
            for queue in self._queues:
                queue.frames.clear()
            self._changed.notify_all()

    def _filled(self) -> int:
        return sum(1 for queue in self._queues if queue.is_ready)

    def _drop_stale(self, work_seconds: float) -> None:
        now = time.monotonic()
        for queue in self._queues:
            if queue.patient:
                continue
            oldest_allowed = now + work_seconds - queue.budget_seconds
            while len(queue.frames) > 1 and queue.frames[0].arrival < oldest_allowed:
                queue.frames.popleft()
                queue.drop("stale", 1)

    def _in_turn(self, count: int) -> list[tuple[FrameQueue, LiveFrame]]:
        batch: list[tuple[FrameQueue, LiveFrame]] = []
        queues = self._queues[self._turn :] + self._queues[: self._turn]
        while len(batch) < count and any(queue.is_ready for queue in queues):
            for queue in queues:
                if queue.is_ready and len(batch) < count:
                    batch.append((queue, queue.frames.popleft()))
        if batch and self._queues:  # the next batch begins after the last camera served
            self._turn = (self._queues.index(batch[-1][0]) + 1) % len(self._queues)
        return batch

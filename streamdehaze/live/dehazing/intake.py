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
    """When it was put into the intake, monotonic seconds."""


@dataclass
class Lane:
    """One camera's place in the intake."""

    owner: Any
    """Whom its frames belong to."""
    limit: int
    """Frames that may wait."""
    budget_seconds: float
    """Frames that cannot be clear within this long after their arrival are dropped for newer ones."""
    patient: bool
    """The putter waits for room instead of dropping: for files that are not played in real time."""
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


class Intake:
    """Takes frames in from many threads and hands out batches to one.

    Frames are dropped only where a lane is full or a frame is stale, the oldest first; the newest of a lane is
    always handed out, so that a processor that is too slow shows its best instead of nothing.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lanes: list[Lane] = []
        self._turn = 0
        self._closed = False

    def add(self, lane: Lane) -> None:
        """Let a camera take part."""
        with self._changed:
            self._lanes.append(lane)

    def remove(self, lane: Lane) -> None:
        """Forget a camera and the frames it has inside."""
        with self._changed:
            if lane in self._lanes:
                self._lanes.remove(lane)
            lane.frames.clear()
            self._changed.notify_all()

    @property
    def tightest_budget(self) -> float | None:
        """The smallest latency budget of the cameras inside, seconds; None if none has any."""
        with self._changed:
            return min((lane.budget_seconds for lane in self._lanes if not lane.patient), default=None)

    def put(self, lane: Lane, frame: LiveFrame, unwanted: Callable[[], bool] = lambda: False) -> None:
        """Add a frame; a full lane drops its oldest, or waits if it is patient (until `unwanted` says otherwise)."""
        with self._changed:
            while lane.patient and lane.is_full(frame) and not self._closed and not unwanted():
                self._changed.wait(_POLL_SECONDS)
            if self._closed or unwanted() or lane not in self._lanes:
                return
            while lane.is_full(frame):
                lane.frames.popleft()
                lane.drop("buffer_full", 1)
            lane.frames.append(frame)
            self._changed.notify_all()

    def take(self, count: int, *, window_seconds: float, work_seconds: float) -> list[tuple[Lane, LiveFrame]]:
        """Up to `count` frames, the oldest of each camera in turn; empty once closed, or if none comes for a while.

        Args:
            count: frames at most.
            window_seconds: how long frames of further cameras are waited for once there is one.
            work_seconds: how long the work on a batch takes, which a frame's age must leave room for.
        """
        with self._changed:
            if not any(lane.is_ready for lane in self._lanes):
                self._changed.wait(_POLL_SECONDS)
            deadline = time.monotonic() + window_seconds
            while not self._closed and 0 < self._filled() < min(count, len(self._lanes)):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            if self._closed:
                return []
            self._drop_stale(work_seconds)
            batch = self._in_turn(count)
            for lane, _ in batch:
                lane.in_work += 1
            if batch:
                self._changed.notify_all()  # a patient putter may continue
            return batch

    def done(self, batch: list[tuple[Lane, LiveFrame]]) -> None:
        """Frames that were taken are worked off."""
        with self._changed:
            for lane, _ in batch:
                lane.in_work -= 1

    def holds(self, lane: Lane) -> bool:
        """Whether frames of a camera wait or are being worked on."""
        with self._changed:
            return bool(lane.frames) or lane.in_work > 0

    def wake(self) -> None:
        """A camera that was blocked no longer is."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all waiters and drop the frames that wait."""
        with self._changed:
            self._closed = True
            for lane in self._lanes:
                lane.frames.clear()
            self._changed.notify_all()

    def _filled(self) -> int:
        return sum(1 for lane in self._lanes if lane.is_ready)

    def _drop_stale(self, work_seconds: float) -> None:
        now = time.monotonic()
        for lane in self._lanes:
            if lane.patient:
                continue
            oldest_allowed = now + work_seconds - lane.budget_seconds
            while len(lane.frames) > 1 and lane.frames[0].arrival < oldest_allowed:
                lane.frames.popleft()
                lane.drop("stale", 1)

    def _in_turn(self, count: int) -> list[tuple[Lane, LiveFrame]]:
        batch: list[tuple[Lane, LiveFrame]] = []
        lanes = self._lanes[self._turn :] + self._lanes[: self._turn]
        while len(batch) < count and any(lane.is_ready for lane in lanes):
            for lane in lanes:
                if lane.is_ready and len(batch) < count:
                    batch.append((lane, lane.frames.popleft()))
        if batch and self._lanes:  # the next batch begins after the last camera served
            self._turn = (self._lanes.index(batch[-1][0]) + 1) % len(self._lanes)
        return batch

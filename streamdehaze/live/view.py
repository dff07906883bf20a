"""The newest pair of pictures of a camera, for viewers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from streamdehaze.frame import Frame

FRESH_SECONDS = 5.0
"""A picture older than this is not the present any more."""


@dataclass(frozen=True)
class FramePair:
    """A hazy frame and its clear one."""

    number: int
    """Grows by 1 with every frame of the camera, from 1."""
    hazy: Frame
    clear: Frame
    """The hazy frame itself where it could not be made clear."""
    taken_at: float = field(default_factory=time.time)
    """Seconds since 1970."""
    moment: float = field(default_factory=time.monotonic)
    """The same on a clock that never jumps."""
    is_clear: bool = True
    """False where the frame could not be made clear."""

    @property
    def age_seconds(self) -> float:
        """Time since it was shown."""
        return time.monotonic() - self.moment

    @property
    def is_fresh(self) -> bool:
        """Whether it may pass for the present."""
        return self.age_seconds < FRESH_SECONDS


class LatestPair:
    """One slot that always holds the newest pair: a slow viewer misses frames and delays no one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pair: FramePair | None = None
        self._closed = False

    @property
    def latest(self) -> FramePair | None:
        """The newest pair, without waiting; None before the first."""
        return self._pair

    def show(self, hazy: Frame, clear: Frame | None) -> None:
        """Replace the pair; without a clear frame by the hazy one alone."""
        with self._changed:
            number = 1 if self._pair is None else self._pair.number + 1
            self._pair = FramePair(number, hazy, hazy if clear is None else clear, is_clear=clear is not None)
            self._changed.notify_all()

    def wait(self, after: int = 0, timeout: float | None = None) -> FramePair | None:
        """The newest pair whose number is greater than `after`.

        Returns None if none comes within `timeout` seconds, or the camera ends.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._pair is None or self._pair.number <= after:
                left = None if deadline is None else deadline - time.monotonic()
                if self._closed or (left is not None and left <= 0):
                    return None
                self._changed.wait(left)
            return self._pair

    def close(self) -> None:
        """End all waits: no pair follows."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

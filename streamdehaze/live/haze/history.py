"""The haze that one camera has seen over the last day."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from streamdehaze.meter.reading import Reading

INTERVAL_SECONDS = 60
_KEPT = 24 * 60
_FRESH_SECONDS = 60.0
"""A reading older than this is not the present any more: the network does not run on the camera's frames."""


class HazeHistory:
    """The newest reading, and the mean density of each minute of the last day; may be used from any thread.

    Args:
        clock: seconds since 1970; a test may bring its own.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: tuple[float, Reading] | None = None
        self._minutes: deque[tuple[int, float, int]] = deque(maxlen=_KEPT)
        """Minute since 1970, sum of the densities, how many."""

    def note(self, reading: Reading | None) -> None:
        """Add what was measured last; the same reading again changes nothing."""
        with self._lock:
            if reading is None or (self._newest is not None and self._newest[1] is reading):
                return
            now = self._clock()
            self._newest = now, reading
            if reading.dark:
                return  # not to be trusted
            minute = int(now // INTERVAL_SECONDS)
            if self._minutes and self._minutes[-1][0] == minute:
                _, total, count = self._minutes.pop()
                self._minutes.append((minute, total + reading.density, count + 1))
            else:
                self._minutes.append((minute, reading.density, 1))

    @property
    def newest(self) -> Reading | None:
        """The haze now; None where none was measured for a minute, as while haze removal is off."""
        newest = self._newest
        return None if newest is None or self._clock() - newest[0] > _FRESH_SECONDS else newest[1]

    def minutes(self) -> list[tuple[int, float]]:
        """(begin of the minute in seconds since 1970, mean density), the oldest first; dark minutes are left out."""
        with self._lock:
            oldest = int(self._clock() // INTERVAL_SECONDS) - _KEPT
            kept = [each for each in self._minutes if each[0] > oldest]
        return [(minute * INTERVAL_SECONDS, total / count) for minute, total, count in kept]

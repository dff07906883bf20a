"""Presentation times that only grow, whatever a camera's own clock does."""

from __future__ import annotations

from fractions import Fraction

TICK = Fraction(1, 90000)
"""Seconds per tick of all live time stamps: the clock of RTP and MPEG-TS video."""

_PER_SECOND = 90000
_SHORTEST = _PER_SECOND // 1000
"""Between two frames: a millisecond, the finest that some containers store."""
_WRAPS = (1 << 32, 1 << 33)
"""Ticks after which RTP's and MPEG-TS's clocks wrap around."""
_PATIENCE_SECONDS = 3.0
"""How far the camera's clock may run from the arrival clock (bursts, congestion) before it is corrected."""
_CORRECTIONS = 3
"""After this many in one connection the arrival clock is used for the rest of it."""


class Timeline:
    """Maps a camera's time stamps to one growing clock: its own steps where sane, the arrival clock otherwise.

    The clock starts at 0 with the first frame. After a reconnect it continues where the arrival clock stands, so that
    an hour's outage is an hour in the output as well.

    Args:
        follow_arrival: False for files, whose time stamps are right however fast they are read.
    """

    def __init__(self, *, follow_arrival: bool = True) -> None:
        self._follow = follow_arrival
        self._start: float | None = None
        self._last: int | None = None
        self._last_arrival = 0.0
        self._last_source: int | None = None
        self._offset: int | None = None
        self._step = _PER_SECOND // 25
        self._corrections = 0
        self.corrected = 0
        """How often the camera's clock was overruled."""

    def reconnect(self) -> None:
        """The next time stamp comes from a new connection, or from a file that starts over."""
        self._offset = self._last_source = None
        self._corrections = 0

    def place(self, pts: int | None, time_base: Fraction, arrival: float) -> int:
        """The time of a frame in `TICK`s: later than that of the frame before.

        Args:
            pts: the source's own time stamp; None without one.
            time_base: seconds per tick of it.
            arrival: seconds on a clock that never jumps.
        """
        if self._start is None:
            self._start = arrival
        source = None if pts is None else round(pts * time_base * _PER_SECOND)
        placed = self._by_arrival(arrival) if source is None else self._by_source(source, arrival)
        if self._last is not None:
            placed = max(placed, self._last + _SHORTEST)
        if self._last is not None and self._last_source is not None:
            self._step = max(1, placed - self._last)
        self._last, self._last_arrival = placed, arrival
        if source is not None:
            self._last_source = source
        return placed

    def of(self, pts: int, time_base: Fraction) -> int | None:
        """The time of something else of the same connection (sound); None before the first frame with a time."""
        if self._offset is None or self._last_source is None:
            return None
        source = round(pts * time_base * _PER_SECOND)
        return self._unwrapped(source) + self._offset

    def _by_arrival(self, arrival: float) -> int:
        if not self._follow:
            return 0 if self._last is None else self._last + self._step
        assert self._start is not None
        return round((arrival - self._start) * _PER_SECOND)

    def _by_source(self, source: int, arrival: float) -> int:
        if self._offset is None:
            # One frame after the last: a file that starts over, or frames that came together with one without a time.
            after = 0 if self._last is None else self._last + self._step
            self._offset = (max(after, self._by_arrival(arrival)) if self._follow else after) - source
        if not self._follow:
            return source + self._offset
        source = self._unwrapped(source)
        placed, expected = source + self._offset, self._by_arrival(arrival)
        if self._corrections >= _CORRECTIONS:
            self._offset = expected - source  # sound goes by it
            return expected
        if abs(placed - expected) > _PATIENCE_SECONDS * _PER_SECOND:
            self.corrected += 1
            self._corrections += 1
            placed = expected
            self._offset = placed - source
        return placed

    def _unwrapped(self, source: int) -> int:
        """`source` with the camera's clock carried on where it wrapped around (also for what is a little late)."""
        if self._last_source is None or self._offset is None or self._last is None:
            return source
        near = self._last - self._offset  # the last frame's time on the unwrapped source clock
        candidates = [source, *(source + turns * wrap for wrap in _WRAPS for turns in (near // wrap, near // wrap + 1))]
        return min(candidates, key=lambda candidate: abs(candidate - near))

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
_JUMP_SECONDS = 3.0
"""A step of the camera's clock this much longer than that of the arrival clock is a jump, not a gap."""

_STILL_SECONDS = 0.3
"""A clock that has not moved for this long stands still."""


class Timeline:
    """Maps a camera's time stamps to one growing clock: its own steps where sane, pulled slowly towards arrival.

    The clock starts at 0 with the first frame. After a reconnect it continues where the arrival clock stands, so that
    an hour's outage is an hour in the output as well. A frame without a time stamp has that of its arrival.

    Args:
        follow_arrival: False for files, whose time stamps are right however fast they are read.
    """

    def __init__(self, *, follow_arrival: bool = True) -> None:
        self._follow = follow_arrival
        self._start: float | None = None
        self._last: int | None = None
        self._last_source: int | None = None
        """The last time stamp that differed from the one before, unwrapped."""
        self._exact = self._last_arrival = 0.0
        """The time given to that frame, before it was rounded, and when it arrived."""
        self._step = _PER_SECOND // 25
        self._discipline = _Discipline()
        self._jumps = 0

    @property
    def corrected(self) -> int:
        """How often the camera's clock jumped, or was found to run at a wrong speed."""
        return self._jumps + self._discipline.corrections

    def reconnect(self) -> None:
        """The next time stamp comes from a new connection, or from a file that starts over."""
        self._last_source = None
        self._discipline.restart()

    def place(self, pts: int | None, time_base: Fraction, arrival: float) -> int:
        """The time of a frame in `TICK`s: later than that of the frame before.

        Args:
            pts: the source's own time stamp; None without one.
            time_base: seconds per tick of it.
            arrival: seconds on a clock that never jumps.
        """
        if self._start is None:
            self._start = arrival
        source = None if pts is None else self._unwrapped(round(pts * time_base * _PER_SECOND))
        exact = self._by_arrival(arrival) if source is None else self._by_source(source, arrival)
        placed = round(exact) if self._last is None else max(round(exact), self._last + _SHORTEST)
        if self._last is not None and self._last_source is not None:
            self._step = max(1, placed - self._last)
        self._last = placed
        if source is not None and source != self._last_source:
            self._last_source, self._exact, self._last_arrival = source, exact, arrival
        return placed

    def of(self, pts: int, time_base: Fraction) -> int | None:
        """The time of something else of the same connection (sound); None before the first frame with a time."""
        if self._last_source is None:
            return None
        source = self._unwrapped(round(pts * time_base * _PER_SECOND))
        return round(self._exact + (source - self._last_source) * self._discipline.rate)

    def _by_arrival(self, arrival: float) -> float:
        if not self._follow:
            return 0 if self._last is None else self._last + self._step
        assert self._start is not None
        return (arrival - self._start) * _PER_SECOND

    def _by_source(self, source: int, arrival: float) -> float:
        if self._last_source is None:
            # One frame after the last: a file that starts over, or frames that came together with one without a time.
            after = 0 if self._last is None else self._last + self._step
            return max(after, self._by_arrival(arrival)) if self._follow else after
        step = source - self._last_source
        if not self._follow:
            return self._exact + step
        assert self._last is not None
        arrival_step = (arrival - self._last_arrival) * _PER_SECOND
        if step == 0:  # some servers send a frame twice; a clock that stands still is not followed
            return self._exact + (arrival_step if arrival_step > _STILL_SECONDS * _PER_SECOND else 0)
        if step < 0 or step - arrival_step > _JUMP_SECONDS * _PER_SECOND:
            self._jumps += abs(step - arrival_step) > _JUMP_SECONDS * _PER_SECOND
            self._discipline.restart()
            return self._exact + arrival_step
        base = self._exact if self._last - self._exact < _STILL_SECONDS * _PER_SECOND else self._last
        left = (self._by_arrival(arrival) - base) / _PER_SECOND
        return base + step * self._discipline.factor(step / _PER_SECOND, arrival_step / _PER_SECOND, left)

    def _unwrapped(self, source: int) -> int:
        """`source` with the camera's clock carried on where it wrapped around (also for what is a little late)."""
        last = self._last_source
        if last is None:
            return source
        candidates = [source, *(source + round((last - source) / wrap) * wrap for wrap in _WRAPS)]
        return min(candidates, key=lambda candidate: abs(candidate - last))


_WINDOW_SECONDS = 0.75
_WINDOWS = 2
"""This many windows in a row must agree before a clock is taken to run at another speed altogether."""
_AGREEMENT = 1.3
_WRONG_SPEED = 1.25
_BURST = 0.4
"""Faster than this is no clock: a server hands out what it had kept."""
_TRUST_SECONDS = 10.0
_OFF_SECONDS = 0.25
"""A clock that was further than this from the arrival clock throughout `_TRUST_SECONDS` is not kept as it is."""
_PROPORTIONAL, _INTEGRAL = 0.3, 0.01
"""Gains of a well-damped second-order loop: it follows a drift within some ten seconds, and filters jitter."""
_SLOWEST, _FASTEST = 0.75, 1.4
"""Bounds of the correction."""
_CALM_SECONDS = 0.15
"""Further off, the speed is not learned from it: congestion says nothing of a clock."""


class _Discipline:
    """How much longer or shorter than the camera's clock says the steps are made, so that it stays with arrival.

    A good clock is left as it is: only when it was off for a while, or ran at another speed from the start, it is
    slewed. Nothing jumps, so that no frame is shown for long or skipped.
    """

    def __init__(self) -> None:
        self.rate = 1.0
        """Seconds per second of the camera's clock, as far as known."""
        self.corrections = 0
        self._trusted = True
        self.restart()

    def restart(self) -> None:
        """What was observed so far says nothing of the steps to come; what was learned stays."""
        self._window = (0.0, 0.0)
        self._ratios: list[float] = []
        self._observed = (0.0, 0.0)
        self._least, self._most = float("inf"), float("-inf")

    def factor(self, source_step: float, arrival_step: float, left: float) -> float:
        """The length of a step, as a multiple of the camera's own.

        Args:
            source_step, arrival_step: seconds since the frame before on either clock.
            left: from the time given to the frame before until the arrival of this one, seconds.
        """
        ahead = source_step * self.rate - left
        self._watch_speed(source_step, arrival_step)
        if self._trusted and self._is_off(source_step, arrival_step, ahead):
            self._trusted = False
            self.corrections += 1
        if self._trusted:
            return 1.0
        late = -ahead
        if abs(late) < _CALM_SECONDS:
            self.rate += _INTEGRAL * late * source_step * self.rate
        return self.rate * min(max(1 + _PROPORTIONAL * late, _SLOWEST), _FASTEST)

    def _watch_speed(self, source_step: float, arrival_step: float) -> None:
        source, arrival = self._window[0] + source_step, self._window[1] + arrival_step
        if arrival < _WINDOW_SECONDS:
            self._window = (source, arrival)
            return
        self._window = (0.0, 0.0)
        self._ratios = [*self._ratios[1 - _WINDOWS :], arrival / source]
        slowest, fastest = min(self._ratios), max(self._ratios)
        if len(self._ratios) < _WINDOWS or fastest > _AGREEMENT * slowest:
            return
        ratio = sum(self._ratios) / _WINDOWS
        if ratio > _BURST and not 1 / _WRONG_SPEED < ratio / self.rate < _WRONG_SPEED:
            self.rate, self._trusted = ratio, False
            self.corrections += 1

    def _is_off(self, source_step: float, arrival_step: float, ahead: float) -> bool:
        source, arrival = self._observed = self._observed[0] + source_step, self._observed[1] + arrival_step
        self._least, self._most = min(self._least, ahead), max(self._most, ahead)
        if arrival < _TRUST_SECONDS:
            return False
        off = self._least > _OFF_SECONDS or self._most < -_OFF_SECONDS
        if off and 1 / _WRONG_SPEED < arrival / source < _WRONG_SPEED:
            self.rate = arrival / source
        self._observed = (0.0, 0.0)
        self._least, self._most = float("inf"), float("-inf")
        return off

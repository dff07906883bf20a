"""Quality that steps down when the processor cannot keep up, and back up when it can: by rule, and logged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from streamdehaze.errors import counted

log = logging.getLogger("streamdehaze.live")

_INTERVAL_SECONDS = 1.0
_TIGHT, _EASY = 0.9, 0.7
"""Share of the engine thread's time: above the first it cannot keep up, below the second it can do more."""
_PATIENCE = 5
"""Intervals that must look easy before quality goes up; doubled each time that turns out too soon."""
_MOST_PATIENCE = 60


@dataclass(frozen=True)
class QualityStep:
    """One step of quality."""

    every: int
    """The network runs on every k-th frame of a camera; in between, the affine maps are carried forward."""
    network_size: int
    """Long side of the picture the network sees, pixels."""

    def __str__(self) -> str:
        ordinal = {1: "every frame", 2: "every 2nd frame", 3: "every 3rd frame"}.get(self.every)
        return f"network on {ordinal or f'every {self.every}th frame'} at {self.network_size} pixels"

    @property
    def cost(self) -> float:
        """The network's work per frame, on a scale of its own."""
        return self.network_size**2 / self.every


def levels(network_size: int) -> tuple[QualityStep, ...]:
    """The steps for a full quality of `network_size`: rarer first, then smaller."""

    def smaller(share: float) -> int:
        return min(network_size, max(64, round(network_size * share / 4) * 4))

    steps = [QualityStep(every, network_size) for every in (1, 2, 3, 4)]
    steps += [QualityStep(4, smaller(0.75)), QualityStep(6, smaller(0.5)), QualityStep(12, smaller(0.5))]
    return tuple(dict.fromkeys(steps))  # a small network has no smaller ones


@dataclass
class _Interval:
    began: float
    busy: float = 0.0
    network: float = 0.0
    late: int = 0


class Adapt:
    """Chooses the level for all cameras of an engine, once a second.

    Down, when frames were dropped or late and the engine thread had no time left. Up, when it would have been idle
    enough on the next better level for several seconds in a row, judged by what the network costs now.

    Args:
        network_size: of full quality.
        enabled: False keeps full quality whatever happens.
        clock: seconds; a test may bring its own.
    """

    def __init__(self, network_size: int, *, enabled: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._levels = levels(network_size)
        self._enabled, self._clock = enabled, clock
        self._index = 0
        self._interval = _Interval(clock())
        self._easy = 0
        self._patience = _PATIENCE
        self._went_up_at: float | None = None

    @property
    def index(self) -> int:
        """Steps given up; 0 is full quality."""
        return self._index

    @property
    def level(self) -> QualityStep:
        """The current level."""
        return self._levels[self._index]

    @property
    def network_sizes(self) -> list[int]:
        """Every network size that a level may ask for, pixels; the largest first."""
        reach = self._levels if self._enabled else self._levels[:1]
        return sorted({level.network_size for level in reach}, reverse=True)

    def worked(self, seconds: float, network_seconds: float) -> None:
        """The engine thread worked on a batch for `seconds`, `network_seconds` of it in the network."""
        self._interval.busy += seconds
        self._interval.network += network_seconds
        self._consider()

    def late(self, frames: int = 1) -> None:
        """This many frames were dropped before the engine, or became clear after their budget."""
        self._interval.late += frames

    def idle(self) -> None:
        """There was nothing to work on."""
        self._consider()

    def _consider(self) -> None:
        now = self._clock()
        elapsed = now - self._interval.began
        if elapsed < _INTERVAL_SECONDS:
            return
        interval, self._interval = self._interval, _Interval(now)
        if not self._enabled:
            return
        load = interval.busy / elapsed
        if interval.late and load > _TIGHT:
            self._easy = 0
            if self._went_up_at is not None and now - self._went_up_at < 2 * self._patience * _INTERVAL_SECONDS:
                self._patience = min(2 * self._patience, _MOST_PATIENCE)
            self._went_up_at = None
            late = counted(interval.late, "frame")
            self._step(1, f"{late} came late or not at all, the engine was busy {load:.0%} of the time")
            return
        if self._index == 0 or interval.late:
            self._easy = 0
            return
        better = self._levels[self._index - 1]
        expected = (interval.busy + interval.network * (better.cost / self.level.cost - 1)) / elapsed
        self._easy = self._easy + 1 if expected < _EASY else 0
        if self._easy >= self._patience:
            self._easy, self._went_up_at = 0, now
            self._step(-1, f"the engine would be busy {expected:.0%} of the time")

    def _step(self, by: int, reason: str) -> None:
        index = min(max(self._index + by, 0), len(self._levels) - 1)
        if index == self._index:
            return
        self._index = index
        direction = "down" if by > 0 else "up"
        log.warning(
            "quality goes %s to level %d, %s: %s", direction, index, self.level, reason, extra={"adapt_level": index}
        )

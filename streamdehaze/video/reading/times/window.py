"""The part of a file between --start and --end, with exact arithmetic for every stream's own time base."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from streamdehaze.errors import ConfigError


@dataclass(frozen=True)
class Window:
    """What is kept of every stream, in seconds of the file's own clock; all times move by the same amount."""

    start: Fraction | None = None
    """First instant kept; None for the beginning."""
    end: Fraction | None = None
    """First instant no longer kept; None for the end of the file."""
    offset: Fraction = Fraction(0)
    """Taken off every time: a whole number of the video's ticks, so that its time stays exact."""

    @classmethod
    def of(
        cls, start: float | None, end: float | None, *, origin: Fraction, time_base: Fraction, shifts: bool = True
    ) -> Window:
        """The window from `start` to `end` seconds after `origin`, for a video whose ticks are `time_base`.

        With `shifts`, the result begins at 0, or less than a tick after it; otherwise times stay.

        Raises:
            ConfigError: if it is negative or empty.
        """
        if start is not None and start < 0:
            raise ConfigError(f"--start {start:g} is negative; give seconds from the beginning of the file")
        if end is not None and end <= (start or 0):
            raise ConfigError(f"--end {end:g} must be later than --start {start or 0:g}")
        first = None if start is None else origin + Fraction(str(start))
        last = None if end is None else origin + Fraction(str(end))
        offset = first // time_base * time_base if shifts and first is not None else Fraction(0)
        return cls(first, last, offset)

    @property
    def trims(self) -> bool:
        """Whether anything is cut off."""
        return self.start is not None or self.end is not None

    def before(self, ticks: int, time_base: Fraction) -> bool:
        """Whether an instant lies before the window."""
        return self.start is not None and ticks * time_base < self.start

    def after(self, ticks: int, time_base: Fraction) -> bool:
        """Whether an instant lies after the window."""
        return self.end is not None and ticks * time_base >= self.end

    def cut(self, ticks: int, duration: int, time_base: Fraction) -> tuple[int, int]:
        """Beginning and duration of the part of a span inside the window; unchanged if none is."""
        first, last = ticks, ticks + duration
        if self.start is not None and self.before(ticks, time_base):
            first = math.ceil(self.start / time_base)
        if self.end is not None and self.after(last, time_base):
            last = math.ceil(self.end / time_base)
        return (first, last - first) if first < last else (ticks, duration)

    def shift(self, ticks: int, time_base: Fraction) -> int:
        """An instant on the clock of the result, to the nearest tick of `time_base`."""
        return ticks if not self.offset else ticks - round(self.offset / time_base)

    def chapters(self, chapters: list[Any]) -> list[Any]:
        """The chapters that reach into the window, cut to it and shifted."""
        kept = []
        for chapter in chapters:
            tick = chapter["time_base"]
            start, end = chapter["start"] * tick, chapter["end"] * tick
            if (self.end is not None and start >= self.end) or (self.start is not None and end <= self.start):
                continue
            start = start if self.start is None else max(start, self.start)
            end = end if self.end is None else min(end, self.end)
            bounds = {"start": round((start - self.offset) / tick), "end": round((end - self.offset) / tick)}
            kept.append({**chapter, **bounds})
        return kept

"""The segments of a file by time, which any process can make: where they begin, and where to warm up for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from streamdehaze.frame import Frame
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.resume.cut import Cut, Cutter, WarmUp

WARM_UP_SECONDS = Fraction(4)
"""Seconds of video before a segment. What is remembered fades within one or two seconds, but where the camera moves
slowly half of this could still be seen."""

_LEAST_SHARE = 0.25
"""Share of a segment; less than this at the end of a file belongs to the segment before."""


@dataclass(frozen=True)
class Spans:
    """The segments of a file, by time; they need nothing of each other, so any process can make any of them.

    Segment j holds the frames from j to j + 1 times the length of a segment. What smoothing over time remembers does
    not come from the segment before but from a warm-up on its last frames, and its own last frames are corrected by
    those of the segment after. So a segment depends on the input and the settings alone.
    """

    origin: Fraction
    """Where the first begins, on the file's own clock in seconds."""
    seconds: Fraction
    """Length of each, seconds of video."""
    count: int | None
    """The last one holds all the rest; None: not known."""
    offset: Fraction
    """From the frames' times to the file's own clock."""

    @classmethod
    def of(cls, source: FileSource, seconds: float) -> Spans:
        """The segments of a file."""
        duration = source.info.duration_seconds
        return cls(
            source.origin if source.window.start is None else source.window.start,
            Fraction(str(seconds)),
            None if duration is None else max(1, math.ceil(duration / seconds - _LEAST_SHARE)),
            source.window.offset,
        )

    @property
    def warm_up(self) -> Fraction:
        """Seconds before a segment from which on its memory is warmed up."""
        return min(WARM_UP_SECONDS, self.seconds)

    def begin(self, number: int) -> Fraction:
        """First instant of a segment."""
        return self.origin + number * self.seconds

    def instant(self, frame: Frame) -> Fraction:
        """When a frame is shown, on the file's own clock in seconds."""
        return (frame.pts or 0) * frame.time_base + self.offset

    def is_near(self, frame: Frame, number: int) -> bool:
        """Whether a frame belongs to the warm-up of a segment, or comes after it begins; if there is such a segment."""
        return (self.count is None or number < self.count) and self.instant(frame) >= self.begin(number) - self.warm_up

    def number(self, frame: Frame) -> int:
        """The segment that a frame belongs to."""
        number = max(0, math.floor((self.instant(frame) - self.origin) / self.seconds))
        return number if self.count is None else min(number, self.count - 1)


class SpanCutter(Cutter):
    """Cuts where the segments of a file begin, and tells where to warm up for each.

    Args:
        spans: the segments.
        remembers: whether frames depend on those before; else no warm-up is needed.
        begin: the cut at which the work is resumed.
        only: the one segment that is wanted; the frames are those of its warm-up, its own, and those after it.
    """

    def __init__(self, spans: Spans, *, remembers: bool, begin: Cut | None = None, only: int | None = None) -> None:
        super().__init__(1, begin)
        self._spans, self._remembers, self._only = spans, remembers, only
        self._number: int | None = None
        self._warming: int | None = None

    def _marks(self, frame: Frame) -> Sequence[WarmUp | Cut]:
        spans, marks = self._spans, list[WarmUp | Cut]()
        number = spans.number(frame)
        if self._number is None:  # work is resumed where a segment begins
            self._number = number if self._only is None else min(number, self._only)
        if number > self._number:
            marks += self._warm_up(number)
            marks.append(self._cut(in_span=self._remembers))
            if self._only is not None and self._number < self._only < number:
                marks.append(self._cut(in_span=self._remembers))  # the segment that is wanted has no frame
            self._number = number
        if spans.is_near(frame, number + 1):
            marks += self._warm_up(number + 1)
        return marks

    def _warm_up(self, number: int) -> Sequence[WarmUp]:
        if not self._remembers or self._warming == number or self._only not in (None, number):
            return []
        self._warming = number
        return [WarmUp(only=self._only is not None)]

"""Presentation times of decoded pictures: the stream's own, or estimates where it has none."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from fractions import Fraction

import av

NO_PRESENTATION_TIMES = frozenset({"avi"})
"""Containers whose packets say when they are decoded, and not when they are shown."""
_PATIENCE = 64
"""Pictures without a time that may wait for the first one with a time, from which theirs are counted back."""


class Clock:
    """Gives every picture of a file an integer time in the file's own ticks.

    It shares nothing with a camera's `Timeline`, which corrects each time at once against this machine's clock: a
    file's times are kept, as its sound and subtitles keep theirs, and pictures without one wait for those that follow.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None, warn_once: Callable[..., None]) -> None:
        """A clock of `time_base` seconds per tick; pictures without times are spaced by `rate` per second.

        `warn_once` gets the key of a warning, and what to log.
        """
        self._rate = rate or Fraction(25)
        self._step = max(1, round(1 / (self._rate * time_base)))
        self._warn_once = warn_once
        self._expected: list[int] = []
        self._untimed: list[av.VideoFrame] = []
        self._next: int | None = None

    def expect(self, decoding_time: int) -> None:
        """Note a packet's time in a container without others: the n-th picture shown has the n-th smallest of them."""
        heapq.heappush(self._expected, decoding_time)

    def skip(self) -> None:
        """Forget the time of a picture that could not be decoded: the next in turn, as all before it are out."""
        if self._expected:
            heapq.heappop(self._expected)

    def place(self, pictures: list[av.VideoFrame], *, last: bool) -> list[tuple[av.VideoFrame, int]]:
        """Pictures whose times are known now, in order; after the last ones, all of them."""
        placed: list[tuple[av.VideoFrame, int]] = []
        for picture in pictures:
            if self._expected:
                picture.pts = heapq.heappop(self._expected)
            if picture.pts is None and self._next is None:
                self._untimed.append(picture)
                if len(self._untimed) > _PATIENCE:
                    placed += self._release(0)
                continue
            if self._untimed:
                assert picture.pts is not None
                placed += self._release(picture.pts - self._step * len(self._untimed))
            placed.append((picture, self._time_of(picture)))
        if last and self._untimed:
            placed += self._release(0)
        return placed

    def _release(self, first: int) -> list[tuple[av.VideoFrame, int]]:
        self._next = first
        released = [(picture, self._time_of(picture, spaced=True)) for picture in self._untimed]
        self._untimed = []
        return released

    def _time_of(self, picture: av.VideoFrame, *, spaced: bool = False) -> int:
        pts = picture.pts
        if pts is None:
            assert self._next is not None
            pts = self._next
            self._warn_once("spaced", "frames without times are taken to come at %.6g a second", float(self._rate))
        self._next = pts + (self._step if spaced else picture.duration or self._step)
        return pts


def has_decoding_times_only(container_format: str, codec: str) -> bool:
    """Whether packets say when they are decoded and not when they are shown, whatever FFmpeg makes of it."""
    if container_format in NO_PRESENTATION_TIMES or container_format == "asf":
        return True
    return container_format == "mxf" and codec in ("h264", "hevc")

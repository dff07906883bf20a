"""Two videos or two pictures shown as one, to see what changed between them."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from streamdehaze.compare.montage import side_by_side, split_screen
from streamdehaze.compare.upright import is_turned, upright
from streamdehaze.errors import ConfigError, SinkError, SourceError
from streamdehaze.frame import ColorSpec, Frame
from streamdehaze.pipeline.ends import open_sink, open_source
from streamdehaze.video.picture import PictureSink, is_picture
from streamdehaze.video.protocols import Reader, Sink, Source
from streamdehaze.video.rgb import RgbConverter

log = logging.getLogger("streamdehaze")

CompareMode = Literal["split", "side-by-side"]

SWEEP_SECONDS = 6.0
"""How long a moving divider takes from left to right and back."""

_ROUNDING_SECONDS = Fraction(1, 1000)
"""Matroska rounds times to milliseconds; frames this near to each other are the same moment."""
_SAME_SHAPE = 0.01
"""Relative difference in aspect ratio up to which the second video is scaled to the first one's size."""


class Comparison(Reader):
    """A source of RGB frames that show two sources at once, timed like the first.

    Each frame of the first is shown with the frame of the second that is on screen at that time, so different
    frame rates and dropped frames stay in step. Time counts from each one's first frame, for containers start their
    clocks at different numbers. The second is scaled to the first one's size; after its end its last frame stays.
    Both are shown upright, as players turn them.

    Args:
        first, second: stay the caller's to close.
        mode: "split" for one view with a divider, "side-by-side" for two whole pictures.
        divider: its place as a fraction of the width, or None to let it sweep.
        labels: one for each, "" for none.
        at: seconds from the start; show only the frame on screen then.

    Raises:
        ConfigError: if `divider` is outside 0 to 1, or, once both are read, if the two differ in shape.
    """

    def __init__(
        self,
        first: Source,
        second: Source,
        *,
        mode: CompareMode = "split",
        divider: float | None = 0.5,
        labels: tuple[str, str] = ("", ""),
        at: float | None = None,
    ) -> None:
        if divider is not None and not 0 <= divider <= 1:
            raise ConfigError(f"the divider must lie between 0 and 1, not at {divider}")
        self._first, self._second = first, second
        self._mode, self._divider, self._labels = mode, divider, labels
        self._at = at
        self._warned = False
        info = first.info
        width = info.width * (2 if mode == "side-by-side" else 1)
        count = 1 if at is not None else info.frame_count
        self._info = replace(info, width=width, pixel_format="rgb24", frame_count=count)

    def __iter__(self) -> Iterator[Frame]:
        """Montages in presentation order, once."""
        converters: list[RgbConverter] = []
        for time, frame, other in self._chosen():
            converters = converters or self._converters(frame, other)
            pictures = [
                upright(converters[0](frame), frame, self._first),
                upright(converters[1](other), other, self._second),
            ]
            if self._mode == "side-by-side":
                montage = side_by_side(pictures, self._labels)
            else:
                montage = split_screen(pictures, self._labels, [self._divider_at(float(time))])
            shown = Frame.from_array(montage)
            yield replace(
                shown,
                color=self._color(frame, other),
                pts=frame.pts,
                time_base=frame.time_base,
                duration=frame.duration,
            )

    def _converters(self, frame: Frame, other: Frame) -> list[RgbConverter]:
        """To RGB of one size each, so that both are as large once they are upright."""
        turned = is_turned(frame, self._first), is_turned(other, self._second)
        a, b = self._first.info, self._second.info
        size = a.width, a.height
        shown = [(i.height, i.width) if turn else (i.width, i.height) for i, turn in zip((a, b), turned, strict=True)]
        (width, height), (other_width, other_height) = shown
        if abs(width * other_height / (height * other_width) - 1) > _SAME_SHAPE:
            raise ConfigError(
                f"{width}x{height} and {other_width}x{other_height} pixels have different shapes and cannot be compared"
            )
        return [RgbConverter(*size), RgbConverter(*(size if turned[0] == turned[1] else reversed(size)))]

    def _color(self, frame: Frame, other: Frame) -> ColorSpec:
        """Primaries and transfer of the montage: those of both; the first one's, with a word, where they differ."""
        looks = {(each.color.primaries, each.color.transfer) for each in (frame, other)}
        if len(looks) > 1 and not self._warned:
            log.warning("the two differ in colour primaries or transfer; the second is shown as if it had the first's")
            self._warned = True
        return ColorSpec(frame.color.primaries, frame.color.transfer)

    def _divider_at(self, seconds: float) -> float:
        if self._divider is not None:
            return self._divider
        return 0.5 - 0.45 * math.cos(2 * math.pi * seconds / SWEEP_SECONDS)

    def _chosen(self) -> Iterator[tuple[Fraction, Frame, Frame]]:
        """All matched frames, or the one at the time asked for: the last one where the video ends before."""
        matched = _match(_timed(self._first), _timed(self._second))
        if self._at is None:
            yield from matched
            return
        wanted = Fraction(self._at) + _ROUNDING_SECONDS
        chosen = None
        for moment in matched:
            if chosen is not None and moment[0] > wanted:
                break
            chosen = moment
        if chosen is not None:
            yield chosen


def compare(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    mode: CompareMode = "split",
    divider: float | None = 0.5,
    labels: tuple[str, str] | None = None,
    at: float | None = None,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write one video or picture that shows two; sound and all else that is not the picture is the first one's.

    Args:
        first, second: two videos, or two pictures.
        output: a video, or a picture of one moment.
        mode: "split" or "side-by-side".
        divider: a fraction of the width, or None to let it sweep; a picture has it in the middle then.
        labels: texts drawn on the two; by default the files' names, and ("", "") draws none.
        at: the moment of a picture in seconds from the start; by default the middle.
        overwrite: replace an existing file.
        progress: called with the number of frames written after each.

    Returns:
        How many frames were written.

    Raises:
        StreamDehazeError: one sentence on what was wrong with which file or option.
    """
    if os.path.exists(output) and any(os.path.exists(i) and os.path.samefile(i, output) for i in (first, second)):
        raise SinkError(f"'{output}' is one of the inputs; choose another name for the comparison")
    still = is_picture(output)
    if at is not None and not still:
        raise ConfigError(f"a moment is for a picture, and '{output}' is a video; name a .png, or leave the moment out")
    if is_picture(first) and not still:
        raise ConfigError(f"'{first}' is a picture, so the comparison is one as well; name a .png for it")
    with open_source(first) as a, open_source(second) as b:
        if still:
            at = (a.info.duration_seconds or 0.0) / 2 if at is None else at
            divider = 0.5 if divider is None else divider
        comparison = Comparison(
            a, b, mode=mode, divider=divider, labels=labels or (Path(first).stem, Path(second).stem), at=at
        )
        sink: Sink
        if still:
            sink = PictureSink(output, comparison, overwrite=overwrite)
        else:
            sink = open_sink(output, a, overwrite=overwrite)
        written = 0
        try:
            for frame in comparison:
                sink.write(frame)
                written += 1
                if progress is not None:
                    progress(written)
            sink.close()
        except BaseException:
            sink.abort()
            raise
        return written


def _timed(source: Source) -> Iterator[tuple[Fraction, Frame]]:
    """Frames with their times in seconds; by the frame rate where a source gives none."""
    rate = source.info.average_rate or Fraction(25)
    for index, frame in enumerate(source):
        yield (index / rate if frame.pts is None else frame.pts * frame.time_base), frame


def _match(
    first: Iterator[tuple[Fraction, Frame]], second: Iterator[tuple[Fraction, Frame]]
) -> Iterator[tuple[Fraction, Frame, Frame]]:
    """Each frame of `first`, its time since the first of them, and the frame of `second` on screen then."""
    coming = next(second, None)
    if coming is None:
        raise SourceError("the second video has no frames to compare")
    opening, shown = coming
    start: Fraction | None = None
    for time, frame in first:
        start = time if start is None else start
        while coming is not None and coming[0] - opening <= time - start + _ROUNDING_SECONDS:
            shown = coming[1]
            coming = next(second, None)
        yield time - start, frame, shown

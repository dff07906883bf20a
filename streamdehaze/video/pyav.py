"""What differs from one release of PyAV to the next."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.format import ContainerFormat, Flags
from av.video.stream import VideoStream

ANY_METADATA: Mapping[str, Any] = (
    {"metadata_errors": "surrogateescape"} if hasattr(InputContainer, "metadata_errors") else {}
)
"""For `av.open`: metadata in an unknown encoding goes through byte for byte. PyAV 19 sees to that without an option."""


_FASTEST = 1000
"""Pictures a second that a camera takes at most."""
_RAW_TICK = Fraction(1, 1_200_000)
"""Seconds a unit of FFmpeg's readers of raw streams, whose average is 25 whatever rate the headers in it say."""


def fraction(rational: Any) -> Fraction:
    """A rate, ratio or time base of PyAV's, exactly; 0 for none.

    Before PyAV 19 it is a `Fraction`, or None for none; from then on an `AVRational`, 0/1 or 1/0 for none.
    """
    return Fraction(rational.numerator, rational.denominator) if rational else Fraction(0)


def has_flag(container_format: ContainerFormat, flag: Flags) -> bool:
    """Whether FFmpeg says so of a format; a member of PyAV's `Flags` has a plain number, whatever its types say."""
    number: Any = flag.value
    return bool(container_format.flags & number)


def frame_rate(video: VideoStream) -> Fraction | None:
    """Pictures a second on average, or as FFmpeg guesses; None if it cannot."""
    average = fraction(video.average_rate)
    if fraction(video.time_base) == _RAW_TICK:
        average = Fraction(0)
    if average > _FASTEST:  # a tick for each picture, as of DV files; no rate
        average = Fraction(0)
    return average or fraction(video.guessed_rate) or None

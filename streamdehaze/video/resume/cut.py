"""Where the work on a long file is cut into segments, and how the very place is found again in the input."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from streamdehaze.frame import Frame

Remembered = Mapping[str, npt.NDArray[np.generic]]
"""What smoothing over time remembers, by name."""


@dataclass(frozen=True)
class Cut:
    """The place between two frames at which a segment ends and the next one begins."""

    frames: int
    """Frames before it, counted from the beginning of the work."""
    last_pts: int | None
    """Presentation time of the last frame before it, in the ticks of the source."""
    last_hash: str
    """Hash of that frame's hazy pixels."""
    damaged: int = 0
    """Damaged places of the input met so far."""
    in_span: bool = False
    """Whether the segments are those of `Spans`, which need nothing of each other."""
    state: Remembered = field(default_factory=dict, compare=False, repr=False)
    """What the dehazer remembers of the frames before, for the first frame after."""


@dataclass(frozen=True)
class WarmUp:
    """The place where the frames begin that the next segment's memory is warmed up with."""

    only: bool
    """Whether these frames are wanted for the warm-up only."""


class Cutter:
    """Decides where segments end: at the first keyframe after `length` frames, or without one after twice as many.

    The decision depends on the frames since the last cut alone, so that work resumed at a cut is cut at the same places
    as work that never stopped.

    Args:
        length: frames a segment has at least.
        begin: the cut at which the work is resumed.
    """

    def __init__(self, length: int, begin: Cut | None = None) -> None:
        self._length = max(1, length)
        self.frames = 0 if begin is None else begin.frames
        """Frames so far, with those before `begin`."""
        self._count = 0
        self._last: Frame | None = None

    def before(self, frame: Frame) -> Sequence[WarmUp | Cut]:
        """What is before this frame, if anything; every frame is to be shown once, in order."""
        marks = self._marks(frame)
        self._count += 1
        self.frames += 1
        self._last = frame
        return marks

    def _marks(self, frame: Frame) -> Sequence[WarmUp | Cut]:
        due = self._count >= 2 * self._length or (self._count >= self._length and is_keyframe(frame))
        return [self._cut()] if due and self._last is not None else []

    def _cut(self, *, in_span: bool = False) -> Cut:
        last, self._count = self._last, 0
        if last is None:
            return Cut(self.frames, None, "", in_span=in_span)
        return Cut(self.frames, last.pts, frame_hash(last), in_span=in_span)


def segment_length(seconds: float, rate: Fraction | None) -> int:
    """Frames of a segment of `seconds` at `rate` frames a second (25 if unknown)."""
    return max(1, round(seconds * (rate or 25)))


def is_keyframe(frame: Frame) -> bool:
    """Whether decoding can begin with the picture this frame was made of."""
    return isinstance(frame.opaque, av.VideoFrame) and bool(frame.opaque.key_frame)


def frame_hash(frame: Frame) -> str:
    """32 hexadecimal digits of the samples that show; what pads the rows does not count."""
    digest = hashlib.blake2b(f"{frame.pixel_format.name} {frame.width}x{frame.height}".encode(), digest_size=16)
    for index, plane in enumerate(frame.planes):
        row, rows = frame.pixel_format.plane_size(index, frame.width, frame.height)
        digest.update(np.ascontiguousarray(plane[:rows, :row]).view(np.uint8).data)
    return digest.hexdigest()

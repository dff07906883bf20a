"""What a benchmark measures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from streamdehaze.dehaze.steady import Every

DEFAULT_FRAMES, _PIXELS, _FEWEST = 100, 1280 * 720, 30
"""Frames of a clip of up to this many pixels; and fewest of a larger one, still more than look-ahead holds back."""
_LIMIT_SECONDS, _THOROUGH_SECONDS = 2.5, 10.0


@dataclass(frozen=True)
class BenchPlan:
    """What to measure: every combination of what is listed.

    Without `thorough`, a 720p clip takes under two minutes with one engine on two idle cores: whole pipelines run twice
    instead of at least four times, and over fewer frames if these are large.
    """

    video: str | os.PathLike[str] | None = None
    """A file, or the address of a stream, whose first frames are recorded and then measured like a file's; otherwise a
    clip is drawn for each of `sizes`."""
    sizes: Sequence[tuple[int, int]] = ((1280, 720),)
    network_sizes: Sequence[int] = (192, 256)
    batches: Sequence[int] = (4,)
    checkpoints: Sequence[str] = ("aecrnet-s",)
    engines: Sequence[str] = ("auto",)
    every: Sequence[Every] = ()
    """For each, also a steady pipeline whose network runs on every k-th frame."""
    thorough: bool = False
    """Repeat whole pipelines until they settle, and measure flicker over all frames."""
    limit_seconds: float | None = None
    """For each row, unless it settles earlier; by default 2.5, or 10 if `thorough`."""
    frames: int | None = None
    """Frames of a drawn clip, and the most that are read of a file or received of a stream; by default 100, and fewer
    of more than 720p unless `thorough`."""

    @property
    def limit(self) -> float:
        """Seconds for each row."""
        if self.limit_seconds is not None:
            return self.limit_seconds
        return _THOROUGH_SECONDS if self.thorough else _LIMIT_SECONDS

    def frames_of(self, width: int, height: int) -> int:
        """How many frames of a clip of this size are measured."""
        if self.frames is not None:
            return self.frames
        if self.thorough:
            return DEFAULT_FRAMES
        return min(DEFAULT_FRAMES, max(_FEWEST, round(1.5 * DEFAULT_FRAMES * _PIXELS / (width * height))))

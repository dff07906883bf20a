"""The scenes of a video, and keyframes of strength with one for each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import fmean

from streamdehaze.meter.measure import Measured
from streamdehaze.meter.reading import HazeClass
from streamdehaze.meter.table import FrameHaze

SHORTEST_SECONDS = 0.5
"""A flash looks like two cuts."""


class SceneCounter:
    """Numbers the scenes of one video, from 1, as its frames come."""

    def __init__(self) -> None:
        self._scene, self._began = 0, -math.inf

    def of(self, measured: Measured) -> int:
        """The scene of the next frame."""
        seconds = measured.frame.seconds or 0.0
        if self._scene == 0 or (measured.starts and seconds - self._began >= SHORTEST_SECONDS):
            self._scene, self._began = self._scene + 1, seconds
        return self._scene


def to_keyframes(rows: Sequence[FrameHaze]) -> str:
    """Keyframes of strength 1 in TOML, one a scene, with its density; to be edited and given to `run --strength`.

    Args:
        rows: of one video, in order.
    """
    lines = [
        f"# The scenes of {rows[0].input}. Edit the strengths, and give this file to 'streamdehaze run --strength'.",
        'interpolation = "hold"',
    ]
    for _, each in itertools.groupby(rows, key=lambda row: row.scene):
        mine = list(each)
        density = fmean(row.density for row in mine)
        seconds = max(0.0, math.floor(1000 * (mine[0].seconds or 0.0)) / 1000)
        shown = HazeClass.of_density(density).value
        lines += ["", f"[[keyframe]]  # {shown}, density {density:.2f}", f"seconds = {seconds}", "strength = 1"]
    return "\n".join(lines) + "\n"

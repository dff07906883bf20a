"""What was measured as rows, one a frame, for CSV and JSON; and the scenes, for keyframes of strength."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean

from streamdehaze.meter.measure import Measured
from streamdehaze.meter.reading import HazeClass

_SHORTEST_SECONDS = 0.5
"""Length of the shortest scene: a flash looks like two cuts."""


@dataclass(frozen=True)
class FrameHaze:
    """The haze of one frame; docs/meter.md says what the numbers mean."""

    input: str
    """As it was given."""
    frame: int
    """From 0."""
    seconds: float | None
    """Presentation time; None for a photo."""
    scene: int
    """From 1."""
    density: float
    haze_class: str
    airlight_red: float
    """0 to 1, like the two others."""
    airlight_green: float
    airlight_blue: float
    dark: bool
    """Whether the frame is too dark for the density to be trusted."""

    @classmethod
    def of(cls, name: str, measured: Measured, *, scene: int = 1, timed: bool = True) -> FrameHaze:
        """The row of a frame of the input `name`; a photo is not `timed`."""
        reading = measured.reading
        seconds = measured.frame.seconds if timed else None
        red, green, blue = (round(channel, 4) for channel in reading.airlight)
        return cls(
            input=name,
            frame=measured.index,
            seconds=None if seconds is None else round(seconds, 4),
            scene=scene,
            density=round(reading.density, 4),
            haze_class=reading.haze_class.value,
            airlight_red=red,
            airlight_green=green,
            airlight_blue=blue,
            dark=reading.dark,
        )


def to_csv(rows: Sequence[FrameHaze]) -> str:
    """A header and a line a row; empty for an unknown time, true or false for `dark`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(FrameHaze))
    for row in rows:
        values = asdict(row).values()
        writer.writerow(str(value).lower() if isinstance(value, bool) else value for value in values)
    return text.getvalue()


def to_json(rows: Sequence[FrameHaze]) -> str:
    """An object with the rows under "frames" and a summary of each input under "inputs"."""
    of_input: dict[str, list[FrameHaze]] = {}
    for row in rows:
        of_input.setdefault(row.input, []).append(row)
    inputs = [{"input": name, **summary(mine)} for name, mine in of_input.items()]
    return json.dumps({"inputs": inputs, "frames": [asdict(row) for row in rows]}, indent=1) + "\n"


def summary(rows: Sequence[FrameHaze]) -> dict[str, float | int | str]:
    """Summary of one input: frames; mean, least and most density; the class of the mean."""
    densities = [row.density for row in rows]
    mean = fmean(densities)
    return {
        "frames": len(rows),
        "density": round(mean, 4),
        "least": min(densities),
        "most": max(densities),
        "haze_class": HazeClass.of_density(mean).value,
        "dark_frames": sum(row.dark for row in rows),
    }


class SceneCounter:
    """Numbers the scenes of one video, from 1, as its frames come."""

    def __init__(self) -> None:
        self._scene, self._began = 0, -math.inf

    def of(self, measured: Measured) -> int:
        """The scene of the next frame."""
        seconds = measured.frame.seconds or 0.0
        if self._scene == 0 or (measured.starts and seconds - self._began >= _SHORTEST_SECONDS):
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

"""`Track`: the haze of a whole video, second by second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streamdehaze.meter.reading import HazeClass, Reading


@dataclass
class _Second:
    """Sums over the frames of one second."""

    frames: int = 0
    density: float = 0.0
    measured: int = 0
    dark: int = 0
    strength: float = 0.0


@dataclass
class Track:
    """Density and strength of the frames so far; a few numbers a second, however many frames there are."""

    _seconds: dict[int, _Second] = field(default_factory=dict)

    def add(self, seconds: float | None, reading: Reading | None, strength: float) -> None:
        """Take the next frame.

        Args:
            seconds: its time; None counts as 0.
            reading: its haze; None if it was not measured.
            strength: that was applied to it.
        """
        entry = self._seconds.setdefault(int(seconds or 0), _Second())
        entry.frames += 1
        entry.strength += strength
        if reading is not None:
            entry.density += reading.density
            entry.measured += 1
            entry.dark += reading.dark

    def extend(self, other: Track) -> None:
        """Take the frames of another part of the same video."""
        for second, more in other._seconds.items():
            entry = self._seconds.setdefault(second, _Second())
            entry.frames += more.frames
            entry.density += more.density
            entry.measured += more.measured
            entry.dark += more.dark
            entry.strength += more.strength

    @property
    def is_dark(self) -> bool:
        """Whether all frames that were measured are too dark to be trusted."""
        measured = sum(entry.measured for entry in self._seconds.values())
        return 0 < measured == sum(entry.dark for entry in self._seconds.values())

    def as_dict(self) -> dict[str, Any]:
        """For JSON: mean, least and most density, seconds of each class, and a row a second.

        A row has the second, the mean density (null if it was not measured), its class and the mean strength.
        """
        rows, densities = [], []
        seconds_of = dict.fromkeys((kind.value for kind in HazeClass), 0)
        for second, entry in sorted(self._seconds.items()):
            density = entry.density / entry.measured if entry.measured else None
            kind = None
            if density is not None:
                densities.append(density)
                kind = HazeClass.of_density(density).value
                seconds_of[kind] += 1
            strength = round(entry.strength / entry.frames, 3)
            density = None if density is None else round(density, 3)
            rows.append({"second": second, "density": density, "class": kind, "strength": strength})
        found: dict[str, Any] = {"mean": None, "least": None, "most": None}
        if densities:
            numbers = sum(densities) / len(densities), min(densities), max(densities)
            found = dict(zip(found, (round(number, 3) for number in numbers), strict=True))
        return {"density": found, "seconds_of": seconds_of, "by_second": rows}

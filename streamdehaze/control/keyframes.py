"""Strength that changes over time: keyframes, typed as ``0:1,12.5:0.4`` or read from a CSV or TOML file."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from streamdehaze import toml
from streamdehaze.control.times import parse_seconds
from streamdehaze.errors import ConfigError

MOST_STRENGTH = 1.5
"""More than all the haze that the network sees: 1 is what it means, above it contrast is exaggerated."""
Interpolation = Literal["linear", "hold"]
_FILES = (".csv", ".toml")


class Keyframes(NamedTuple):
    """Strength at given times, and what it is in between; before the first and after the last it does not change."""

    points: tuple[tuple[float, float], ...]
    """(seconds, strength), times rising."""
    interpolation: Interpolation = "linear"
    """"linear" moves evenly from one to the next, "hold" keeps each until the next."""

    def at(self, seconds: float | None) -> float:
        """The strength of a frame at this presentation time; None, as for a photo, counts as 0."""
        moment = seconds or 0.0
        before = [point for point in self.points if point[0] <= moment]
        if not before:
            return self.points[0][1]
        if len(before) == len(self.points) or self.interpolation == "hold":
            return before[-1][1]
        (start, first), (end, last) = before[-1], self.points[len(before)]
        return first + (last - first) * (moment - start) / (end - start)

    @classmethod
    def checked(
        cls, points: Sequence[tuple[float, float]], interpolation: Interpolation = "linear", *, source: str
    ) -> Keyframes:
        """Keyframes in order of time.

        Args:
            points: (seconds, strength).
            interpolation: see above.
            source: where they come from, for the error.

        Raises:
            ConfigError: if there are none, two have one time, or a number is out of range.
        """
        if not points:
            raise ConfigError(f"{source} has no keyframes; write TIME:STRENGTH, as in 0:1,12.5:0.4")
        for seconds, strength in points:
            if not (math.isfinite(seconds) and seconds >= 0):
                raise ConfigError(f"{source} has a keyframe at {seconds:g} seconds; times start at 0")
            if not 0 <= strength <= MOST_STRENGTH:
                at = f"{strength:g} at {seconds:g} seconds"
                raise ConfigError(f"{source} has strength {at}; it must lie between 0 and {MOST_STRENGTH}")
        for (first, _), (second, _) in itertools.pairwise(points):
            if second <= first:
                raise ConfigError(
                    f"{source} has the keyframe at {second:g} seconds after that at {first:g}; times must rise"
                )
        if interpolation not in ("linear", "hold"):
            raise ConfigError(f"{source} has the interpolation '{interpolation}'; choose linear or hold")
        return cls(tuple((float(seconds), float(strength)) for seconds, strength in points), interpolation)


def parse_strength(text: str) -> float | Keyframes:
    """A number, keyframes such as "0:1,12.5:0.4" or "hold 0:1,1:30:0", or a .csv or .toml file of keyframes.

    Raises:
        ConfigError: if it is not one of these.
    """
    text = text.strip()
    if text.lower().endswith(_FILES):
        return read_keyframes(Path(text))
    interpolation: Interpolation = "linear"
    for word in ("linear", "hold"):
        if text.startswith(f"{word} "):
            interpolation, text = word, text[len(word) :]
    if ":" not in text:
        value = _number(text, f"--strength '{text}'")
        if not 0 <= value <= MOST_STRENGTH:
            raise ConfigError(f"--strength {text} must lie between 0 and {MOST_STRENGTH}")
        return value
    points = []
    for each in text.split(","):
        moment, _, strength = each.strip().rpartition(":")
        source = f"--strength keyframe '{each.strip()}'"
        points.append((_seconds(moment, source), _number(strength, source)))
    return Keyframes.checked(points, interpolation, source="--strength")


def read_keyframes(path: Path) -> Keyframes:
    """Keyframes of a file.

    A .csv file has the columns ``seconds,strength``; a .toml file ``[[keyframe]]`` tables with ``seconds`` and
    ``strength`` and, before them, if wanted, ``interpolation = "hold"``.

    Raises:
        ConfigError: if it cannot be read, or holds no keyframes.
    """
    source = f"'{path}'"
    interpolation: Interpolation = "linear"
    try:
        if path.suffix.lower() == ".toml":
            content = toml.read_toml(path, source)
            interpolation = content.pop("interpolation", "linear")
            rows = content.pop("keyframe", [])
            if content or not isinstance(rows, list):
                unknown = next(iter(content), "keyframe")
                raise ConfigError(f"{source} has '{unknown}'; it may have interpolation and [[keyframe]] tables")
        else:
            with open(path, newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source} is not text") from error
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror or error}") from error
    points = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or set(row) != {"seconds", "strength"}:
            raise ConfigError(f"{source}: keyframe {number} must have 'seconds' and 'strength', and nothing else")
        where = f"{source}, keyframe {number}"
        points.append((_seconds(str(row["seconds"]), where), _number(str(row["strength"]), where)))
    return Keyframes.checked(points, interpolation, source=source)


def _seconds(text: str, source: str) -> float:
    try:
        return parse_seconds(text)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def _number(text: str, source: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{source} has '{text.strip()}' where a number belongs")
    return value

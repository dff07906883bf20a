"""Scores for people to read: a row per picture, a summary, and a grid of the best and the worst."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.sheet import contact_row, write_sheet
from streamdehaze.durable import write_csv, write_output

Value = str | float | None
Row = Mapping[str, Value]
TILE_HEIGHT = 180
"""Height of a grid's rows, pixels."""


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found."""

    facts: Mapping[str, str]
    """What was evaluated, and how."""
    rows: Sequence[Row]
    """One per picture; the first entry is its name."""
    sequences: Sequence[Row] = field(default=())
    """One per video."""
    traces: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """The error along the motion over each video's frames, and that of its truth; 8-bit levels."""
    detection: Mapping[str, float] = field(default_factory=dict)
    """Mean average precisions of a user's detector in hazy, cleared and clear pictures."""

    @property
    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, median, least and greatest of each number over the pictures that have it."""
        columns: dict[str, list[float]] = {}
        for row in self.rows:
            for name, value in row.items():
                numbers = columns.setdefault(name, [])
                if isinstance(value, (int, float)) and math.isfinite(value):
                    numbers.append(value)
        return {
            name: {
                "mean": float(np.mean(values)),
                "median": float(np.median(values)),
                "min": min(values),
                "max": max(values),
            }
            for name, values in columns.items()
            if values
        }

    def write_json(self, path: Path) -> None:
        """Everything, as one JSON object."""
        content: dict[str, Any] = {
            "facts": dict(self.facts),
            "summary": self.summary,
            "pictures": [dict(row) for row in self.rows],
            "sequences": [dict(row) for row in self.sequences],
            "detection": dict(self.detection),
        }
        write_output(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())

    def write_csv(self, path: Path) -> None:
        """A row per picture."""
        write_csv(path, self.rows)


class Extremes:
    """Remembers the pictures of the best and the worst scores, shrunken, for a grid.

    Args:
        count: how many of each.
    """

    def __init__(self, count: int = 4) -> None:
        self._count = count
        self._best: list[tuple[float, npt.NDArray[np.uint8]]] = []
        self._worst: list[tuple[float, npt.NDArray[np.uint8]]] = []

    def add(self, score: float, pictures: Sequence[npt.NDArray[np.uint8]]) -> None:
        """Consider pictures of one height, such as hazy, result and truth, under a score where more is better."""
        row = (score, contact_row(pictures, TILE_HEIGHT))
        self._best = sorted([*self._best, row], key=lambda entry: -entry[0])[: self._count]
        self._worst = sorted([*self._worst, row], key=lambda entry: entry[0])[: self._count]

    def write(self, path: Path) -> None:
        """A picture: the best from the top, then the worst, each row with its score."""
        rows = [*self._best, *reversed(self._worst)]
        write_sheet(path, [row for _, row in rows], [f"{score:.2f}" for score, _ in rows])

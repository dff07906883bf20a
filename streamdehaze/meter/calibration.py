"""`Calibration`: a fixed camera's contrast turned into metres by what a visibility meter read next to it.

The logarithm of visibility is a weighted sum of the logarithms of the blocks' fine contrast. With far more blocks than
pictures, ridge regression shares the weight among blocks that change together. How strong the penalty is, and how far
the estimates are to be trusted, is found by leaving out one day at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from streamdehaze.frame import FloatArray

Floats = npt.NDArray[np.float64]

_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)
_FEWEST = 12
"""Pictures with less than this teach less than the law of haze knows."""
_LEAST_SPREAD = 0.1
"""Added to the spread of each block's logarithm, so that those that never change count for nothing."""


@dataclass(frozen=True)
class Calibration:
    """``ln V = constant + Σ weights · ln contrast``, V in metres."""

    weights: FloatArray
    """(rows, columns)."""
    constant: float
    error: float
    """Root mean square of the logarithm's errors on days left out."""

    @classmethod
    def learn(
        cls, blocks: Sequence[FloatArray], metres: Sequence[float], days: Sequence[date | None]
    ) -> Calibration | None:
        """Fit it; None where there are too few pictures.

        Args:
            blocks: contrasts of hazy pictures, (rows, columns), above zero.
            metres: that the meter read at each.
            days: on which each was taken; without one a picture is a day of its own.
        """
        if len(blocks) < _FEWEST:
            return None
        x = np.log(np.stack(blocks).reshape(len(blocks), -1).astype(np.float64))
        y = np.log(np.asarray(metres, np.float64))
        day = np.array([number if each is None else -each.toordinal() for number, each in enumerate(days)])
        if len(set(day)) < 2:
            day = np.arange(len(day))
        squares = {}
        for penalty in _PENALTIES:
            missed = np.empty(len(y))
            for left_out in set(day):
                out = day == left_out
                weights, constant = _ridge(x[~out], y[~out], penalty)
                missed[out] = x[out] @ weights + constant - y[out]
            squares[penalty] = float(np.mean(missed * missed))
        best = min(squares, key=lambda penalty: squares[penalty])
        weights, constant = _ridge(x, y, best)
        return cls(weights.reshape(blocks[0].shape).astype(np.float32), constant, math.sqrt(squares[best]))

    def metres(self, blocks: FloatArray) -> float:
        """The visibility of a hazy picture."""
        return math.exp(self.constant + float((self.weights * np.log(blocks)).sum()))


def _ridge(x: Floats, y: Floats, penalty: float) -> tuple[Floats, float]:
    """Weights of the columns and the constant, by way of the pictures, which are fewer."""
    mean, spread = x.mean(axis=0), x.std(axis=0) + _LEAST_SPREAD
    normal = (x - mean) / spread
    kernel = normal @ normal.T
    scale = max(1e-9, float(np.trace(kernel)) / len(y))
    weights = normal.T @ np.linalg.solve(kernel + penalty * scale * np.eye(len(y)), y - y.mean()) / spread
    return weights, float(y.mean() - mean @ weights)

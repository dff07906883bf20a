"""`Calibration`: a fixed camera's contrast turned into metres by what a visibility meter read next to it.

The logarithm of visibility is a weighted sum of the logarithms of the blocks' broad contrast. There are far more blocks
than pictures, so each block's weight is its own correlation with the meter, and only their common slope is fitted: one
component of partial least squares (Wold, Sjöström & Eriksson 2001). Ridge regression fits the days it learns from more
closely and misses other days by more. How far the estimates can be trusted is found by leaving out one day at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdehaze.frame import FloatArray

Floats = npt.NDArray[np.float64]

_FEWEST = 12
"""Pictures with less than this teach less than the law of haze knows."""
_LEAST_SPREAD = 0.1
"""Added to the spread of each block's logarithm, so that those that never change count for nothing."""
_TINY = 1e-9


@dataclass(frozen=True)
class Calibration:
    """``ln V = constant + Σ weights · ln contrast``, V in metres."""

    weights: FloatArray
    """(rows, columns)."""
    constant: float
    error: float
    """Root mean square of the logarithm's errors on days left out."""

    @classmethod
    def learn(cls, blocks: Sequence[FloatArray], metres: Sequence[float], days: Sequence[int]) -> Calibration | None:
        """Fit it; None where there are too few pictures, or all are of one day.

        Args:
            blocks: contrasts of hazy pictures, (rows, columns), above zero.
            metres: that the meter read at each.
            days: which pictures are left out together.
        """
        day = np.asarray(days)
        if len(blocks) < _FEWEST or len(set(days)) < 2:
            return None
        x = np.log(np.stack(blocks).reshape(len(blocks), -1).astype(np.float64))
        y = np.log(np.asarray(metres, np.float64))
        missed = np.empty(len(y))
        for left_out in set(days):
            out = day == left_out
            weights, constant = _fit(x[~out], y[~out])
            missed[out] = x[out] @ weights + constant - y[out]
        weights, constant = _fit(x, y)
        error = math.sqrt(float(np.mean(missed * missed)))
        return cls(weights.reshape(blocks[0].shape).astype(np.float32), constant, error)

    def metres(self, blocks: FloatArray) -> float:
        """The visibility of a hazy picture."""
        return math.exp(self.constant + float((self.weights * np.log(blocks)).sum()))


def _fit(x: Floats, y: Floats) -> tuple[Floats, float]:
    """Weights of the columns, and the constant."""
    mean, spread, deviation = x.mean(axis=0), x.std(axis=0), y - y.mean()
    normal = (x - mean) / (spread + _LEAST_SPREAD)
    weights = deviation @ normal
    weights /= np.linalg.norm(normal, axis=0) + _TINY
    component = normal @ weights
    slope = deviation @ component / (component @ component + _TINY)
    weights = slope * weights / (spread + _LEAST_SPREAD)
    return weights, float(y.mean() - mean @ weights)

"""What became visible, without ground truth: e, r̄ and σ of Hautière et al.

"Blind contrast enhancement assessment by gradient ratioing at visible edges", Image Analysis & Stereology 27 (2008),
87–95. An edge counts as visible if its contrast reaches 5 %, the threshold of the CIE; contrast is measured by Köhler's
method: in each window, the threshold that separates the grey levels with the largest mean contrast along its border.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from numba import njit

from streamdehaze.datasets.picture import grey_of

WINDOW, STRIDE = 7, 4
VISIBLE_CONTRAST = 0.05
FEWEST_FAR = 0.01
"""Share of the picture that must be far for the far band to be measured."""


@dataclass(frozen=True)
class VisibleEdges:
    """The three numbers of the paper, and one of them for the far band."""

    edges: float
    """e: relative growth of the number of visible edges; above 0 is better."""
    gradients: float
    """r̄: geometric mean of the growth of gradients at visible edges; above 1 is better."""
    saturated: float
    """σ: share of pixels that became black or white; near 0 is better."""
    far_gradients: float | None = None
    """r̄ in the far band alone, where haze is to be removed; None where next to nothing is far."""


def visibility(
    hazy: npt.NDArray[np.uint8], result: npt.NDArray[np.uint8], far: npt.NDArray[np.bool_] | None = None
) -> VisibleEdges:
    """Compare a picture before and after, both (H, W, 3) RGB.

    Args:
        hazy, result: the two.
        far: (H, W), where the hazy picture is far (`HazeMap.far`); None leaves `far_gradients` out.
    """
    before, after = grey_of(hazy), grey_of(result)
    seen_before, seen_after = visible_edges(before), visible_edges(after)
    count_before, count_after = int(seen_before.sum()), int(seen_after.sum())
    e = (count_after - count_before) / max(count_before, 1)
    # One is added so that a place that was flat before does not count infinitely.
    growth = np.log((_gradient(after) + 1) / (_gradient(before) + 1))
    r = math.exp(float(growth[seen_after].mean())) if count_after else 1.0
    became = ((after == 0) & (before > 0)) | ((after == 255) & (before < 255))
    far_r = None
    if far is not None and far.mean() >= FEWEST_FAR and (seen_far := seen_after & far).any():
        far_r = math.exp(float(growth[seen_far].mean()))
    return VisibleEdges(e, r, float(became.mean()), far_r)


def visible_edges(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Where (H, W) grey levels have an edge of at least 5 % contrast."""
    return _visible_edges(np.ascontiguousarray(grey), WINDOW, STRIDE, VISIBLE_CONTRAST)  # type: ignore[no-any-return]


def _gradient(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    # OpenCV's own magnitude differs in the last bit with the alignment of the memory.
    return np.sqrt(across * across + down * down)


@njit(cache=True, nogil=True)
def _visible_edges(grey, window, stride, threshold):
    height, width = grey.shape
    edges = np.zeros((height, width), np.bool_)
    contrast = np.zeros(257, np.float64)
    border = np.zeros(257, np.int64)
    for top in range(0, max(height - window, 0) + 1, stride):
        for left in range(0, max(width - window, 0) + 1, stride):
            bottom, right = min(top + window, height), min(left + window, width)
            low, high = 255, 0
            for y in range(top, bottom):
                for x in range(left, right):
                    low, high = min(low, grey[y, x]), max(high, grey[y, x])
            # No threshold can reach the contrast: C of a border is at most half of the range's.
            if high == low or (high - low) / high < threshold:
                continue
            contrast[:] = 0
            border[:] = 0
            for y in range(top, bottom):
                for x in range(left, right):
                    for neighbour in range(2):
                        v, u = (y, x + 1) if neighbour == 0 else (y + 1, x)
                        if v >= bottom or u >= right:
                            continue
                        a, b = grey[y, x], grey[v, u]
                        if a > b:
                            a, b = b, a
                        for s in range(a, b):  # thresholds that separate the two: a ≤ s < b
                            contrast[s] += min((s - a) / max(s, 1), (b - s) / b)
                            border[s] += 1
            best, chosen = 0.0, -1
            for s in range(low, high):
                if border[s] > 0 and contrast[s] / border[s] > best:
                    best, chosen = contrast[s] / border[s], s
            if 2 * best < threshold:
                continue
            for y in range(top, bottom):
                for x in range(left, right):
                    if (x + 1 < right and (grey[y, x] > chosen) != (grey[y, x + 1] > chosen)) or (
                        y + 1 < bottom and (grey[y, x] > chosen) != (grey[y + 1, x] > chosen)
                    ):
                        edges[y, x] = True
    return edges

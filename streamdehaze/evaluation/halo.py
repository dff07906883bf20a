"""Halos: how far a result overshoots along the strong edges of the hazy picture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.picture import grey_of, shrink

Bytes = npt.NDArray[np.uint8]
Luma = npt.NDArray[np.float32]

_LONG_SIDE = 512
"""Pixels that larger pictures are shrunk to, so that one halo is the same number at every size."""
_NEAR, _FAR = (3, 4, 5, 6), (11, 13, 15)
"""Distances from the edge in pixels: where a halo lies, and where it has ended."""
_STEP = 20
"""Levels between the two sides that make an edge strong."""
_EVEN = 0.15
"""Largest change along a side of the hazy picture, relative to the step: texture is not a halo."""
_FEWEST = 50
"""Points on edges below which there is nothing to measure."""


def halo(hazy: Bytes, result: Bytes) -> float | None:
    """Overshoot that dehazing adds along strong edges, as a share of the edge's height; None without such edges.

    Across each edge of the hazy picture, luma is read near to it (3 to 6 pixels, at a long side of 512) and farther
    away (11 to 15), on the bright and on the dark side. With near and far levels ``b, B`` and ``d, D``, the overshoot
    is ``((b − B) + (D − d)) / (B − D)``: of the result, minus that of the hazy picture, at most 1 each way; the mean
    over all points whose two sides are even in the hazy picture. A ring of fog left around a dark thing counts, and so
    does a dark seam on it. 0: none, as for any straight curve of brightness and contrast; below 0: edges have
    become softer.

    Args:
        hazy, result: (H, W, 3) RGB.
    """
    before, after = (shrink(grey_of(picture), _LONG_SIDE).astype(np.float32) for picture in (hazy, result))
    height, width = before.shape
    blurred = cv2.GaussianBlur(before, (0, 0), 1.5)
    across, down = cv2.Scharr(blurred, cv2.CV_32F, 1, 0), cv2.Scharr(blurred, cv2.CV_32F, 0, 1)
    slope = np.maximum(cv2.magnitude(across, down), 1e-6)
    y, x = np.nonzero(cv2.Canny(np.clip(blurred, 0, 255).astype(np.uint8), 20, 40, L2gradient=True))
    direction = across[y, x] / slope[y, x], down[y, x] / slope[y, x]  # towards the bright side
    reach = max(_FAR) + 1
    inside = (x >= reach) & (x < width - reach) & (y >= reach) & (y < height - reach)
    points = np.stack([x[inside], y[inside]]).astype(np.float32)
    normals = np.stack([direction[0][inside], direction[1][inside]]).astype(np.float32)
    if points.shape[1] < _FEWEST:
        return None
    b, B, d, D = _sides(before, points, normals)
    step = B - D
    strong = (step >= _STEP) & (np.maximum(np.abs(b - B), np.abs(d - D)) <= _EVEN * step)
    if strong.sum() < _FEWEST:
        return None
    was = ((b - B) + (D - d))[strong] / step[strong]
    b, B, d, D = (side[strong] for side in _sides(after, points, normals))
    # An edge that has vanished has no height to compare with; the hazy picture's keeps the number finite.
    height_now = np.maximum(B - D, step[strong] / 2)
    return float(np.mean(np.clip(((b - B) + (D - d)) / height_now - was, -1, 1)))


def _sides(luma: Luma, points: Luma, normals: Luma) -> tuple[Luma, Luma, Luma, Luma]:
    """Mean luma near and far on the bright side, then near and far on the dark side, (n,) each."""

    def mean(distances: tuple[int, ...], sign: int) -> Luma:
        places = [points + sign * distance * normals for distance in distances]
        values = [cv2.remap(luma, p[0][:, None], p[1][:, None], cv2.INTER_LINEAR)[:, 0] for p in places]
        return np.asarray(np.mean(values, axis=0), np.float32)

    return mean(_NEAR, 1), mean(_FAR, 1), mean(_NEAR, -1), mean(_FAR, -1)

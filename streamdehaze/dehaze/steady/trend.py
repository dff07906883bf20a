"""How the network's answers keep changing while a camera drives on.

Things that come nearer are seen better, and the network removes more haze from them: along the motion its answers
always change in the same direction, and a filter with a long memory lags. But what is seen at one place of the picture
stays similar: as far away, as large. So the corrections that fresh answers make there are learned and applied in
advance, as an integral controller does, until none are left. They are averaged over large cells, which a single passing
object hardly changes.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.frame import FloatArray

_RATE = 0.05
"""Share of a correction that is applied in advance from the next frame on."""
_CELLS = 10
"""Along the longer side of the picture."""


class Trend:
    """Change of each plane from one frame to the next, on top of what is carried along the motion."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start over: another scene, or a camera at rest."""
        self.cells: FloatArray = np.empty((0, 0, 0), np.float32)
        """(n, rows, columns) of coarse cells; empty if nothing has been learned."""

    def apply(self, planes: FloatArray) -> None:
        """Add it to the first of `planes` (≥ n, rows, columns), in place."""
        for plane, cells in zip(planes, self.cells, strict=False):
            plane += cv2.resize(cells, plane.shape[::-1], interpolation=cv2.INTER_LINEAR)

    def cells_of(self, planes: FloatArray) -> FloatArray:
        """Room for the corrections of planes (n, rows, columns), averaged over each cell."""
        count, rows, columns = planes.shape
        longer = max(rows, columns)
        return np.zeros((count, -(-rows * _CELLS // longer), -(-columns * _CELLS // longer)), np.float32)

    def learn(self, corrections: FloatArray) -> None:
        """Take the corrections of one frame into account, averaged over each cell."""
        smooth = np.stack([cv2.GaussianBlur(c, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT) for c in corrections])
        self.cells = np.float32(_RATE) * smooth + (self.cells if self.cells.shape == smooth.shape else 0)

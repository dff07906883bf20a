"""The camera on the dashboard: where it is, where it looks, and what it may see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdehaze.scene.geometry import Records, View

_Floats = npt.NDArray[np.float64]
_NEAR_METRES = 0.05
METRES_PER_SECOND = 8.0
"""Speed of the car."""


@dataclass(frozen=True)
class DashCamera:
    """A pinhole camera driving along +z in the right-hand lane, swaying a little with the car."""

    width: int
    height: int

    @property
    def focal(self) -> float:
        """Pixels; a horizontal field of view of 62 degrees at 16:9, and the same vertical one at other ratios."""
        return 0.832 * self.height * 16 / 9

    def position(self, seconds: float) -> _Floats:
        """(3,) metres."""
        x = 1.75 + (0.12 * np.sin(0.9 * seconds) + 0.05 * np.sin(2.3 * seconds + 1))
        y = 1.38 + (0.018 * np.sin(7.1 * seconds) + 0.012 * np.sin(11.3 * seconds + 2))
        return np.array([x, y, METRES_PER_SECOND * seconds])

    def rotation(self, seconds: float) -> _Floats:
        """(3, 3) camera axes (right, up, forward) to world."""
        yaw = 0.014 * np.sin(0.7 * seconds + 0.4) + 0.004 * np.sin(3.1 * seconds) - 0.01
        pitch = 0.005 * np.sin(6.3 * seconds) + 0.003 * np.sin(9.7 * seconds + 1) + 0.012
        roll = 0.006 * np.sin(1.7 * seconds + 2)
        cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        rotation: _Floats = about_y @ about_x @ about_z
        return rotation

    def view(self, seconds: float, shapes: Records) -> View:
        """The camera at a time, with the shapes sorted into screen tiles so that a ray meets few of them."""
        from streamdehaze.scene.raycast import TILE, cull

        position, rotation = self.position(seconds), self.rotation(seconds)
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
        points = shapes["centre"][:, None] + corners * shapes["half"][:, None] - position
        points = points @ rotation  # (N, 8, 3): right, up, forward
        low, high = points.min(axis=1), points.max(axis=1)
        outside = np.maximum(np.maximum(low, -high), 0)
        near = np.linalg.norm(outside, axis=1)
        # The projected bounds of the camera-space bounding box, cut off just before the camera.
        forward = np.stack([np.maximum(low[:, 2], _NEAR_METRES), np.maximum(high[:, 2], _NEAR_METRES)])
        x = self.focal * np.stack([low[:, 0] / forward, high[:, 0] / forward]).reshape(4, -1) + self.width / 2
        y = -self.focal * np.stack([low[:, 1] / forward, high[:, 1] / forward]).reshape(4, -1) + self.height / 2
        bounds = np.stack([x.min(axis=0) - 1, y.min(axis=0) - 1, x.max(axis=0) + 1, y.max(axis=0) + 1], axis=1)
        columns, rows = -(-self.width // TILE), -(-self.height // TILE)
        ranges = np.floor(np.clip(bounds, -TILE, TILE * (max(columns, rows) + 1)) / TILE).astype(np.int64)
        ranges[:, 2:] += 1
        ranges = np.clip(ranges, 0, [columns, rows, columns, rows])
        ranges[high[:, 2] < _NEAR_METRES] = 0
        order = np.argsort(near, kind="stable")
        tile_start, candidates = cull(ranges, order, near, columns, rows)
        return View(position, rotation, self.focal, self.width, self.height, tile_start, candidates)

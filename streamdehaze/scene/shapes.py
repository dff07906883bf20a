"""Collects shapes while a street is laid out and turns them into arrays for any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdehaze.scene.geometry import BOARD, CONVEX, CYLINDER_X, CYLINDER_Y, ELLIPSOID, PLANE, SHAPE, Records

_Floats = npt.NDArray[np.float64]
Vector = tuple[float, float, float]
Profile = Sequence[tuple[float, float]]


BOX = np.concatenate([np.eye(3), -np.eye(3)])
"""Outward normals of a box's faces."""


@dataclass(frozen=True)
class Trajectory:
    """How a thing moves: it starts at its centre, moves straight ahead, and may swing about that path."""

    velocity: Vector = (0.0, 0.0, 0.0)
    """Metres a second."""
    swing: Vector = (0.0, 0.0, 0.0)
    """Amplitude in metres."""
    period_seconds: float = 1.0
    phase: float = 0.0
    """Radians."""


STILL = Trajectory()


def record(**values: npt.ArrayLike) -> Records:
    """A SHAPE record; fields that are not given are 0."""
    shape = np.zeros((), SHAPE)
    for name, value in values.items():
        shape[name] = value
    return shape


class ShapeList:
    """A growing list of shapes; materials are given by name."""

    def __init__(self, materials: Mapping[str, int]) -> None:
        self._materials = materials
        self._shapes: list[Records] = []
        self._planes: list[Records] = []
        self._motions: list[Trajectory] = []

    def box(
        self, centre: Vector, half: Vector, material: str, *, top: str | None = None, tint: Vector = (1.0, 1.0, 1.0),
        motion: Trajectory = STILL, storeys: int = 0,
    ) -> None:  # fmt: skip
        """An upright box; `top` names the material of its upper face where that differs."""
        planes = np.column_stack([BOX, np.tile(half, 2)])
        side, lid = self._materials[material], self._materials[top or material]
        faces = [side, lid, side, side, side, side]
        self._append(CONVEX, centre, half, side, tint, motion, storeys, planes, faces)

    def prism(
        self, centre: Vector, profile: Profile, half_width: float, materials: Sequence[str], side: str, *,
        lean: float = 0.0, tint: Vector = (1.0, 1.0, 1.0), motion: Trajectory = STILL, flip: bool = False,
    ) -> None:  # fmt: skip
        """A convex outline in (z, y), anticlockwise as seen from +x with z to the right, extruded along x.

        `materials` has one for each edge of the outline, `side` is that of both ends; the ends `lean` inwards, in
        metres per metre of height above the outline's foot; `flip` turns it to face −z.
        """
        points = np.array(profile, np.float64)
        if flip:
            points[:, 0] *= -1
            points = points[::-1]
            materials = [*reversed(materials[:-1]), materials[-1]]
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        points -= middle
        edges = np.roll(points, -1, axis=0) - points
        normals = np.column_stack([np.zeros(len(edges)), -edges[:, 0], edges[:, 1]])  # (x, y, z), outwards
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        distances = normals[:, 2] * points[:, 0] + normals[:, 1] * points[:, 1]
        foot = points[:, 1].min()
        ends = np.array([[1.0, lean, 0.0], [-1.0, lean, 0.0]]) / np.hypot(1.0, lean)
        end_distance = (half_width + lean * foot) / np.hypot(1.0, lean)
        planes = np.concatenate(
            [np.column_stack([normals, distances]), np.column_stack([ends, [end_distance, end_distance]])]
        )
        half = (half_width, float(np.ptp(points[:, 1]) / 2), float(np.ptp(points[:, 0]) / 2))
        at = (centre[0], centre[1] + float(middle[1]), centre[2] + float(middle[0]))
        faces = [self._materials[name] for name in [*materials, side, side]]
        self._append(CONVEX, at, half, faces[-1], tint, motion, 0, planes, faces)

    def ellipsoid(
        self, centre: Vector, radii: Vector, material: str, tint: Vector = (1, 1, 1), motion: Trajectory = STILL
    ) -> None:
        """An ellipsoid with axes along the world's."""
        self._append(ELLIPSOID, centre, radii, self._materials[material], tint, motion)

    def pillar(
        self,
        foot: Vector,
        height: float,
        radius: float,
        material: str,
        tint: Vector = (1, 1, 1),
        motion: Trajectory = STILL,
    ) -> None:
        """An upright cylinder."""
        centre = (foot[0], foot[1] + height / 2, foot[2])
        half = (radius, height / 2, radius)
        self._append(CYLINDER_Y, centre, half, self._materials[material], tint, motion)

    def axle(self, centre: Vector, radius: float, half_width: float, material: str, motion: Trajectory = STILL) -> None:
        """A cylinder along x: a wheel."""
        half = (half_width, radius, radius)
        self._append(CYLINDER_X, centre, half, self._materials[material], (1, 1, 1), motion)

    def board(self, centre: Vector, half_width: float, half_height: float, material: str) -> None:
        """An upright rectangle facing along the street, transparent where its texture's alpha is 0."""
        self._append(BOARD, centre, (half_width, half_height, 0.0), self._materials[material], (1, 1, 1), STILL)

    def _append(
        self, kind: int, centre: Vector, half: Vector, material: int, tint: Vector, motion: Trajectory,
        storeys: int = 0, planes: _Floats | None = None, faces: Sequence[int] = (),
    ) -> None:  # fmt: skip
        first = len(self._planes)
        if planes is not None:
            self._planes += [
                np.array((plane[:3], plane[3], face), PLANE) for plane, face in zip(planes, faces, strict=True)
            ]
        shape = record(kind=kind, centre=centre, half=half, turn=(1, 0), material=material, tint=tint, storeys=storeys)
        shape["first_plane"], shape["last_plane"] = first, len(self._planes)
        self._shapes.append(shape)
        self._motions.append(motion)

    def build(self, layers: Sequence[int]) -> World:
        """All shapes collected so far; `layers` is each material's texture."""
        shapes = np.stack(self._shapes)
        shapes["layer"] = np.asarray(layers)[shapes["material"]]
        return World(shapes, np.stack(self._planes), self._motions)


class World:
    """The shapes of a scene, at any time.

    Args:
        shapes: SHAPE records where they start.
        planes: PLANE records of all convex ones.
        motions: where each of the shapes goes.
    """

    def __init__(self, shapes: Records, planes: Records, motions: Sequence[Trajectory]) -> None:
        self._shapes, self.planes = shapes, planes
        self._velocity = np.array([motion.velocity for motion in motions], np.float64)
        self._swing = np.array([motion.swing for motion in motions], np.float64)
        self._rate = np.array([2 * np.pi / motion.period_seconds for motion in motions])
        self._phase = np.array([motion.phase for motion in motions])

    def centres(self, seconds: float) -> _Floats:
        """(N, 3) world positions, metres."""
        swing = np.sin(self._rate * seconds + self._phase)[:, None]
        centres: _Floats = self._shapes["centre"] + self._velocity * seconds + self._swing * swing
        return centres

    def at(self, seconds: float, next_seconds: float) -> Records:
        """SHAPE records at one time, with the step that each shape takes until the next."""
        shapes: Records = self._shapes.copy()
        shapes["centre"] = self.centres(seconds)
        shapes["step"] = self.centres(next_seconds) - shapes["centre"]
        return shapes

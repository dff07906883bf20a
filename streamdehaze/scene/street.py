"""The layout of the street: what stands where, and who moves along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdehaze.scene.facade import BAY_METRES
from streamdehaze.scene.geometry import Ground, Records
from streamdehaze.scene.material import WALLS, Palette
from streamdehaze.scene.props import add_car, add_house, add_lamp, add_person, add_tree
from streamdehaze.scene.shapes import ShapeList, Trajectory, World

_ROAD = 5.0
"""Metres from the centre line to the kerb: a lane of 3.5 m and a parking lane."""
_FRONT = 8.2
"""Metres from the centre line to the house fronts."""
_SIGHT = 260.0
"""Metres of street built beyond the camera's last position."""


@dataclass(frozen=True)
class Street:
    """Everything the ray caster needs except the time and the camera."""

    world: World
    materials: Records
    pool: npt.NDArray[np.uint8]
    _ground: Ground
    _moving_shadows: npt.NDArray[np.float64]
    """(S, 6) x, z, half width, half length, strength, velocity along z."""

    def ground(self, seconds: float) -> Ground:
        """The road, with the shadows as they lie at a time."""
        moved = self._moving_shadows[:, :5].copy()
        moved[:, 1] += self._moving_shadows[:, 5] * seconds
        shadows = np.concatenate([self._ground.shadows, moved])
        return self._ground._replace(shadows=shadows[np.argsort(shadows[:, 1])])


def build_street(seed: int, seconds: float, metres_per_second: float) -> Street:
    """Lay out a street long enough for a drive of `seconds`; the same seed and length give the same street."""
    # One generator for each kind of thing on each side, so that a longer street begins like a shorter one.
    generators = iter(np.random.default_rng(seed).spawn(10))
    palette = Palette(next(generators))
    shapes = ShapeList(palette.names)
    end = metres_per_second * seconds + _SIGHT
    crossings = np.arange(52.0, end, 95.0)
    shadows: list[tuple[float, ...]] = []
    for side in (-1, 1):
        shapes.box((side * (_ROAD + 20), 0.06, end / 2 - 20), (20, 0.06, end / 2 + 20), "stone", top="pavement")
        _line_with_houses(shapes, next(generators), side, end)
        shadows += _line_with_trees(shapes, next(generators), side, end, crossings)
        shadows += _park_cars(shapes, next(generators), side, end, crossings)
    moving = _drive_cars(shapes, next(generators), seconds, metres_per_second, end)
    _walk_people(shapes, next(generators), end, crossings)
    _close_the_street(shapes, next(generators), end)
    pool, materials = palette.build()
    ground = Ground(palette.asphalt, palette.grass, palette.stains, palette.clouds, _ROAD, crossings, np.array(shadows))
    return Street(shapes.build(materials["layer"].tolist()), materials, pool, ground, np.array(moving))


def _line_with_houses(shapes: ShapeList, rng: np.random.Generator, side: int, end: float) -> None:
    z = -24.0
    last = ""
    while z < end:
        bays = int(rng.integers(3, 8))
        wall = str(rng.choice([name for name in WALLS if name != last]))
        last = wall
        add_house(shapes, rng, side, z, bays, wall, _FRONT + float(rng.choice([0.0, 0.0, 0.35])))
        z += bays * BAY_METRES
        if rng.random() < 0.22:  # a garden behind a hedge
            shapes.box((side * (_FRONT + 1.2), 0.9, z + 4), (0.8, 0.9, 4), "hedge")
            add_tree(shapes, rng, side * (_FRONT + 4.5), z + 4)
            z += 8.0


def _line_with_trees(
    shapes: ShapeList, rng: np.random.Generator, side: int, end: float, crossings: npt.NDArray[np.float64]
) -> list[tuple[float, ...]]:
    """Add trees, with a lamp after every second one; returns the trees' shadows."""
    shadows: list[tuple[float, ...]] = []
    z = float(rng.uniform(4, 9))
    number = 0
    while z < end:
        if number % 3 == 2:
            add_lamp(shapes, side * (_ROAD + 0.5), z)
        elif np.abs(crossings - z).min() > 4:
            x, at, radius = add_tree(shapes, rng, side * (_ROAD + 0.9), z)
            shadows.append((x, at, radius * 0.5, radius * 0.5, 0.25))
        number += 1
        z += float(rng.uniform(7, 11))
    return shadows


def _park_cars(
    shapes: ShapeList, rng: np.random.Generator, side: int, end: float, crossings: npt.NDArray[np.float64]
) -> list[tuple[float, ...]]:
    shadows: list[tuple[float, ...]] = []
    z = float(rng.uniform(8, 12))
    while z < end:
        if rng.random() < 0.48 and np.abs(crossings - z).min() > 6:
            add_car(shapes, rng, side * 4.12, z, side)
            shadows.append((side * 4.12, z, 0.72, 1.95, 0.72))
        z += float(rng.uniform(5.4, 7.5))
    return shadows


def _drive_cars(
    shapes: ShapeList, rng: np.random.Generator, seconds: float, metres_per_second: float, end: float
) -> list[tuple[float, ...]]:
    add_car(shapes, rng, 1.8, 17.0, 1, Trajectory((0, 0, metres_per_second)))
    shadows: list[tuple[float, ...]] = [(1.8, 17.0, 0.72, 1.95, 0.72, metres_per_second)]
    oncoming = 9.0
    for z in np.arange(38.0, end + oncoming * seconds, 85.0):
        add_car(shapes, rng, -1.75, float(z), -1, Trajectory((0, 0, -oncoming)))
        shadows.append((-1.75, float(z), 0.72, 1.95, 0.72, -oncoming))
    return shadows


def _walk_people(shapes: ShapeList, rng: np.random.Generator, end: float, crossings: npt.NDArray[np.float64]) -> None:
    add_person(shapes, rng, (4.2, 0.0, float(crossings[0])), (-1.4, 0.0, 0.0))
    for z in np.arange(9.0, end, 16.0):
        side = float(rng.choice([-1, 1]))
        x = side * float(rng.uniform(6.5, 7.6))
        add_person(shapes, rng, (x, 0.12, float(z + rng.uniform(-5, 5))), (0, 0, float(rng.choice([-1.3, 1.3]))))


def _close_the_street(shapes: ShapeList, rng: np.random.Generator, end: float) -> None:
    """Put a hedge with trees behind it across the far end."""
    shapes.box((0, 1.5, end + 10), (60, 1.5, 1), "hedge")
    for x in rng.uniform(-25, 25, 14):
        add_tree(shapes, rng, float(x), end + 14)

"""What stands and moves on the street: houses, trees, lamps, cars, people."""

from __future__ import annotations

import numpy as np

from streamdehaze.scene.facade import BAY_METRES, STOREY_METRES
from streamdehaze.scene.material import CROWNS
from streamdehaze.scene.shapes import STILL, ShapeList, Trajectory, Vector

_PAINTS: tuple[Vector, ...] = (
    (0.62, 0.63, 0.65),
    (0.11, 0.12, 0.14),
    (0.55, 0.10, 0.09),
    (0.13, 0.22, 0.42),
    (0.80, 0.80, 0.78),
    (0.22, 0.31, 0.24),
)
_COATS: tuple[Vector, ...] = ((0.58, 0.22, 0.15), (0.20, 0.27, 0.45), (0.72, 0.62, 0.26), (0.30, 0.36, 0.30))
_TROUSERS: tuple[Vector, ...] = ((0.16, 0.16, 0.18), (0.19, 0.23, 0.33), (0.34, 0.29, 0.22))


def add_house(
    shapes: ShapeList, rng: np.random.Generator, side: int, z: float, bays: int, wall: str, front: float
) -> None:
    """A house `bays` wide starting at z, its front `front` metres from the centre line on `side` (−1 left, 1 right)."""
    storeys = int(rng.integers(2, 6))
    depth, length = 4 * BAY_METRES, bays * BAY_METRES
    height = storeys * STOREY_METRES + 0.5
    x = side * (front + depth / 2)
    middle = z + length / 2
    shapes.box((x, height / 2, middle), (depth / 2, height / 2, length / 2), wall, top="stone", storeys=storeys)
    cornice = (depth / 2 + 0.28, 0.16, length / 2 + 0.06)
    shapes.box((x, height - 0.55, middle), cornice, "stone")
    shapes.box((x, STOREY_METRES + 0.04, middle), (depth / 2 + 0.1, 0.09, length / 2), "stone")
    shapes.box((x, 0.2, middle), (depth / 2 + 0.06, 0.2, length / 2), "stone")
    if rng.random() < 0.7:
        ridge = float(rng.uniform(2.2, 3.8))
        gable = [(-length / 2, 0.0), (length / 2, 0.0), (length / 2 - 3.0, ridge), (-length / 2 + 3.0, ridge)]
        shapes.prism((x, height, middle), gable, depth / 2, ["stone", "roof", "roof", "roof"], "roof", lean=1.4)
    for _ in range(int(rng.integers(1, 3))):
        chimney = z + float(rng.uniform(1.5, length - 1.5))
        shapes.box((x - side * 2.5, height + 1.6, chimney), (0.45, 1.6, 0.35), "brown brick")
    if rng.random() < 0.45:  # an awning over one shop
        bay = z + BAY_METRES * (int(rng.integers(bays)) + 0.5)
        colour = _PAINTS[int(rng.integers(len(_PAINTS)))]
        at = (side * (front - 0.65), 2.62, bay)
        shapes.box(at, (0.65, 0.05, 1.35), "cloth", tint=colour)
        shapes.box((side * (front - 1.28), 2.5, bay), (0.02, 0.16, 1.35), "cloth", tint=colour)
    shapes.pillar((side * (front - 0.06), 0, z + 0.15), height - 0.7, 0.06, "metal")  # a drain pipe


def add_tree(shapes: ShapeList, rng: np.random.Generator, x: float, z: float) -> Vector:
    """A street tree; returns x, z and the radius of its crown."""
    height, radius = float(rng.uniform(3.0, 3.8)), float(rng.uniform(1.7, 2.3))
    shapes.pillar((x, 0, z), height + radius * 0.7, 0.14, "bark")
    for layer in range(4):
        off = rng.uniform(-0.35, 0.35, 2)
        centre = (x + float(off[0]), height + radius * 0.75 + float(off[1]), z + (layer - 1.5) * radius * 0.4)
        size = radius * (1.25 if layer in (1, 2) else 1.0)
        shapes.board(centre, size, size * 0.95, CROWNS[int(rng.integers(len(CROWNS)))])
    return x, z, radius


def add_lamp(shapes: ShapeList, x: float, z: float) -> None:
    """A street lamp whose arm reaches over the road."""
    inwards = -0.9 if x > 0 else 0.9
    shapes.pillar((x, 0, z), 1.0, 0.1, "metal")
    shapes.pillar((x, 0, z), 7.0, 0.06, "metal")
    shapes.box((x + inwards / 2, 6.95, z), (0.5, 0.04, 0.04), "metal")
    shapes.ellipsoid((x + inwards, 6.9, z), (0.42, 0.09, 0.16), "metal")


def add_car(
    shapes: ShapeList, rng: np.random.Generator, x: float, z: float, heading: int, motion: Trajectory = STILL
) -> Vector:
    """A hatchback at (x, z) facing `heading` (1 with the camera, −1 towards it); returns x, z and half its length."""
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    flip = heading < 0
    body = [(-2.02, 0.3), (2.0, 0.3), (2.1, 0.5), (1.98, 0.72), (0.95, 0.93), (-2.0, 0.97), (-2.1, 0.62)]
    shapes.prism(
        (x, 0, z), body, 0.87, ["rubber"] + ["paint"] * 6, "paint", lean=0.06, tint=paint, motion=motion, flip=flip
    )
    cabin = [(-1.98, 0.94), (1.05, 0.92), (0.25, 1.43), (-0.6, 1.47), (-1.55, 1.38)]
    faces = ["paint", "glass", "paint", "paint", "glass"]
    shapes.prism((x, 0, z), cabin, 0.83, faces, "car windows", lean=0.34, tint=paint, motion=motion, flip=flip)
    shapes.box((x, 0.28, z), (0.76, 0.1, 1.9), "rubber", motion=motion)
    for end, colour in ((1, (0.92, 0.92, 0.86)), (-1, (0.62, 0.05, 0.05))):
        for lamp in (-0.62, 0.62):
            high = 0.62 if end > 0 else 0.78
            at = (x + lamp, high, z + heading * end * 2.03)
            shapes.ellipsoid(at, (0.17, 0.09, 0.07), "paint", colour, motion)
        shapes.box(
            (x, 0.5, z + heading * end * 2.09), (0.26, 0.06, 0.02), "paint", tint=(0.85, 0.84, 0.76), motion=motion
        )
        shapes.box((x, 0.4, z + heading * end * 2.02), (0.84, 0.07, 0.1), "rubber", motion=motion)
    for wheel_x in (-0.78, 0.78):
        for wheel_z in (-1.28, 1.3):
            shapes.axle((x + wheel_x, 0.32, z + heading * wheel_z), 0.32, 0.11, "wheel", motion)
    return x, z, 2.0


def add_person(shapes: ShapeList, rng: np.random.Generator, foot: Vector, velocity: Vector) -> None:
    """A walker at `foot`, legs and arms swinging along the way they go (metres a second)."""
    x, y, z = foot
    coat, trousers = _COATS[int(rng.integers(len(_COATS)))], _TROUSERS[int(rng.integers(len(_TROUSERS)))]
    skin = (0.72, 0.54, 0.44)
    speed = float(np.hypot(velocity[0], velocity[2]))
    along = (velocity[0] / speed, velocity[2] / speed)
    phase = float(rng.uniform(0, 6))
    body = Trajectory(velocity)

    def swinging(metres: float, offset: float) -> Trajectory:
        return Trajectory(velocity, (along[0] * metres, 0.0, along[1] * metres), 1.1, phase + offset)

    for hip, offset in ((-0.09, 0.0), (0.09, np.pi)):
        at = (x + hip * along[1], z - hip * along[0])
        shapes.pillar((at[0], y + 0.42, at[1]), 0.5, 0.085, "cloth", trousers, swinging(0.07, offset))
        shapes.pillar((at[0], y, at[1]), 0.48, 0.065, "cloth", trousers, swinging(0.2, offset))
        shapes.ellipsoid((at[0], y + 0.05, at[1]), (0.1, 0.05, 0.1), "rubber", (1, 1, 1), swinging(0.2, offset))
        arm = (x + 2.7 * hip * along[1], y + 1.08, z - 2.7 * hip * along[0])
        shapes.ellipsoid(arm, (0.06, 0.33, 0.06), "cloth", coat, swinging(0.1, offset + np.pi))
    shapes.ellipsoid((x, y + 1.15, z), (0.21, 0.36, 0.21), "cloth", coat, body)
    shapes.ellipsoid((x, y + 0.92, z), (0.18, 0.22, 0.18), "cloth", coat, body)
    shapes.ellipsoid((x, y + 1.62, z), (0.1, 0.13, 0.11), "cloth", skin, body)
    shapes.ellipsoid((x, y + 1.68, z - 0.02), (0.11, 0.1, 0.115), "cloth", (0.18, 0.12, 0.09), body)

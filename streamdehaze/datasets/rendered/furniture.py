"""Furnishes a room at random: walls, lamps, and what stands in it, for the ray caster."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from streamdehaze.scene.geometry import (
    BLINDS,
    BOOKS,
    CONVEX,
    ELLIPSOID,
    PAINTED,
    PICTURE,
    PLANE,
    TINTED,
    Records,
)
from streamdehaze.scene.shapes import BOX, record


class Furniture:
    """What stands in a room: boxes and ellipsoids, for the ray caster.

    Args:
        rng: draws where things stand, how large they are and of what.
        textures: how many there are.
    """

    def __init__(self, rng: np.random.Generator, textures: int) -> None:
        self._rng, self._textures = rng, textures
        self._shapes: list[Records] = []

    def add(
        self,
        centre: tuple[float, float, float],
        half: tuple[float, float, float],
        colour: npt.NDArray[np.float64],
        *,
        yaw: float = 0.0,
        around: tuple[float, float] | None = None,
        rounded: bool = False,
        glow: float = 0.0,
        finish: int = PAINTED,
        texture: int = 0,
        repeats: float = 1.0,
    ) -> None:
        """Add a box or an ellipsoid; with `around`, (x, z), its centre is relative to it and turns with `yaw`."""
        x, y, z = centre
        if around is not None:
            c, s = math.cos(yaw), math.sin(yaw)
            x, z = around[0] + c * x + s * z, around[1] - s * x + c * z
        turn = math.cos(yaw), math.sin(yaw)
        kind = ELLIPSOID if rounded else CONVEX
        shape = record(
            kind=kind, centre=(x, y, z), half=half, turn=turn, tint=colour, glow=glow, finish=finish, layer=texture,
            repeats=repeats,
        )  # fmt: skip
        self._shapes.append(shape)

    def build(self) -> tuple[Records, Records]:
        """The SHAPE records, and the PLANE records of the boxes among them."""
        shapes = np.stack(self._shapes)
        boxes = np.flatnonzero(shapes["kind"] == CONVEX)
        shapes["first_plane"][boxes] = 6 * np.arange(len(boxes))
        shapes["last_plane"][boxes] = shapes["first_plane"][boxes] + 6
        planes = np.zeros(6 * len(boxes), PLANE)
        planes["normal"], planes["distance"] = np.tile(BOX, (len(boxes), 1)), np.tile(shapes["half"][boxes], 2).ravel()
        return shapes, planes

    def add_person(self, x: float, z: float, clothes: npt.NDArray[np.float64]) -> None:
        """Add a person made of two ellipsoids."""
        self.add((x, 0.8, z), (0.25, 0.85, 0.2), clothes, rounded=True)
        self.add((x, 1.7, z), (0.11, 0.14, 0.12), np.array([0.55, 0.38, 0.28]), rounded=True)

    def texture(self) -> int:
        """The number of a texture, drawn."""
        return int(self._rng.integers(self._textures))


def draw_colour(rng: np.random.Generator, low: float, high: float, saturation: float) -> npt.NDArray[np.float64]:
    """A reflectance (3,) of the given brightness and at most the given saturation."""
    hue = rng.uniform(0, 1, 3)
    hue = hue / hue.max()
    colour: npt.NDArray[np.float64] = rng.uniform(low, high) * (1 - rng.uniform(0, saturation) * (1 - hue))
    return colour


def paint_walls(rng: np.random.Generator, textures: int) -> npt.NDArray[np.float64]:
    """(6, 6) of left, right, floor, ceiling, back, front: colour (3), finish, texture, repeats a metre."""
    wall = draw_colour(rng, 0.35, 0.9, 0.3) if rng.random() < 0.8 else draw_colour(rng, 0.1, 0.6, 0.9)
    if rng.random() < 0.5:  # most real walls are white to beige
        wall = rng.uniform(0.35, 0.9) * np.array([1.0, rng.uniform(0.85, 1.0), rng.uniform(0.65, 0.95)])
    accent = draw_colour(rng, 0.2, 0.85, 0.8) if rng.random() < 0.3 else wall
    floor = draw_colour(rng, 0.04, 0.4, 0.4) * (np.array([1, 0.7, 0.45]) if rng.random() < 0.6 else 1.0)
    ceiling = draw_colour(rng, 0.65, 0.92, 0.15)
    rows = []
    for colour, roughness in ((wall, 0.3), (wall, 0.3), (floor, 0.8), (ceiling, 0.1), (accent, 0.3), (wall, 0.3)):
        finish = TINTED if rng.random() < roughness else PAINTED
        rows.append([*colour, finish, rng.integers(textures), rng.uniform(0.3, 1.5)])
    return np.array(rows)


def place_lights(rng: np.random.Generator, room: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 6) position and colour of one to three lamps or windows, and how much light is everywhere in the last row."""
    rows = []
    for _ in range(rng.integers(1, 4)):
        warm = np.array([1.0, rng.uniform(0.75, 1.0), rng.uniform(0.5, 1.0)])
        place = rng.uniform(-0.85, 0.85, 2) * room[[0, 2]]
        rows.append([place[0], rng.uniform(0.55, 0.97) * room[1], place[1], *(warm * rng.uniform(1, 4))])
    ambient = rng.uniform(0.08, 0.35) * np.array([rng.uniform(0.85, 1), 1.0, rng.uniform(0.9, 1.15)])
    rows.append([0, 0, 0, *ambient])
    return np.array(rows)


def furnish(
    rng: np.random.Generator, room: npt.NDArray[np.float64], wall: npt.NDArray[np.float64], textures: int
) -> tuple[Records, Records]:
    """What stands in a room, as `Furniture.build` has it.

    `room` is its half width, height and half length in metres; `wall` is the colour (3) of partitions.
    """
    decorator = _Decorator(rng, room, textures)
    if rng.random() < 0.4:
        decorator.put_up_a_partition(wall)
    for _ in range(rng.integers(2, 10)):
        decorator.hang_on_a_wall()
    for _ in range(rng.integers(1, 4)):
        decorator.set_a_table()
    for _ in range(rng.integers(1, 8)):
        decorator.place_a_block()
    if rng.random() < 0.5:
        decorator.lay_a_carpet()
    for _ in range(rng.integers(0, 3)):
        decorator.place_a_lamp_or_a_person()
    return decorator.build()


class _Decorator(Furniture):
    """Furnishes a room."""

    def __init__(self, rng: np.random.Generator, room: npt.NDArray[np.float64], textures: int) -> None:
        super().__init__(rng, textures)
        self._hx, self._height, self._hz = room

    def put_up_a_partition(self, colour: npt.NDArray[np.float64]) -> None:
        """A wall across the room with an opening, through which another room is seen, farther and lit otherwise."""
        rng, hx, height = self._rng, self._hx, self._height
        z, middle, gap = rng.uniform(0.0, 0.7) * self._hz, rng.uniform(-0.7, 0.7) * hx, rng.uniform(0.4, 1.3)
        top = rng.uniform(1.95, height) if rng.random() < 0.7 else height
        for left, right in ((-hx, middle - gap), (middle + gap, hx)):
            if right > left:
                half = ((right - left) / 2, height / 2, 0.07)
                self.add(((left + right) / 2, height / 2, z), half, colour)
        if top < height:
            self.add((middle, (top + height) / 2, z), (gap, (height - top) / 2, 0.07), colour)

    def hang_on_a_wall(self) -> None:
        """A painting, a window or a door."""
        rng, hx, hz = self._rng, self._hx, self._hz
        along, side = rng.uniform(-0.85, 0.85), rng.integers(3)
        w, h, y = rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.6), rng.uniform(1.2, 1.8)
        kind, glow, repeats = rng.random(), 0.0, 1.0
        if kind < 0.3:  # a window
            w, h, glow = rng.uniform(0.4, 1.1), rng.uniform(0.4, 0.9), np.exp(rng.uniform(-1.5, 1.1))
        elif kind < 0.45:  # a door
            w, h, y = 0.45, 1.0, 1.0
        centre = ((along * hx, y, hz), (-hx, y, along * hz), (hx, y, along * hz))[side]
        half = (w, h, 0.03) if side == 0 else (0.03, h, w)
        frame = (w + 0.05, h + 0.05, 0.02) if side == 0 else (0.02, h + 0.05, w + 0.05)
        self.add(centre, frame, self._wood())
        plain = 0.3 <= kind < 0.45 or (glow > 0 and rng.random() < 0.6)
        colour = np.ones(3) if glow else draw_colour(rng, 0.05, 0.95, 0.8)
        finish = PAINTED if plain else PICTURE
        if glow and rng.random() < 0.4:
            finish, repeats = BLINDS, rng.uniform(10, 30)
        self.add(centre, half, colour, glow=glow, finish=finish, texture=self.texture(), repeats=repeats)

    def set_a_table(self) -> None:
        """A table, chairs around it, and what lies on it."""
        rng = self._rng
        x, z = rng.uniform(-0.75, 0.75) * self._hx, rng.uniform(-0.6, 0.85) * self._hz
        yaw, w, d, h = rng.uniform(0, 3.1), rng.uniform(0.3, 1.1), rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.8)
        colour = self._wood() if rng.random() < 0.65 else draw_colour(rng, 0.6, 0.95, 0.2)
        finish, texture = TINTED if rng.random() < 0.5 else PAINTED, self.texture()
        self.add((0, h, 0), (w, 0.025, d), colour, yaw=yaw, around=(x, z), finish=finish, texture=texture)
        self._legs((w - 0.06, d - 0.06), h, 0.03, colour, yaw, (x, z))
        self._clutter((x, h + 0.02, z), min(w, d) * 0.8, int(rng.integers(0, 6)))
        cloth = self._wood() if rng.random() < 0.6 else draw_colour(rng, 0.02, 0.8, 1.0)
        for _ in range(rng.integers(0, 5)):
            side = rng.choice([-1, 1])
            cx, cz, turn = rng.uniform(-1.3, 1.3) * w, side * (d + 0.25), yaw + rng.normal(0, 0.3)
            place = (x + math.cos(yaw) * cx + math.sin(yaw) * cz, z - math.sin(yaw) * cx + math.cos(yaw) * cz)
            self.add((0, 0.45, 0), (0.22, 0.03, 0.22), cloth, yaw=turn, around=place)
            self.add((0, 0.72, 0.2 * side), (0.22, 0.26, 0.02), cloth, yaw=turn, around=place)
            self._legs((0.18, 0.18), 0.44, 0.018, cloth, turn, place)

    def place_a_block(self) -> None:
        """A cupboard, sofa, bookshelf or bed, along a wall or in the way."""
        rng = self._rng
        w, h, d = rng.uniform(0.25, 1.1), rng.uniform(0.2, 1.05), rng.uniform(0.2, 0.5)
        x, z, yaw = rng.uniform(-0.9, 0.9) * self._hx, rng.uniform(-0.5, 0.95) * self._hz, 0.0
        side = rng.integers(4)
        if side == 0:
            z = self._hz - d
        elif side < 3:
            x, yaw = (self._hx - d) * (1 if side == 1 else -1), math.pi / 2
        finish = (PAINTED, TINTED, BOOKS, PICTURE)[rng.choice(4, p=(0.45, 0.25, 0.2, 0.1))]
        colour = self._wood() if rng.random() < 0.6 else draw_colour(rng, 0.05, 0.9, 0.9)
        texture, repeats = self.texture(), rng.uniform(0.5, 1.5)
        self.add((x, h, z), (w, h, d), colour, yaw=yaw, finish=finish, texture=texture, repeats=repeats)
        if rng.random() < 0.3 and finish != BOOKS:  # the back of a sofa
            self.add((0, h * 1.5, d * 0.8), (w, h, 0.1), colour, yaw=yaw, around=(x, z))
        self._clutter((x, 2 * h, z), min(w, d) * 0.8, int(rng.integers(0, 4)))

    def lay_a_carpet(self) -> None:
        """A photo on the floor."""
        rng = self._rng
        place = (rng.uniform(-0.5, 0.5) * self._hx, 0.005, rng.uniform(-0.5, 0.7) * self._hz)
        size = (rng.uniform(0.5, 1.5), 0.006, rng.uniform(0.4, 1.2))
        yaw, texture = rng.uniform(0, 3.1), self.texture()
        self.add(place, size, draw_colour(rng, 0.1, 0.9, 0.8), yaw=yaw, finish=PICTURE, texture=texture)

    def place_a_lamp_or_a_person(self) -> None:
        """A hanging lamp, or a person."""
        rng = self._rng
        x, z = rng.uniform(-0.8, 0.8) * self._hx, rng.uniform(-0.4, 0.9) * self._hz
        if rng.random() < 0.7:
            size, y = rng.uniform(0.08, 0.2), self._height - rng.uniform(0.1, 0.8)
            self.add((x, y, z), (size, size * 0.7, size), np.ones(3), rounded=True, glow=4.0)
        else:
            self.add_person(x, z, draw_colour(rng, 0.03, 0.8, 0.9))

    def _legs(
        self,
        apart: tuple[float, float],
        height: float,
        thickness: float,
        colour: npt.NDArray[np.float64],
        yaw: float,
        around: tuple[float, float],
    ) -> None:
        for x in (-apart[0], apart[0]):
            for z in (-apart[1], apart[1]):
                half = (thickness, height / 2, thickness)
                self.add((x, height / 2, z), half, colour, yaw=yaw, around=around)

    def _clutter(self, place: tuple[float, float, float], spread: float, count: int) -> None:
        rng, (x, y, z) = self._rng, place
        for _ in range(count):
            size = rng.uniform(0.03, 0.16, 3)
            dx, dz = rng.uniform(-spread, spread, 2)
            self.add(
                (x + dx, y + size[1], z + dz),
                (size[0], size[1], size[2]),
                draw_colour(rng, 0.02, 0.95, 1.0),
                yaw=rng.uniform(0, 3.1),
                rounded=rng.random() < 0.3,
                finish=PICTURE if rng.random() < 0.4 else PAINTED,
                texture=self.texture(),
            )

    def _wood(self) -> npt.NDArray[np.float64]:
        rng = self._rng
        if rng.random() >= 0.7:
            return draw_colour(rng, 0.02, 0.9, 0.5)
        tone = np.array([1.0, rng.uniform(0.5, 0.9), rng.uniform(0.25, 0.8)])
        wood: npt.NDArray[np.float64] = np.exp(rng.uniform(-5, -0.9)) * tone
        return wood

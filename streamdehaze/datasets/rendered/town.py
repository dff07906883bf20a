"""Draws towns at random: a road, houses, trees, cars and hills under a sky, for the ray caster."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.rendered.furniture import Furniture, draw_colour
from streamdehaze.scene.geometry import PAINTED, PICTURE, SKY, TINTED, WINDOWS, Records

EXTENT = np.array([900.0, 900.0, 1200.0])
"""Half width, height and half length in metres of the box whose walls are the sky."""

_Floats = npt.NDArray[np.float64]


def draw_ground_and_sky(rng: np.random.Generator, textures: int) -> _Floats:
    """(6, 6) rows like those of `furniture.paint_walls`: the floor is the ground, everything else the sky."""
    zenith = draw_colour(rng, 0.35, 1.0, 0.1)
    if rng.random() < 0.4:  # no clouds
        zenith = rng.uniform(0.4, 1.0) * np.array([rng.uniform(0.3, 0.7), rng.uniform(0.6, 0.85), 1.0])
    sky = [*zenith, SKY, 0, 0]
    kind = rng.random()
    if kind < 0.45:  # grass
        soil = rng.uniform(0.05, 0.3) * np.array([rng.uniform(0.5, 1.1), 1.0, rng.uniform(0.2, 0.5)])
    else:  # sand, gravel, concrete, asphalt, snow
        soil = rng.uniform(0.04, 0.5) * np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.6, 1.0)])
    ground = [*soil, TINTED, rng.integers(textures), np.exp(rng.uniform(-3.5, -0.5))]
    return np.array([sky, sky, ground, sky, sky, sky], dtype=np.float64)


def draw_daylight(rng: np.random.Generator) -> _Floats:
    """(2, 6) rows like those of `furniture.place_lights`: the sun, often behind clouds, and the light of the sky."""
    place = np.array([rng.uniform(-1, 1), rng.uniform(0.3, 1.2), rng.uniform(-1, 0.6)]) * 3000
    warm = np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.6, 1.0)])
    strength = rng.uniform(0.0, 0.2) if rng.random() < 0.5 else rng.uniform(0.5, 1.5)
    sun = warm * strength * (place @ place)
    return np.array([[*place, *sun], [0, 0, 0, *(rng.uniform(0.4, 1.0) * np.array([0.92, 0.97, 1.05]))]])


def build_town(rng: np.random.Generator, textures: int) -> tuple[Records, Records]:
    """What stands along a road that leads away from the camera, as `Furniture.build` has it."""
    builder = _Builder(rng, textures)
    if rng.random() < 0.8:
        builder.lay_a_road()
    for _ in range(rng.integers(0, 5)):
        builder.raise_a_hill()
    for _ in range(rng.integers(0, 22)):
        builder.build_a_house()
    for _ in range(rng.integers(0, 12)):
        builder.plant_a_tree()
    for _ in range(rng.integers(0, 7)):
        builder.park_a_car()
    for _ in range(rng.integers(0, 8)):
        builder.put_up_a_pole()
    for _ in range(rng.integers(0, 5)):
        builder.place_a_person()
    builder.add_a_stone()
    return builder.build()


class _Builder(Furniture):
    """Builds a town; the camera stands near z = 0 and looks along +z."""

    def __init__(self, rng: np.random.Generator, textures: int) -> None:
        super().__init__(rng, textures)
        self._length = np.exp(rng.uniform(np.log(40), np.log(350)))
        self._road = rng.uniform(2.5, 9)

    def lay_a_road(self) -> None:
        """A strip of asphalt with a broken line in its middle."""
        rng = self._rng
        asphalt, texture = draw_colour(rng, 0.03, 0.25, 0.1), self.texture()
        half = (self._road, 0.01, 1000.0)
        self.add((0, 0.01, 900), half, asphalt, finish=TINTED, texture=texture, repeats=400)
        for i in range(rng.integers(0, 6)):
            self.add((0, 0.015, 6.0 + 9 * i), (0.08, 0.012, 1.5), np.full(3, 0.8))

    def raise_a_hill(self) -> None:
        """Far away, woods or rock."""
        rng = self._rng
        z = self._length * rng.uniform(0.8, 2.0)
        size = (z * rng.uniform(0.2, 0.8), z * rng.uniform(0.05, 0.3), z * 0.3)
        place = (rng.uniform(-1, 1) * z, -0.1 * size[1], z + size[2])
        self.add(
            place, size, self._leaves(), rounded=True, finish=TINTED, texture=self.texture(), repeats=rng.uniform(2, 9)
        )

    def build_a_house(self) -> None:
        """A block of windows, a plain shed or a painted wall next to the road, or in the far distance."""
        rng = self._rng
        w, d, h = rng.uniform(2, 12), rng.uniform(3, 14), np.exp(rng.uniform(np.log(1.5), np.log(22)))
        z = rng.uniform(0.05, 1.0) * self._length + d
        aside = self._road + w + np.exp(rng.uniform(np.log(1), np.log(0.4 * self._length)))
        x = aside * rng.choice([-1, 1])
        if rng.random() < 0.15:  # where the road bends
            x, z = rng.uniform(-1, 1) * self._road, self._length * rng.uniform(0.8, 1.1)
        colour = draw_colour(rng, 0.06, 0.75, 0.5)
        finish = (WINDOWS, TINTED, PAINTED, PICTURE)[rng.choice(4, p=(0.5, 0.25, 0.15, 0.1))]
        yaw, texture, repeats = rng.normal(0, 0.1), self.texture(), rng.uniform(2, 9)
        self.add((x, h, z), (w, h, d), colour, yaw=yaw, finish=finish, texture=texture, repeats=repeats)
        if rng.random() < 0.5:  # a roof
            roof = draw_colour(rng, 0.03, 0.35, 0.6)
            self.add((0, 2 * h + 0.3, 0), (w + 0.4, 0.3, d + 0.4), roof, yaw=yaw, around=(x, z))

    def plant_a_tree(self) -> None:
        """A trunk and some balls of leaves."""
        rng = self._rng
        x, z = self._beside(rng.uniform(0.3, 14)), self._away()
        h, leaves, texture = rng.uniform(1.5, 5), self._leaves(), self.texture()
        self.add((x, h / 2, z), (0.06 * h, h / 2, 0.06 * h), np.array([0.1, 0.07, 0.05]))
        for _ in range(rng.integers(1, 4)):
            size = h * rng.uniform(0.25, 0.6, 3)
            place = (x + rng.normal(0, 0.2) * h, h * rng.uniform(0.9, 1.5), z + rng.normal(0, 0.2) * h)
            half = (size[0], size[1], size[2])
            self.add(place, half, leaves, rounded=True, finish=TINTED, texture=texture, repeats=3)

    def park_a_car(self) -> None:
        """A body, a cabin and wheels, sometimes with lights on."""
        rng = self._rng
        x, z = rng.uniform(-0.8, 0.8) * self._road, 4 + self._away(0.5)
        paint, yaw = draw_colour(rng, 0.02, 0.8, 0.9), rng.normal(0, 0.1)
        h = rng.uniform(0.9, 2.8) if rng.random() < 0.2 else 0.38  # a lorry, or a car
        self.add((0, 0.35 + h, 0), (0.9, h, 2.1), paint, yaw=yaw, around=(x, z))
        self.add((0, 0.7 + 2 * h, -0.2), (0.75, 0.3, 1.1), np.full(3, 0.03), yaw=yaw, around=(x, z))
        for side in (-0.75, 0.75):
            self.add((side, 0.3, 0), (0.12, 0.3, 1.8), np.full(3, 0.02), yaw=yaw, around=(x, z))
            if rng.random() < 0.3:
                lamp = np.array([1.0, 0.9, 0.7]) if rng.random() < 0.5 else np.array([1.0, 0.1, 0.05])
                self.add((side, 0.6, -2.1), (0.12, 0.1, 0.05), lamp, yaw=yaw, around=(x, z), glow=4.0)

    def put_up_a_pole(self) -> None:
        """A lamp post, or a sign."""
        rng = self._rng
        x, z, h = self._beside(rng.uniform(0.2, 3)), self._away(0.6), rng.uniform(2, 9)
        self.add((x, h / 2, z), (0.07, h / 2, 0.07), draw_colour(rng, 0.03, 0.6, 0.2))
        if rng.random() < 0.5:
            half = (rng.uniform(0.3, 1.2), rng.uniform(0.2, 0.9), 0.04)
            self.add((x, h, z - 0.1), half, np.ones(3), finish=PICTURE, texture=self.texture())

    def place_a_person(self) -> None:
        """On the road or next to it."""
        x, z = self._beside(self._rng.uniform(-4, 4)), self._away(0.4)
        self.add_person(x, z, draw_colour(self._rng, 0.02, 0.8, 0.9))

    def add_a_stone(self) -> None:
        """So that no town is empty."""
        self.add((self._beside(1.0), 0.2, 8.0), (0.4, 0.3, 0.3), draw_colour(self._rng, 0.1, 0.5, 0.2), rounded=True)

    def _beside(self, distance: float) -> float:
        """x at a distance in metres from the road's edge, on either side."""
        return float((self._road + distance) * self._rng.choice([-1, 1]))

    def _away(self, share: float = 1.0) -> float:
        """z, nearer ones more often, as far as `share` of the road's length."""
        return float(np.exp(self._rng.uniform(math.log(4), np.log(share * self._length))))

    def _leaves(self) -> _Floats:
        rng = self._rng
        green: _Floats = rng.uniform(0.03, 0.3) * np.array([rng.uniform(0.4, 1.3), 1.0, rng.uniform(0.1, 0.6)])
        return green

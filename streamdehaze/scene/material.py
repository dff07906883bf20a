"""The street's surface materials, by name."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from streamdehaze.frame import FloatArray
from streamdehaze.scene.facade import BAY_METRES, STOREY_METRES, door_bay, shop_bay, window_bay
from streamdehaze.scene.geometry import FACADE, MATERIAL, PLAIN, Records
from streamdehaze.scene.texture import (
    ashlar,
    asphalt,
    bricks,
    build_pool,
    car_windows,
    clouds,
    foliage,
    plain,
    roof_tiles,
    slabs,
    stains,
    wheel,
)

WALLS = ("red brick", "yellow brick", "cream plaster", "gray plaster", "sandstone", "brown brick")
CROWNS = ("crown 1", "crown 2", "crown 3", "crown 4")


@dataclass
class Palette:
    """Textures and materials, made once per scene from its seed."""

    rng: np.random.Generator
    layers: list[FloatArray] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    """Row of `materials` for a name."""
    _rows: list[tuple[int, int, int, int, int, int, tuple[float, float], bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = self.rng
        self.asphalt = self._layer(asphalt(rng))
        self.grass = self._layer(plain(rng, (0.27, 0.31, 0.17), 0.22, 32))
        self.stains = self._layer(stains(rng))
        self.clouds = self._layer(clouds(rng))
        for name, picture in {
            "red brick": bricks(rng, (0.46, 0.24, 0.18)),
            "yellow brick": bricks(rng, (0.58, 0.47, 0.31)),
            "brown brick": bricks(rng, (0.34, 0.23, 0.18)),
            "cream plaster": plain(rng, (0.71, 0.66, 0.54), 0.045),
            "gray plaster": plain(rng, (0.54, 0.55, 0.54), 0.05),
            "sandstone": ashlar(rng, (0.58, 0.51, 0.40)),
        }.items():
            self._add_facade(name, picture)
        self._add("roof", roof_tiles(rng), (3.2, 3.2))
        self._add("stone", ashlar(rng, (0.62, 0.60, 0.56)), (2.4, 2.4))
        self._add("pavement", slabs(rng), (2.4, 2.4))
        self._add("bark", plain(rng, (0.25, 0.20, 0.15), 0.25, 24), (0.8, 0.8))
        self._add("hedge", plain(rng, (0.17, 0.25, 0.11), 0.35, 32), (1.6, 1.6))
        self._add("metal", plain(rng, (0.22, 0.24, 0.24), 0.06), (1.0, 1.0))
        self._add("rubber", plain(rng, (0.09, 0.09, 0.09), 0.1), (0.5, 0.5))
        self._add("paint", plain(rng, (1.0, 1.0, 1.0), 0.02), (2.0, 2.0), tinted=True)
        self._add("cloth", plain(rng, (1.0, 1.0, 1.0), 0.12), (0.6, 0.6), tinted=True)
        self._add("glass", plain(rng, (0.15, 0.18, 0.21), 0.12, 4), (2.0, 2.0))
        self._add("wheel", wheel(), (0.7, 0.7))
        self._add("car windows", car_windows(), (2.85, 0.53), tinted=True)
        for name in CROWNS:
            green = (0.24 + 0.08 * rng.random(), 0.33 + 0.05 * rng.random(), 0.13)
            self._add(name, foliage(rng, green), (1.0, 1.0))

    def _layer(self, picture: FloatArray) -> int:
        self.layers.append(picture)
        return len(self.layers) - 1

    def _add(self, name: str, picture: FloatArray, tile_metres: tuple[float, float], tinted: bool = False) -> None:
        self.names[name] = len(self._rows)
        self._rows.append((PLAIN, self._layer(picture), 1, 0, 1, 0, tile_metres, tinted))

    def _add_facade(self, name: str, wall: FloatArray) -> None:
        trim = ((0.80, 0.79, 0.74), (0.66, 0.63, 0.56), (0.36, 0.34, 0.31))[self.rng.integers(3)]
        blank = self._layer(wall)
        windows = [self._layer(window_bay(self.rng, wall, trim)) for _ in range(5)]
        ground = [self._layer(shop_bay(self.rng, wall)) for _ in range(3)]
        ground += [self._layer(door_bay(self.rng, wall, trim)), self._layer(window_bay(self.rng, wall, trim))]
        self.names[name] = len(self._rows)
        self._rows.append(
            (FACADE, windows[0], len(windows), ground[0], len(ground), blank, (BAY_METRES, STOREY_METRES), False)
        )

    def build(self) -> tuple[npt.NDArray[np.uint8], Records]:
        """The texture pool and the MATERIAL records."""
        materials = np.empty(len(self._rows), MATERIAL)
        for index, row in enumerate(self._rows):
            materials[index] = row
        return build_pool(self.layers), materials

"""Textures of façades: one bay wide and one storey high, a wall with a window, a door or a shop front in it."""

from __future__ import annotations

import numpy as np

from streamdehaze.frame import FloatArray
from streamdehaze.scene.texture import SIZE, value_noise

BAY_METRES = 3.0
"""Width of one bay."""
STOREY_METRES = 3.2
"""Height of one storey."""

Colour = tuple[float, float, float]

_DOORS: tuple[Colour, ...] = ((0.20, 0.12, 0.09), (0.10, 0.19, 0.14), (0.11, 0.14, 0.24))
_FASCIAS: tuple[Colour, ...] = ((0.16, 0.24, 0.20), (0.32, 0.12, 0.11), (0.14, 0.17, 0.27), (0.35, 0.29, 0.16))


def _scaled(rgb: Colour, factor: float) -> Colour:
    return rgb[0] * factor, rgb[1] * factor, rgb[2] * factor


def _fill(picture: FloatArray, left: float, right: float, top: float, bottom: float, rgb: Colour) -> None:
    """Paint a rectangle; edges in fractions of the tile, from its upper left corner."""
    x0, x1, y0, y1 = (round(v * SIZE) for v in (left, right, top, bottom))
    picture[y0:y1, x0:x1, :3] = rgb


def _shadow(picture: FloatArray, left: float, right: float, top: float, bottom: float, factor: float) -> None:
    x0, x1, y0, y1 = (round(v * SIZE) for v in (left, right, top, bottom))
    picture[y0:y1, x0:x1, :3] *= factor


def _glaze(rng: np.random.Generator, picture: FloatArray, left: float, right: float, top: float, bottom: float) -> None:
    """Window glass: a dark room, the sky's reflection growing upwards, perhaps a curtain or a blind."""
    x0, x1, y0, y1 = (round(v * SIZE) for v in (left, right, top, bottom))
    height, width = y1 - y0, x1 - x0
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.array([height, width], np.float32)[:, None, None]
    sky = (1 - y) ** 1.5 * rng.uniform(0.15, 0.42)
    cloud = 0.05 * value_noise(rng, 4, 3)[:height, :width]
    glass = np.array([0.10, 0.12, 0.14]) + (sky + cloud * (1 - y))[..., None] * np.array([0.85, 0.97, 1.08])
    furnishing = rng.random()
    if furnishing < 0.4:  # curtains drawn to the sides
        drawn = np.minimum(x, 1 - x) < rng.uniform(0.12, 0.3)
        folds = 0.75 + 0.12 * np.sin(x * rng.uniform(50, 80))
        glass[drawn] = (0.4 * glass + 0.6 * folds[..., None] * np.array([0.72, 0.68, 0.6]))[drawn]
    elif furnishing < 0.65:  # a blind let down part of the way
        down = y < rng.uniform(0.2, 0.7)
        slats = 0.62 + 0.08 * np.sign(np.sin(y * 90))
        glass[down] = (slats[..., None] * np.array([0.95, 0.92, 0.85]))[down]
    picture[y0:y1, x0:x1, :3] = np.clip(glass, 0, 1)


def window_bay(rng: np.random.Generator, wall: FloatArray, trim: Colour) -> FloatArray:
    """A storey's bay with one sash window, lintel and sill."""
    picture: FloatArray = wall.copy()
    left, right, top, bottom = 0.27, 0.73, 0.16, 0.74
    _shadow(picture, left - 0.02, right + 0.02, bottom + 0.03, bottom + 0.06, 0.62)
    _fill(picture, left - 0.045, right + 0.045, top - 0.07, top - 0.01, _scaled(trim, 0.93))
    _fill(picture, left - 0.02, right + 0.02, top - 0.01, bottom, trim)
    _fill(picture, left - 0.05, right + 0.05, bottom, bottom + 0.03, _scaled(trim, 1.05))
    _glaze(rng, picture, left + 0.01, right - 0.01, top + 0.015, bottom - 0.015)
    _shadow(picture, left + 0.01, right - 0.01, top + 0.015, top + 0.045, 0.55)
    _shadow(picture, left + 0.01, left + 0.03, top + 0.03, bottom - 0.015, 0.7)
    middle = (left + right) / 2
    _fill(picture, middle - 0.012, middle + 0.012, top, bottom, trim)
    _fill(picture, left, right, top + 0.2, top + 0.222, trim)
    np.clip(picture, 0, 1, out=picture)
    return picture


def door_bay(rng: np.random.Generator, wall: FloatArray, trim: Colour) -> FloatArray:
    """A ground-floor bay with a panelled door, a fanlight and steps."""
    picture: FloatArray = wall.copy()
    paint = _DOORS[int(rng.integers(len(_DOORS)))]
    _fill(picture, 0.28, 0.72, 0.18, 1.0, trim)
    _glaze(rng, picture, 0.33, 0.67, 0.21, 0.31)
    _fill(picture, 0.33, 0.67, 0.33, 0.96, paint)
    for top, bottom in ((0.38, 0.6), (0.66, 0.9)):
        for left in (0.37, 0.52):
            _shadow(picture, left, left + 0.11, top, bottom, 0.7)
            _shadow(picture, left + 0.01, left + 0.1, top + 0.015, bottom - 0.015, 1.25)
    _shadow(picture, 0.33, 0.67, 0.33, 0.36, 0.5)
    _fill(picture, 0.26, 0.74, 0.96, 1.0, (0.5, 0.49, 0.46))
    np.clip(picture, 0, 1, out=picture)
    return picture


def shop_bay(rng: np.random.Generator, wall: FloatArray) -> FloatArray:
    """A ground-floor bay with a shop window: fascia, goods behind glass, a stall riser."""
    picture: FloatArray = wall.copy()
    colour = _FASCIAS[int(rng.integers(len(_FASCIAS)))]
    _fill(picture, 0.0, 1.0, 0.05, 0.24, colour)
    _shadow(picture, 0.0, 1.0, 0.22, 0.26, 0.6)
    x = 0.12
    while x < 0.86:  # lettering, too small to read
        width = float(rng.uniform(0.02, 0.05))
        _fill(picture, x, x + width, 0.10, 0.18, (0.85, 0.82, 0.72))
        x += width + float(rng.uniform(0.012, 0.03))
    _fill(picture, 0.04, 0.96, 0.26, 0.98, _scaled(colour, 0.8))
    _glaze(rng, picture, 0.08, 0.92, 0.29, 0.82)
    for _ in range(26):
        left, height = float(rng.uniform(0.1, 0.86)), float(rng.uniform(0.03, 0.14))
        goods = rng.uniform(0.12, 0.7, 3)
        width = float(rng.uniform(0.02, 0.06))
        _fill(picture, left, left + width, 0.81 - height, 0.81, (float(goods[0]), float(goods[1]), float(goods[2])))
    _shadow(picture, 0.08, 0.92, 0.29, 0.34, 0.5)
    _fill(picture, 0.49, 0.51, 0.27, 0.83, colour)
    np.clip(picture, 0, 1, out=picture)
    return picture

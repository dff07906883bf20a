"""Procedural surface textures: tileable pictures of asphalt, brick, façades and foliage, as mip pyramids."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from streamdehaze.frame import FloatArray

SIZE = 256
"""Texels along each side of every texture."""

LEVEL_START = tuple(int(sum(4**k for k in range(8, 8 - level, -1))) for level in range(10))
"""First texel of each mip level in a texture, finest level first; the last entry is the total length."""


def build_pool(layers: list[FloatArray]) -> npt.NDArray[np.uint8]:
    """(layers, texels, 4): (SIZE, SIZE, 4) RGBA textures in [0, 1], upper edge first, with their mip levels.

    Rows run from the lower edge up, and each level is a box filter of the one before.
    """
    pool = np.empty((len(layers), LEVEL_START[-1], 4), np.uint8)
    for index, layer in enumerate(layers):
        level = np.flipud(layer)
        for start, stop in itertools.pairwise(LEVEL_START):
            pool[index, start:stop] = np.clip(level.reshape(-1, 4) * 255 + 0.5, 0, 255)
            half = level.shape[0] // 2
            if half:
                level = level.reshape(half, 2, half, 2, 4).mean(axis=(1, 3))
    return pool


def value_noise(rng: np.random.Generator, cells: int, octaves: int = 4, fall: float = 0.55) -> FloatArray:
    """Tileable fractal value noise (SIZE, SIZE) around 0 with a standard deviation near 1."""
    total = np.zeros((SIZE, SIZE), np.float32)
    weight = 1.0
    for _ in range(octaves):
        if cells > SIZE:
            break
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        position = np.arange(SIZE, dtype=np.float32) * (cells / SIZE)
        low = position.astype(np.int64)
        fraction = position - low
        fraction = fraction * fraction * (3 - 2 * fraction)
        high = (low + 1) % cells
        rows = grid[low] * (1 - fraction)[:, None] + grid[high] * fraction[:, None]
        total += weight * (rows[:, low] * (1 - fraction) + rows[:, high] * fraction)
        weight *= fall
        cells *= 2
    total /= total.std()
    return total


def _rgba(rgb: npt.ArrayLike, shade: FloatArray | float = 1.0) -> FloatArray:
    """A colour (3,) or picture (SIZE, SIZE, 3) times a shade (SIZE, SIZE), opaque."""
    picture = np.ones((SIZE, SIZE, 4), np.float32)
    picture[..., :3] = np.asarray(rgb, np.float32) * np.asarray(shade, np.float32)[..., None]
    np.clip(picture, 0, 1, out=picture)
    return picture


def asphalt(rng: np.random.Generator) -> FloatArray:
    """Worn road surface with grit."""
    grit = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    stones = (rng.random((SIZE, SIZE)) > 0.985) * 0.35
    shade = 1 + 0.09 * grit + 0.07 * value_noise(rng, 8, 5) + stones
    return _rgba((0.33, 0.33, 0.34), shade)


def stains(rng: np.random.Generator) -> FloatArray:
    """Large-scale brightness variation laid over every surface; 0.5 is neutral."""
    return _rgba((0.5, 0.5, 0.5), 1 + 0.16 * value_noise(rng, 3, 6, 0.6))


def slabs(rng: np.random.Generator) -> FloatArray:
    """Pavement of square concrete slabs, four by four per tile."""
    side = SIZE // 4
    shade = np.kron(1 + 0.06 * rng.standard_normal((4, 4)), np.ones((side, side))).astype(np.float32)
    shade += 0.05 * value_noise(rng, 16, 4) + 0.03 * rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    joint = np.arange(SIZE) % side < 2
    shade[joint] *= 0.62
    shade[:, joint] *= 0.62
    return _rgba((0.53, 0.52, 0.49), shade)


def plain(rng: np.random.Generator, rgb: tuple[float, float, float], grain: float, cells: int = 8) -> FloatArray:
    """One colour with fractal grain: plaster, bark, cloth, grass, paint."""
    return _rgba(rgb, 1 + grain * value_noise(rng, cells, 5, 0.75))


def bricks(rng: np.random.Generator, rgb: tuple[float, float, float]) -> FloatArray:
    """Running-bond brickwork, 12 bricks by 40 courses per tile, with mortar and brick-to-brick variation."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    course = np.floor(y * 40).astype(int)
    along = x * 12 + 0.5 * (course % 2)
    brick = np.floor(along).astype(int) % 12
    tone = (1 + 0.14 * rng.standard_normal((40, 12))).astype(np.float32)[course, brick]
    warm = (0.05 * rng.standard_normal((40, 12))).astype(np.float32)[course, brick]
    mortar = ((along % 1) < 0.07) | ((y * 40 % 1) < 0.2)
    picture = np.asarray(rgb, np.float32) * tone[..., None]
    picture[..., 0] += warm
    picture[mortar] = (0.60, 0.57, 0.52)
    return _rgba(picture, 1 + 0.06 * value_noise(rng, 8, 5, 0.7))


def ashlar(rng: np.random.Generator, rgb: tuple[float, float, float]) -> FloatArray:
    """Dressed stone blocks, 4 by 8 per tile."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    course = np.floor(y * 8).astype(int)
    along = x * 4 + 0.5 * (course % 2)
    tone = (1 + 0.06 * rng.standard_normal((8, 4))).astype(np.float32)[course, np.floor(along).astype(int) % 4]
    joint = ((along % 1) < 0.02) | ((y * 8 % 1) < 0.045)
    return _rgba(rgb, np.where(joint, 0.72, tone) * (1 + 0.05 * value_noise(rng, 8, 6, 0.7)))


def roof_tiles(rng: np.random.Generator) -> FloatArray:
    """Overlapping clay tiles, 16 by 16."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) * (16 / SIZE)
    tone = (1 + 0.12 * rng.standard_normal((16, 16))).astype(np.float32)[y.astype(int), x.astype(int)]
    return _rgba((0.46, 0.27, 0.21), tone * (0.72 + 0.4 * (y % 1)) * (0.85 + 0.2 * np.sin(np.pi * (x % 1))))


def foliage(rng: np.random.Generator, rgb: tuple[float, float, float]) -> FloatArray:
    """A tree's crown: a few thousand leaves in clumps, lit from above, with transparent gaps (alpha)."""
    import cv2

    picture = np.zeros((SIZE, SIZE, 4), np.float32)
    picture[..., :3] = np.asarray(rgb, np.float32) * 0.6  # under the gaps, so that mip levels do not darken
    clumps = rng.uniform((-0.28, -0.25), (0.28, 0.25), (22, 2))
    radii = rng.uniform(0.08, 0.19, 22)
    order = np.argsort(-clumps[:, 1])  # lower clumps first: the upper ones lie over them
    for depth, clump in enumerate(order):
        for _ in range(150):
            angle, radius = rng.uniform(0, 2 * np.pi), radii[clump] * np.sqrt(rng.random())
            dx, dy = radius * np.cos(angle), radius * np.sin(angle)
            x, y = (clumps[clump, 0] + dx + 0.5) * SIZE, (clumps[clump, 1] + dy + 0.5) * SIZE
            light = 0.72 - 1.9 * dy + 0.35 * depth / 22 + 0.16 * rng.standard_normal()
            tint = np.asarray(rgb) * max(light, 0.25) * (1 + np.array([0.12, 0.0, -0.08]) * rng.standard_normal())
            axes = (int(rng.integers(2, 5)), int(rng.integers(1, 4)))
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(picture, (int(x), int(y)), axes, turn, 0, 360, (*tint.tolist(), 1.0), -1)
    np.clip(picture, 0, 1, out=picture)
    return picture


def wheel() -> FloatArray:
    """A tyre with a five-spoke rim, one wheel per tile."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + 0.5) / SIZE * 2 - 1
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    spoke = (np.cos(5 * angle) > 0.1) | (radius < 0.2) | (radius > 0.6)
    shade = np.where(radius > 0.7, 0.1, np.where(spoke, 0.62, 0.15))
    return _rgba((1, 1, 1), shade.astype(np.float32))


def car_windows() -> FloatArray:
    """The cabin's side: dark glass between white pillars, which the paint's colour tints."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + 0.5) / SIZE
    # How far inside a pillar or the roof's edge, with a slope of one texel: from close up, hard edges would be steps.
    inside = np.maximum(0.02 - np.abs(x - 0.48), 0.018 - np.abs(x - 0.2 - 0.1 * (1 - y)))
    pillar = np.clip(np.maximum(inside, 0.14 - y) * SIZE + 0.5, 0, 1)[..., None]
    glass = np.stack([0.12 + 0.16 * (1 - y), 0.14 + 0.17 * (1 - y), 0.17 + 0.18 * (1 - y)], axis=-1)
    return _rgba(glass + pillar * (1 - glass))


def clouds(rng: np.random.Generator) -> FloatArray:
    """Overcast sky; 0.5 is the mean cloud."""
    return _rgba((0.5, 0.5, 0.5), 1 + 0.11 * value_noise(rng, 3, 6, 0.5))

"""What engines are verified and timed on: hazy pictures drawn from a seed, or a photo."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from streamdehaze.errors import SourceError
from streamdehaze.frame import FloatArray


def hazy_pictures(batch: int, height: int, width: int, seed: int = 7) -> FloatArray:
    """A batch of hazy street-like pictures, (B, 3, H, W) RGB in [0, 1]; the same on every machine for a seed.

    They have what makes a network's arithmetic hard: texture at every scale, sharp edges, flat sky, dark and bright
    ends. Haze is laid over them by ``I = J·t + A·(1 − t)``.
    """
    random = np.random.default_rng(seed)
    return np.stack([_draw(random, height, width) for _ in range(batch)])


def read_hazy(photo: Path, height: int, width: int) -> FloatArray:
    """A photo as an engine sees it, (3, H, W) RGB in [0, 1]; its shape is not kept.

    Raises:
        SourceError: if it is missing or not a picture.
    """
    pixels = cv2.imread(str(photo)) if photo.is_file() else None
    if pixels is None:
        raise SourceError(f"'{photo}' is missing or not a picture")
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)[:, :, ::-1]
    picture: FloatArray = np.ascontiguousarray(small.transpose(2, 0, 1), np.float32) / np.float32(255)
    return picture


def _texture(random: np.random.Generator, height: int, width: int, channels: int) -> FloatArray:
    # Octaves of noise whose amplitude falls with frequency, as in photographs.
    total = np.zeros((height, width, channels), np.float32)
    cells = 2
    while cells < 2 * min(height, width):
        noise = random.standard_normal((cells, cells, channels)).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).reshape(total.shape) / cells**0.35
        cells *= 2
    return total


def _draw(random: np.random.Generator, height: int, width: int) -> FloatArray:
    y = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    horizon = float(random.uniform(0.25, 0.45))
    depth = np.broadcast_to(np.where(y < horizon, 1.0, horizon / np.maximum(y, 1e-3)), (height, width)).astype(
        np.float32
    )
    clear = np.where(y[..., None] < horizon, np.float32(0.85), np.float32(0.35)) * np.ones((1, width, 3), np.float32)
    for distance in np.sort(random.uniform(0.3, 0.95, 14))[::-1]:  # far houses first
        tall, wide = (int(max(2, side * random.uniform(0.06, 0.16) / distance)) for side in (height, width))
        foot = int(height * min(1.0, horizon / distance + 0.05))
        left = int(random.integers(-wide // 2, width))
        house = np.s_[max(0, foot - tall) : foot, max(0, left) : max(0, left + wide)]
        clear[house] = random.uniform(0.05, 0.8) + random.uniform(-0.1, 0.1, 3)
        depth[house] = distance
    clear = np.clip(clear + 0.12 * _texture(random, height, width, 1), 0, 1)
    transmission = np.exp(-random.uniform(0.5, 1.4) * depth)[..., None]
    airlight = random.uniform(0.75, 0.95)
    hazy = clear * transmission + airlight * (1 - transmission)
    return np.ascontiguousarray(hazy.transpose(2, 0, 1), np.float32).clip(0, 1)

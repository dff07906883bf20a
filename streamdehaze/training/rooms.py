"""Rooms to learn indoor haze from: furnished boxes with exact depth, rendered from a seed.

Photos with guessed depth teach a network what haze does to texture, but not that a wall, a ceiling or a table top is
one plane whose haze changes smoothly. These rooms do, in the tones of a photo taken under lamps: white walls, dark
furniture, blown-out windows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.errors import SourceError
from streamdehaze.training.furniture import furnish, paint_walls, place_lights
from streamdehaze.training.picture import RELATIVE_DEPTH_SCALE, read_picture
from streamdehaze.training.roomcaster import trace_room

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

TEXTURE_SIZE = 128
"""Pixels a side of a texture."""


def render_room(seed: int, textures: Bytes, height: int = 240, width: int = 320) -> tuple[Bytes, Floats]:
    """Furnish a room, photograph it and measure it.

    Args:
        seed: decides everything.
        textures: (N, 128, 128, 3) RGB crops of photos; they become paintings, carpets and the grain of surfaces.
        height, width: of the picture, in pixels.

    Returns:
        The picture, (height, width, 3) RGB, and its depth, (height, width), relative to its farthest point.
    """
    rng = np.random.default_rng(seed)
    room = np.array(
        [rng.uniform(1.5, 3.5), rng.uniform(2.3, 3.2), rng.uniform(1.8, 5.0)]
    )  # half width, height, half length
    walls = paint_walls(rng, len(textures))
    furniture = furnish(rng, room, walls[5, :3], len(textures))
    lights = place_lights(rng, room)
    away = rng.uniform(0.55, 0.97)
    eye = np.array([rng.uniform(-0.8, 0.8) * room[0], rng.uniform(1.1, 1.9), -away * room[2]])
    yaw, pitch = rng.normal(0, 0.45) - 0.4 * eye[0] / room[0], rng.normal(-0.12, 0.14)
    focal = width / 2 / math.tan(math.radians(rng.uniform(52, 78)) / 2)
    light, depth = trace_room(height, width, focal, eye, yaw, pitch, room, walls, furniture, lights, textures)
    # Exposed as a camera would: the middle tones decide, windows and lamps blow out.
    exposure = np.exp(rng.uniform(-2.2, -0.6)) / np.percentile(light.mean(axis=2), rng.uniform(50, 75))
    tone = 1 / rng.uniform(1.7, 2.4)
    picture = np.clip(light * exposure, 0, 1) ** tone
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    picture = picture * (1 - rng.uniform(0, 0.15) * (x**2 + y**2))[..., None]
    return (picture * 255 + 0.5).astype(np.uint8), (depth / depth.max()).astype(np.float32)


def write_rooms(folder: Path, pictures: Sequence[Path], *, count: int, seed: int = 0) -> Iterator[Path]:
    """Render rooms into a folder as NAME.png and NAME.depth.png, ready to be trained on; each when it is asked for.

    Args:
        folder: made if it is missing; rooms that are there already are kept.
        pictures: photos whose crops become textures; up to 300 of them are used.
        count: how many rooms.
        seed: of the first room; room i is rendered from seed + i.

    Raises:
        SourceError: if there are no photos, or naming one that is damaged.
    """
    if not pictures:
        raise SourceError("rooms need photos for their textures")
    rng = np.random.default_rng(seed)
    chosen = [pictures[i] for i in sorted(rng.permutation(len(pictures))[:300])]
    textures = np.stack([_texture(read_picture(path)) for path in chosen])
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(seed, seed + count):
        path, depth_path = folder / f"room-{number:05d}.png", folder / f"room-{number:05d}.depth.png"
        if not path.is_file():
            picture, depth = render_room(number, textures)
            # The picture last: where it is, its depth is whole.
            cv2.imwrite(str(depth_path), np.round(depth / RELATIVE_DEPTH_SCALE).astype(np.uint8))
            partial = path.with_suffix(".part.png")
            cv2.imwrite(str(partial), picture[..., ::-1])
            os.replace(partial, path)
        yield path


def _texture(picture: Bytes) -> Bytes:
    side = min(picture.shape[:2])
    square = picture[:side, :side]
    return np.asarray(cv2.resize(square, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_AREA), np.uint8)

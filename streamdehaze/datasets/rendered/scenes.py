"""Rooms and towns to learn haze from: scenes with exact depth, rendered from a seed.

Photos with guessed depth teach a network what haze does to texture, but not that a wall, a ceiling or a table top is
one plane whose haze changes smoothly, nor that a foggy sky is nothing to be cleared. Rooms do the first, in the tones
of a photo taken under lamps: white walls, dark furniture, blown-out windows. Towns do the second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.picture import RELATIVE_DEPTH_SCALE, SKY_DEPTH, read_picture
from streamdehaze.datasets.rendered.furniture import furnish, paint_walls, place_lights
from streamdehaze.datasets.rendered.town import EXTENT, build_town, draw_daylight, draw_ground_and_sky
from streamdehaze.durable import make_folder, write_output
from streamdehaze.scene.geometry import CANDIDATE, Records, View

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
_Doubles = npt.NDArray[np.float64]

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
    view = _look(width, height, rng.uniform(52, 78), eye, yaw, pitch)
    light, depth = _trace(view, room, walls, furniture, lights, textures)
    return _photograph(light, rng), (depth / depth.max()).astype(np.float32)


def render_town(seed: int, textures: Bytes, height: int = 240, width: int = 320) -> tuple[Bytes, Floats]:
    """Build a town, photograph it from a road, a mast or a drone and measure it; arguments and result as `render_room`.

    The depth of the sky is `picture.SKY_DEPTH`.
    """
    rng = np.random.default_rng(seed)
    walls = draw_ground_and_sky(rng, len(textures))
    things, lights = build_town(rng, len(textures)), draw_daylight(rng)
    eye = np.array([rng.uniform(-5, 5), np.exp(rng.uniform(np.log(1.3), np.log(18))), 0.0])
    yaw, pitch = rng.normal(0, 0.25), rng.normal(-0.02, 0.06) - 0.012 * eye[1]
    view = _look(width, height, rng.uniform(35, 75), eye, yaw, pitch)
    light, depth = _trace(view, EXTENT, walls, things, lights, textures)
    sky = depth == 0
    # The last bit of ground before the horizon is as far as one likes: the far end is where things stand.
    farthest = np.percentile(depth[~sky], 97)
    relative = np.minimum(depth / farthest, SKY_DEPTH - 0.05)
    return _photograph(light, rng), np.where(sky, SKY_DEPTH, relative).astype(np.float32)


def _look(width: int, height: int, degrees: float, eye: _Doubles, yaw: float, pitch: float) -> View:
    """A camera of a field of view in degrees that looks along +z, turned right by `yaw` and up by `pitch` radians."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    rotation = np.array([[cy, -sy * sp, sy * cp], [0.0, cp, sp], [-sy, -cy * sp, cy * cp]])
    focal = width / 2 / math.tan(math.radians(degrees) / 2)
    no_tiles = np.zeros(1, np.int64), np.zeros(0, CANDIDATE)  # a room has few things
    return View(eye, rotation, focal, width, height, *no_tiles)


def _trace(
    view: View,
    room: _Doubles,
    walls: _Doubles,
    things: tuple[Records, Records],
    lights: _Doubles,
    textures: Bytes,
) -> tuple[_Doubles, _Doubles]:
    from streamdehaze.scene.raycast import trace_room

    light, depth = np.empty((view.height, view.width, 3)), np.empty((view.height, view.width))
    trace_room(view, room, walls, *things, lights, textures, light, depth)
    return light, depth


def _photograph(light: _Doubles, rng: np.random.Generator) -> Bytes:
    """Linear light as a camera shows it: the middle tones decide the exposure, what is much brighter blows out."""
    height, width = light.shape[:2]
    exposure = np.exp(rng.uniform(-2.2, -0.6)) / np.percentile(light.mean(axis=2), rng.uniform(50, 75))
    tone = 1 / rng.uniform(1.7, 2.4)
    picture = np.clip(light * exposure, 0, 1) ** tone
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    picture = picture * (1 - rng.uniform(0, 0.15) * (x**2 + y**2))[..., None]
    pixels: Bytes = (picture * 255 + 0.5).astype(np.uint8)
    return pixels


SceneKind = Literal["room", "town"]
RENDER: dict[SceneKind, Callable[[int, Bytes], tuple[Bytes, Floats]]] = {"room": render_room, "town": render_town}


def write_rendered(
    kind: SceneKind, folder: Path, pictures: Sequence[Path], *, count: int, seed: int = 0
) -> Iterator[Path]:
    """Render scenes into a folder as NAME.png and NAME.depth.png, ready to be trained on; each when it is asked for.

    Args:
        kind: of scene.
        folder: made if it is missing; scenes that are there already are kept.
        pictures: photos whose crops become textures; up to 300 of them are used. Without any, textures are drawn.
        count: how many scenes.
        seed: of the first scene; scene i is rendered from seed + i.

    Raises:
        SourceError: naming a photo that is damaged.
        SinkError: if the folder or a file in it cannot be written.
    """
    rng = np.random.default_rng(seed)
    chosen = [pictures[i] for i in sorted(rng.permutation(len(pictures))[:300])]
    textures = np.stack([_texture(read_picture(path)) for path in chosen] or _drawn_textures())
    make_folder(folder)
    for number in range(seed, seed + count):
        path, depth_path = folder / f"{kind}-{number:05d}.png", folder / f"{kind}-{number:05d}.depth.png"
        if not path.is_file():
            picture, depth = RENDER[kind](number, textures)
            # The picture last: where it is, its depth is whole.
            _write_png(depth_path, np.round(depth / RELATIVE_DEPTH_SCALE).astype(np.uint8))
            _write_png(path, picture[..., ::-1])
        yield path


def _write_png(path: Path, picture: Bytes) -> None:
    _, content = cv2.imencode(".png", picture)
    write_output(path, content.tobytes())


def _drawn_textures() -> list[Bytes]:
    """Noise, from fine grain to broad spots; the same each time."""
    rng = np.random.default_rng(0)
    blurred = (
        cv2.GaussianBlur(rng.random((TEXTURE_SIZE, TEXTURE_SIZE, 3)), (0, 0), rng.uniform(0.5, 6)) for _ in range(24)
    )
    return [np.asarray(cv2.normalize(each, np.empty(0), 0, 255, cv2.NORM_MINMAX), np.uint8) for each in blurred]


def _texture(picture: Bytes) -> Bytes:
    side = min(picture.shape[:2])
    square = picture[:side, :side]
    return np.asarray(cv2.resize(square, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_AREA), np.uint8)

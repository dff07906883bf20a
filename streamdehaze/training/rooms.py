"""Rooms to learn indoor haze from: furnished boxes with exact depth, rendered from a seed.

Photos with guessed depth teach a network what haze does to texture, but not that a wall, a ceiling or a table top is
one plane whose haze changes smoothly. These rooms do, in the tones of a photo taken under lamps: white walls, dark
furniture, blown-out windows.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from numba import njit

from streamdehaze.errors import SourceError
from streamdehaze.training.picture import RELATIVE_DEPTH_SCALE, read_picture

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

TEXTURE_SIZE = 128
"""Pixels a side of a texture."""
_PLAIN, _TINTED, _PICTURE, _BOOKS = 0.0, 1.0, 2.0, 3.0


@dataclass
class _Furniture:
    """What stands in a room, a row a block.

    A row is centre (3), half size (3), cosine and sine of its yaw, roundness, colour (3), glow, finish, texture and
    its repeats.
    """

    rows: list[list[float]] = field(default_factory=list)

    def add(
        self,
        centre: tuple[float, float, float],
        half: tuple[float, float, float],
        colour: npt.NDArray[np.float64],
        *,
        yaw: float = 0.0,
        around: tuple[float, float] | None = None,
        round_: bool = False,
        glow: float = 0.0,
        finish: float = _PLAIN,
        texture: int = 0,
        repeats: float = 1.0,
    ) -> None:
        """Add a box or an ellipsoid; with `around`, (x, z), its centre is relative to it and turns with `yaw`."""
        x, y, z = centre
        if around is not None:
            c, s = math.cos(yaw), math.sin(yaw)
            x, z = around[0] + c * x + s * z, around[1] - s * x + c * z
        self.rows.append(
            [x, y, z, *half, math.cos(yaw), math.sin(yaw), float(round_), *colour, glow, finish, texture, repeats]
        )


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
    walls = _walls(rng, len(textures))
    furniture = _furnish(rng, room, len(textures))
    lights = _lights(rng, room)
    away = rng.uniform(0.55, 0.97)
    eye = np.array([rng.uniform(-0.8, 0.8) * room[0], rng.uniform(1.1, 1.9), -away * room[2]])
    yaw, pitch = rng.normal(0, 0.45) - 0.4 * eye[0] / room[0], rng.normal(-0.12, 0.14)
    focal = width / 2 / math.tan(math.radians(rng.uniform(52, 78)) / 2)
    light, depth = _trace(
        height, width, focal, eye, yaw, pitch, room, walls, np.array(furniture.rows), lights, textures
    )
    # Exposed as a camera would: the middle tones decide, windows and lamps blow out.
    exposure = rng.uniform(0.35, 0.6) / np.percentile(light.mean(axis=2), rng.uniform(50, 75))
    tone = 1 / rng.uniform(1.7, 2.4)
    picture = np.clip(light * exposure, 0, 1) ** tone
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    picture = picture * (1 - rng.uniform(0, 0.15) * (x**2 + y**2))[..., None]
    return (picture * 255 + 0.5).astype(np.uint8), (depth / depth.max()).astype(np.float32)


def _colour(rng: np.random.Generator, low: float, high: float, saturation: float) -> npt.NDArray[np.float64]:
    """A reflectance (3,) of the given brightness and at most the given saturation."""
    hue = rng.uniform(0, 1, 3)
    hue = hue / hue.max()
    colour: npt.NDArray[np.float64] = rng.uniform(low, high) * (1 - rng.uniform(0, saturation) * (1 - hue))
    return colour


def _walls(rng: np.random.Generator, textures: int) -> npt.NDArray[np.float64]:
    """(6, 6) of left, right, floor, ceiling, back, front: colour (3), finish, texture, repeats a metre."""
    wall = _colour(rng, 0.35, 0.9, 0.3) if rng.random() < 0.8 else _colour(rng, 0.1, 0.6, 0.9)
    accent = _colour(rng, 0.2, 0.85, 0.8) if rng.random() < 0.3 else wall
    floor = _colour(rng, 0.04, 0.4, 0.4) * (np.array([1, 0.7, 0.45]) if rng.random() < 0.6 else 1.0)
    ceiling = _colour(rng, 0.65, 0.92, 0.15)
    rows = []
    for colour, roughness in ((wall, 0.3), (wall, 0.3), (floor, 0.8), (ceiling, 0.1), (accent, 0.3), (wall, 0.3)):
        finish = _TINTED if rng.random() < roughness else _PLAIN
        rows.append([*colour, finish, rng.integers(textures), rng.uniform(0.3, 1.5)])
    return np.array(rows)


def _lights(rng: np.random.Generator, room: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 6) position and colour of one to three lamps or windows, and how much light is everywhere in the last row."""
    rows = []
    for _ in range(rng.integers(1, 4)):
        warm = np.array([1.0, rng.uniform(0.75, 1.0), rng.uniform(0.5, 1.0)])
        place = rng.uniform(-0.85, 0.85, 2) * room[[0, 2]]
        rows.append([place[0], rng.uniform(0.55, 0.97) * room[1], place[1], *(warm * rng.uniform(1, 4))])
    ambient = rng.uniform(0.08, 0.35) * np.array([rng.uniform(0.85, 1), 1.0, rng.uniform(0.9, 1.15)])
    rows.append([0, 0, 0, *ambient])
    return np.array(rows)


def _furnish(rng: np.random.Generator, room: npt.NDArray[np.float64], textures: int) -> _Furniture:
    things = _Furniture()
    hx, height, hz = room

    def texture() -> int:
        return int(rng.integers(textures))

    def wood() -> npt.NDArray[np.float64]:
        tone = np.array([1.0, rng.uniform(0.5, 0.9), rng.uniform(0.25, 0.8)])
        return np.exp(rng.uniform(-5, -0.9)) * tone if rng.random() < 0.7 else _colour(rng, 0.02, 0.9, 0.5)

    def clutter(x: float, y: float, z: float, spread: float, count: int) -> None:
        for _ in range(count):
            size = rng.uniform(0.03, 0.16, 3)
            dx, dz = rng.uniform(-spread, spread, 2)
            things.add(
                (x + dx, y + size[1], z + dz),
                (size[0], size[1], size[2]),
                _colour(rng, 0.02, 0.95, 1.0),
                yaw=rng.uniform(0, 3.1),
                round_=rng.random() < 0.3,
                finish=_PICTURE if rng.random() < 0.4 else _PLAIN,
                texture=texture(),
            )

    for _ in range(rng.integers(2, 8)):  # paintings, windows and doors on the walls
        along, side = rng.uniform(-0.85, 0.85), rng.integers(3)
        w, h = rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.6)
        y = rng.uniform(1.2, 1.8)
        kind, glow = rng.random(), 0.0
        if kind < 0.3:
            w, h, glow = rng.uniform(0.4, 1.1), rng.uniform(0.4, 0.9), rng.uniform(0.5, 3.0)
        elif kind < 0.45:
            w, h, y = 0.45, 1.0, 1.0
        centre = ((along * hx, y, hz), (-hx, y, along * hz), (hx, y, along * hz))[side]
        half = (w, h, 0.03) if side == 0 else (0.03, h, w)
        frame = (w + 0.05, h + 0.05, 0.02) if side == 0 else (0.02, h + 0.05, w + 0.05)
        things.add(centre, frame, wood())
        things.add(
            centre,
            half,
            np.ones(3) if glow else _colour(rng, 0.05, 0.95, 0.8),
            glow=glow,
            finish=_PLAIN if 0.3 <= kind < 0.45 or (glow and rng.random() < 0.6) else _PICTURE,
            texture=texture(),
        )
    for _ in range(rng.integers(1, 4)):  # tables with chairs and what lies on them
        x, z = rng.uniform(-0.75, 0.75) * hx, rng.uniform(-0.6, 0.85) * hz
        yaw, w, d, h = rng.uniform(0, 3.1), rng.uniform(0.3, 1.1), rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.8)
        colour = wood() if rng.random() < 0.65 else _colour(rng, 0.6, 0.95, 0.2)
        finish = _TINTED if rng.random() < 0.5 else _PLAIN
        things.add((0, h, 0), (w, 0.025, d), colour, yaw=yaw, around=(x, z), finish=finish, texture=texture())
        for lx in (-1, 1):
            for lz in (-1, 1):
                leg = (lx * (w - 0.06), h / 2, lz * (d - 0.06))
                things.add(leg, (0.03, h / 2, 0.03), colour, yaw=yaw, around=(x, z))
        clutter(x, h + 0.02, z, min(w, d) * 0.8, int(rng.integers(0, 6)))
        cloth = wood() if rng.random() < 0.6 else _colour(rng, 0.02, 0.8, 1.0)
        for _ in range(rng.integers(0, 5)):
            cx, cz, turn = rng.uniform(-1.3, 1.3) * w, rng.choice([-1, 1]) * (d + 0.25), yaw + rng.normal(0, 0.3)
            px, pz = x + math.cos(yaw) * cx + math.sin(yaw) * cz, z - math.sin(yaw) * cx + math.cos(yaw) * cz
            things.add((0, 0.45, 0), (0.22, 0.03, 0.22), cloth, yaw=turn, around=(px, pz))
            back = (0, 0.72, 0.2 * np.sign(cz))
            things.add(back, (0.22, 0.26, 0.02), cloth, yaw=turn, around=(px, pz))
            for lx in (-1, 1):
                for lz in (-1, 1):
                    things.add((0.18 * lx, 0.22, 0.18 * lz), (0.018, 0.22, 0.018), cloth, yaw=turn, around=(px, pz))
    for _ in range(rng.integers(1, 6)):  # cupboards, sofas, shelves, beds: along the walls or in the way
        w, h, d = rng.uniform(0.25, 1.1), rng.uniform(0.2, 1.05), rng.uniform(0.2, 0.5)
        side = rng.integers(4)
        x, z = rng.uniform(-0.9, 0.9) * hx, rng.uniform(-0.5, 0.95) * hz
        yaw = 0.0
        if side == 0:
            z = hz - d
        elif side == 1:
            x, yaw = hx - d, math.pi / 2
        elif side == 2:
            x, yaw = -hx + d, math.pi / 2
        finish = (_PLAIN, _TINTED, _BOOKS, _PICTURE)[rng.choice(4, p=(0.45, 0.25, 0.2, 0.1))]
        colour = wood() if rng.random() < 0.6 else _colour(rng, 0.05, 0.9, 0.9)
        things.add(
            (x, h, z), (w, h, d), colour, yaw=yaw, finish=finish, texture=texture(), repeats=rng.uniform(0.5, 1.5)
        )
        if rng.random() < 0.3 and finish != _BOOKS:
            things.add((0, h * 1.5, d * 0.8), (w, h, 0.1), colour, yaw=yaw, around=(x, z))  # the back of a sofa
        clutter(x, 2 * h, z, min(w, d) * 0.8, int(rng.integers(0, 4)))
    if rng.random() < 0.5:  # a carpet
        place = (rng.uniform(-0.5, 0.5) * hx, 0.005, rng.uniform(-0.5, 0.7) * hz)
        size = (rng.uniform(0.5, 1.5), 0.006, rng.uniform(0.4, 1.2))
        things.add(
            place, size, _colour(rng, 0.1, 0.9, 0.8), yaw=rng.uniform(0, 3.1), finish=_PICTURE, texture=texture()
        )
    for _ in range(rng.integers(0, 3)):  # lamps, and people made of two ellipsoids
        x, z = rng.uniform(-0.8, 0.8) * hx, rng.uniform(-0.4, 0.9) * hz
        if rng.random() < 0.7:
            lamp = rng.uniform(0.08, 0.2)
            things.add(
                (x, height - rng.uniform(0.1, 0.8), z), (lamp, lamp * 0.7, lamp), np.ones(3), round_=True, glow=4.0
            )
        else:
            things.add((x, 0.8, z), (0.25, 0.85, 0.2), _colour(rng, 0.03, 0.8, 0.9), round_=True)
            things.add((x, 1.7, z), (0.11, 0.14, 0.12), np.array([0.55, 0.38, 0.28]), round_=True)
    return things


@njit(cache=True, nogil=True, fastmath=True)
def _meet(block, ox, oy, oz, dx, dy, dz):
    """(distance, face 0–2 or 3 for round) of a block along a ray, or (1e9, -1)."""
    c, s = block[6], block[7]
    ox, oy, oz = ox - block[0], oy - block[1], oz - block[2]
    ox, oz = c * ox - s * oz, s * ox + c * oz
    dx, dz = c * dx - s * dz, s * dx + c * dz
    if block[8] > 0.5:
        ax, ay, az = dx / block[3], dy / block[4], dz / block[5]
        bx, by, bz = ox / block[3], oy / block[4], oz / block[5]
        a, b = ax * ax + ay * ay + az * az, ax * bx + ay * by + az * bz
        root = b * b - a * (bx * bx + by * by + bz * bz - 1)
        if root <= 0:
            return 1e9, -1
        t = (-b - math.sqrt(root)) / a
        return (t, 3) if t > 1e-3 else (1e9, -1)
    enter, leave, face = 1e-3, 1e9, -1
    for axis in range(3):
        o, d = (ox, dx) if axis == 0 else ((oy, dy) if axis == 1 else (oz, dz))
        if abs(d) < 1e-9:
            d = 1e-9
        first, second = (-block[3 + axis] - o) / d, (block[3 + axis] - o) / d
        if first > second:
            first, second = second, first
        if first > enter:
            enter, face = first, axis
        leave = min(leave, second)
        if enter >= leave:
            return 1e9, -1
    return (enter, face) if face >= 0 else (1e9, -1)


@njit(cache=True, nogil=True, fastmath=True)
def _paint(textures, finish, texture, u, v, r, g, b):
    """Colour of a surface of the given finish at (u, v), in repeats of its texture."""
    size = textures.shape[1]
    if finish == 3.0:  # books: coloured spines between dark boards
        shelf, spine = math.floor(v * 4), math.floor(u * 22)
        if v * 4 - shelf < 0.12:
            return r * 0.5, g * 0.5, b * 0.5
        dice = math.sin(spine * 12.9898 + shelf * 78.233 + texture) * 43758.5453
        column, row = int((dice - math.floor(dice)) * size), int((dice * 7 - math.floor(dice * 7)) * size)
    else:
        column, row = int((u - math.floor(u)) * size) % size, int((v - math.floor(v)) * size) % size
    texel = textures[int(texture), row, column]
    if finish == 1.0:  # the grain alone
        grain = 0.6 + 0.8 * (0.3 * texel[0] + 0.6 * texel[1] + 0.1 * texel[2]) / 255
        return r * grain, g * grain, b * grain
    return (texel[0] / 255) ** 2.2, (texel[1] / 255) ** 2.2, (texel[2] / 255) ** 2.2


@njit(cache=True, nogil=True, fastmath=True)
def _trace(height, width, focal, eye, yaw, pitch, room, walls, blocks, lights, textures):
    """Light (H, W, 3), linear, and depth (H, W) in metres along the optical axis."""
    light = np.zeros((height, width, 3))
    depth = np.zeros((height, width))
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    for row in range(height):
        for column in range(width):
            px, py = (column + 0.5 - width / 2) / focal, -(row + 0.5 - height / 2) / focal
            y, z = cp * py + sp, cp - sp * py
            dx, dy, dz = cy * px + sy * z, y, cy * z - sy * px
            nearest, hit, face = 1e9, -1, 0
            for k in range(len(blocks)):
                t, f = _meet(blocks[k], eye[0], eye[1], eye[2], dx, dy, dz)
                if t < nearest:
                    nearest, hit, face = t, k, f
            side = -1  # the wall this ray leaves the room through
            for axis in range(3):
                d = dx if axis == 0 else (dy if axis == 1 else dz)
                if abs(d) < 1e-9:
                    continue
                low = 0.0 if axis == 1 else -room[axis]
                t = ((room[axis] if d > 0 else low) - eye[axis]) / d
                if 0 < t < nearest:
                    nearest, hit, side = t, -1, 2 * axis + (1 if d > 0 else 0)
            x, y, z = eye[0] + nearest * dx, eye[1] + nearest * dy, eye[2] + nearest * dz
            depth[row, column] = nearest
            glow, nx, ny, nz = 0.0, 0.0, 0.0, 0.0
            if hit < 0:
                wall = walls[side]
                sign = -1.0 if side % 2 else 1.0
                nx, ny, nz = (sign, 0.0, 0.0) if side < 2 else ((0.0, sign, 0.0) if side < 4 else (0.0, 0.0, sign))
                u, v = (z, y) if side < 2 else ((x, z) if side < 4 else (x, y))
                r, g, b, finish = wall[0], wall[1], wall[2], wall[3]
                if finish > 0:
                    r, g, b = _paint(textures, finish, wall[4], u * wall[5], -v * wall[5], r, g, b)
            else:
                block = blocks[hit]
                c, s = block[6], block[7]
                lx, ly, lz = x - block[0], y - block[1], z - block[2]
                lx, lz = (c * lx - s * lz) / block[3], (s * lx + c * lz) / block[5]
                ly /= block[4]
                if face == 3:
                    nx, ny, nz = lx / block[3], ly / block[4], lz / block[5]
                    length = math.sqrt(nx * nx + ny * ny + nz * nz)
                    nx, ny, nz = nx / length, ny / length, nz / length
                else:
                    value = lx if face == 0 else (ly if face == 1 else lz)
                    sign = 1.0 if value > 0 else -1.0
                    nx, ny, nz = (
                        (sign if face == 0 else 0.0),
                        (sign if face == 1 else 0.0),
                        (sign if face == 2 else 0.0),
                    )
                nx, nz = c * nx + s * nz, -s * nx + c * nz
                u, v = (lz, -ly) if face == 0 else ((lx, -lz) if face == 1 else (lx, -ly))
                r, g, b, glow, finish = block[9], block[10], block[11], block[12], block[13]
                if finish > 0:
                    r, g, b = _paint(
                        textures, finish, block[14], (u + 1) / 2 * block[15], (v + 1) / 2 * block[15], r, g, b
                    )
            last = len(lights) - 1
            # Corners and the floor under things get less of the light that is everywhere.
            corner = min(room[0] - abs(x), room[2] - abs(z)) + 0.02
            shade = (0.55 + 0.45 * min(1.0, max(corner, 0.0) / 0.8)) * (0.6 + 0.4 * min(1.0, (y + 0.1) / 0.9))
            er, eg, eb = lights[last, 3] * shade, lights[last, 4] * shade, lights[last, 5] * shade
            for k in range(last):
                tx, ty, tz = lights[k, 0] - x, lights[k, 1] - y, lights[k, 2] - z
                distance = math.sqrt(tx * tx + ty * ty + tz * tz) + 1e-6
                slope = (nx * tx + ny * ty + nz * tz) / distance
                if slope <= 0:
                    continue
                power = slope / (distance * distance + 1.0)
                ox, oy, oz = x + nx * 0.01, y + ny * 0.01, z + nz * 0.01
                for other in range(len(blocks)):
                    if blocks[other, 12] > 0:
                        continue
                    t, _ = _meet(blocks[other], ox, oy, oz, tx / distance, ty / distance, tz / distance)
                    if t < distance:
                        power *= 0.25  # what bounces off the walls still reaches it
                        break
                er, eg, eb = er + power * lights[k, 3], eg + power * lights[k, 4], eb + power * lights[k, 5]
            light[row, column, 0] = r * (er + glow)
            light[row, column, 1] = g * (eg + glow)
            light[row, column, 2] = b * (eb + glow)
    return light, depth


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

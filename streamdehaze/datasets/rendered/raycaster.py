"""Casts a ray through every pixel of a furnished room, or of a town under its sky; compiled by numba.

All compiled functions live in this file because numba's on-disk cache notices changes of a function's own file only.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math

import numpy as np
from numba import njit

PLAIN, TINTED, PICTURE, BOOKS, BLINDS, WINDOWS, SKY = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0
"""Finishes of a surface: one colour, the grain of a texture, a texture's own colours, rows of spines, slats, dark panes
in a wall; and, for walls only, the sky, which shines by itself and is infinitely far."""
SKY_DISTANCE = 1e9
"""Metres that stand for infinitely many."""


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
    if finish == BLINDS:
        slat = 0.5 if v - math.floor(v) < 0.4 else 1.0
        return r * slat, g * slat, b * slat
    if finish == WINDOWS:
        if u - math.floor(u) < 0.5 and v * 2 - math.floor(v * 2) < 0.55:
            return 0.04 + 0.1 * r, 0.05 + 0.1 * g, 0.06 + 0.1 * b
        return r, g, b
    if finish == BOOKS:  # coloured spines between dark boards
        shelf, spine = math.floor(v * 4), math.floor(u * 22)
        if v * 4 - shelf < 0.12:
            return r * 0.5, g * 0.5, b * 0.5
        dice = math.sin(spine * 12.9898 + shelf * 78.233 + texture) * 43758.5453
        column, row = int((dice - math.floor(dice)) * size), int((dice * 7 - math.floor(dice * 7)) * size)
    else:
        column, row = int((u - math.floor(u)) * size) % size, int((v - math.floor(v)) * size) % size
    texel = textures[int(texture), row, column]
    if finish == TINTED:
        grain = 0.6 + 0.8 * (0.3 * texel[0] + 0.6 * texel[1] + 0.1 * texel[2]) / 255
        return r * grain, g * grain, b * grain
    return (texel[0] / 255) ** 2.2, (texel[1] / 255) ** 2.2, (texel[2] / 255) ** 2.2


@njit(cache=True, nogil=True, fastmath=True)
def trace_scene(height, width, focal, eye, yaw, pitch, room, walls, blocks, lights, textures):
    """Light (H, W, 3), linear, and depth (H, W) in metres along the optical axis, `SKY_DISTANCE` in the sky."""
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
            if hit < 0 and walls[side, 3] == SKY:
                depth[row, column] = SKY_DISTANCE
                haze = math.exp(-6 * max(dy, 0.0) / math.sqrt(dx * dx + dy * dy + dz * dz))  # white at the horizon
                brightest = max(walls[side, 0], walls[side, 1], walls[side, 2])
                for k in range(3):
                    light[row, column, k] = walls[side, k] + haze * (brightest - walls[side, k])
                continue
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

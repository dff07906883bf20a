"""The ray caster, compiled by numba: colour, distance, optical flow and occlusion of every pixel.

All compiled functions live in this one file because numba's on-disk cache only notices changes in a function's own
file. Four rays per pixel give a street's colour (two inside a face, where the textures are filtered); one through its
centre gives distance and flow; one from the next camera towards the moved point tells whether it is visible there. In a
room, one ray per pixel and one to each lamp are enough.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import numba
import numpy as np

from streamdehaze.scene.geometry import (
    BLINDS,
    BOARD,
    BOOKS,
    CANDIDATE,
    CONVEX,
    CYLINDER_X,
    CYLINDER_Y,
    ELLIPSOID,
    FACADE,
    PAINTED,
    SKY,
    TINTED,
    WINDOWS,
)  # fmt: skip
from streamdehaze.scene.texture import LEVEL_START, SIZE

TILE = 8
"""Pixels a side of a screen tile, the unit of culling."""

SKY_METRES = 2000.0
"""Distance given to the sky; nothing is further away."""

SHADOW_REACH_METRES = 3.0
"""No shadow is longer than twice this."""

_MISS, _GROUND = -1, -2
_CANDIDATE = numba.from_dtype(CANDIDATE)
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
_inlined = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True, inline="always")
_LEVELS = int(math.log2(SIZE))
_START = LEVEL_START


def _forget_earlier_versions() -> None:
    """Remove what numba cached before an update: an index that names a class that is gone crashes the program."""
    here = Path(__file__).parent
    facts = [file.stat() for file in here.glob("*.py")]
    updated = max(max(each.st_mtime, each.st_ctime) for each in facts)  # an installer may keep the older date
    for index in (here / "__pycache__").glob("raycast.*.nbi"):
        with contextlib.suppress(OSError):
            if index.stat().st_mtime < updated:
                index.unlink()


_forget_earlier_versions()


@_compiled
def _texel(pool, layer, level, u, v, channel):
    side = SIZE >> level
    x, y = u * side - 0.5, v * side - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    mask = side - 1
    left, right = int(x0) & mask, (int(x0) + 1) & mask
    low, high = int(y0) & mask, (int(y0) + 1) & mask
    base = _START[level]
    lower = pool[layer, base + low * side + left, channel] * (1 - fx)
    lower += pool[layer, base + low * side + right, channel] * fx
    upper = pool[layer, base + high * side + left, channel] * (1 - fx)
    upper += pool[layer, base + high * side + right, channel] * fx
    return (lower * (1 - fy) + upper * fy) / 255.0


@_compiled
def _bilinear(pool, layer, level, u, v):
    side = SIZE >> level
    x, y = u * side - 0.5, v * side - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = (x - x0) / 255.0, y - y0
    gx = 1 / 255.0 - fx
    mask = side - 1
    low = _START[level] + (int(y0) & mask) * side
    high = _START[level] + ((int(y0) + 1) & mask) * side
    left, right = int(x0) & mask, (int(x0) + 1) & mask
    a, b, c, d = gx * (1 - fy), fx * (1 - fy), gx * fy, fx * fy
    p, q = pool[layer, low + left], pool[layer, low + right]
    r, s = pool[layer, high + left], pool[layer, high + right]
    return (
        a * p[0] + b * q[0] + c * r[0] + d * s[0],
        a * p[1] + b * q[1] + c * r[1] + d * s[1],
        a * p[2] + b * q[2] + c * r[2] + d * s[2],
    )


@_compiled
def _sample(pool, layer, u, v, tiles_a_pixel):
    """Trilinear RGB; u and v in tiles."""
    u -= math.floor(u)
    v -= math.floor(v)
    level = min(max(math.log2(max(tiles_a_pixel * SIZE, 1e-6)), 0.0), float(_LEVELS))
    fine = int(level)
    w = level - fine
    r, g, b = _bilinear(pool, layer, fine, u, v)
    if w > 0.02:
        x, y, z = _bilinear(pool, layer, min(fine + 1, _LEVELS), u, v)
        r, g, b = r + w * (x - r), g + w * (y - g), b + w * (z - b)
    return r, g, b


@_compiled
def _gray(pool, layer, u, v, tiles_a_pixel):
    level = min(max(math.log2(max(tiles_a_pixel * SIZE, 1e-6)), 0.0), float(_LEVELS))
    return _texel(pool, layer, int(level), u - math.floor(u), v - math.floor(v), 0)


@_inlined
def _meet(shape, planes, pool, ox, oy, oz, dx, dy, dz, nearest, spread):
    """(distance, face) where a ray meets a shape before `nearest`, or (nearest, -1)."""
    ox, oy, oz = ox - shape.centre[0], oy - shape.centre[1], oz - shape.centre[2]
    c, s = shape.turn[0], shape.turn[1]
    if s != 0:
        ox, oz, dx, dz = c * ox - s * oz, s * ox + c * oz, c * dx - s * dz, s * dx + c * dz
    kind = shape.kind
    if kind == CONVEX:
        enter, leave, face = 1e-4, nearest, -1
        for p in range(shape.first_plane, shape.last_plane):
            plane = planes[p]
            nx, ny, nz = plane.normal[0], plane.normal[1], plane.normal[2]
            slope = nx * dx + ny * dy + nz * dz
            gap = plane.distance - (nx * ox + ny * oy + nz * oz)
            if slope < 0:
                t = gap / slope
                if t > enter:
                    enter, face = t, p
            elif slope > 0:
                leave = min(leave, gap / slope)
            elif gap < 0:
                return nearest, -1
            if enter >= leave:
                return nearest, -1
        if face >= 0:
            return enter, face
        return nearest, -1
    hx, hy, hz = shape.half[0], shape.half[1], shape.half[2]
    if kind == BOARD:
        if dz == 0:
            return nearest, -1
        t = -oz / dz
        x, y = ox + t * dx, oy + t * dy
        if t <= 1e-4 or t >= nearest or abs(x) >= hx or abs(y) >= hy:
            return nearest, -1
        u, v = (x / hx + 1) / 2, (y / hy + 1) / 2
        level = min(max(math.log2(max(t * spread / (2 * hx) * SIZE, 1e-6)), 0.0), 5.0)
        if _texel(pool, shape.layer, int(level), u, v, 3) < 0.5:
            return nearest, -1
        return t, 0
    # Quadrics: scaled to the unit sphere, or to the unit circle across the cylinder's axis.
    ax, ay, az = dx / hx, dy / hy, dz / hz
    bx, by, bz = ox / hx, oy / hy, oz / hz
    if kind == ELLIPSOID:
        a = ax * ax + ay * ay + az * az
        b = ax * bx + ay * by + az * bz
        c = bx * bx + by * by + bz * bz - 1
        along, start = 0.0, 0.0
    elif kind == CYLINDER_X:
        a, b, c = ay * ay + az * az, ay * by + az * bz, by * by + bz * bz - 1
        along, start = ax, bx
    else:
        a, b, c = ax * ax + az * az, ax * bx + az * bz, bx * bx + bz * bz - 1
        along, start = ay, by
    root = b * b - a * c
    if root <= 0 or a == 0:
        return nearest, -1
    t = (-b - math.sqrt(root)) / a
    if kind == ELLIPSOID or abs(start + t * along) <= 1:
        if 1e-4 < t < nearest:
            return t, 0
        return nearest, -1
    if along == 0:
        return nearest, -1
    t = (-math.copysign(1.0, along) - start) / along  # the cap that faces the ray
    if 1e-4 < t < nearest and a * t * t + 2 * b * t + c <= 0:
        return t, 1
    return nearest, -1


@_inlined
def _cast(view, tile, shapes, planes, pool, dx, dy, dz, spread):
    """(distance, shape, face) of the nearest thing along a unit direction; without one, shape is _GROUND or _MISS."""
    ox, oy, oz = view.position[0], view.position[1], view.position[2]
    nearest, hit, face = SKY_METRES, _MISS, -1
    if dy < 0 and -oy / dy < nearest:
        nearest, hit = -oy / dy, _GROUND
    for i in range(view.tile_start[tile], view.tile_start[tile + 1]):
        candidate = view.candidates[i]
        if candidate.near >= nearest:
            break
        t, f = _meet(shapes[candidate.shape], planes, pool, ox, oy, oz, dx, dy, dz, nearest, spread)
        if f >= 0:
            nearest, hit, face = t, candidate.shape, f
    return nearest, hit, face


@_compiled
def _line(distance, half_width, blur):
    """Coverage of a painted line `distance` from its middle, anti-aliased over `blur` metres."""
    return min(max((half_width - abs(distance)) / blur + 0.5, 0.0), min(1.0, 2 * half_width / blur))


@_compiled
def _sky(ground, pool, dx, dy, dz):
    hill = 0.012 + 0.05 * _gray(pool, ground.clouds, math.atan2(dx, dz) * 0.7, 0.3, 0.004)
    if dy < hill:
        shade = 0.9 + 0.4 * (_gray(pool, ground.stains, math.atan2(dx, dz) * 3, dy * 6, 0.01) - 0.5)
        return 0.36 * shade, 0.43 * shade, 0.42 * shade
    lift = 1 / (dy + 0.22)
    cloud = _gray(pool, ground.clouds, dx * lift * 0.35, dz * lift * 0.35, 0.004 * lift) - 0.5
    high = min(dy * 1.7, 1.0)
    light = 1 + 0.9 * cloud * (0.4 + high)
    return (0.83 - 0.20 * high) * light, (0.85 - 0.13 * high) * light, (0.87 - 0.04 * high) * light


@_compiled
def _road(ground, pool, x, z, footprint, down):
    """Ground colour at (x, z); `footprint` is a pixel's width there, `down` the sine of the viewing angle."""
    tile = footprint / math.sqrt(max(down, 0.02))
    stain = _gray(pool, ground.stains, x / 9.0, z / 9.0, tile / 9.0)
    if abs(x) >= ground.half_width:
        r, g, b = _sample(pool, ground.grass, x / 3.0, z / 3.0, tile / 3.0)
    else:
        r, g, b = _sample(pool, ground.asphalt, x / 2.5, z / 2.5, tile / 2.5)
        track = 0.06 * math.cos((abs(x) - 1.75) * 3.6) * (1.0 if abs(x) < 3.5 else 0.0)  # polished wheel tracks
        r, g, b = r * (1 + track), g * (1 + track), b * (1 + track)
        side, length = max(footprint, 1e-3), max(footprint / max(down, 0.02), 1e-3)
        paint = _line(x, 0.07, side) * _line(z % 9.0 - 4.5, 2.0, length)
        paint = max(paint, _line(abs(x) - 3.55, 0.05, side))
        for k in range(ground.crossings.shape[0]):
            zebra = _line(z - ground.crossings[k], 1.7, length)
            if zebra > 0:
                stripes = _line((x + 50.25) % 1.0 - 0.5, 0.25, side)
                paint = max(paint, zebra * stripes) if abs(x) < ground.half_width - 0.3 else paint * (1 - zebra)
        wear = _gray(pool, ground.stains, x / 1.3, z / 1.3, tile / 1.3)
        paint *= min(max(0.35 + 2.6 * (wear - 0.30), 0.25), 0.92)
        r, g, b = r + paint * (0.80 - r), g + paint * (0.79 - g), b + paint * (0.74 - b)
        cover = math.hypot(x - 0.9, (z + 7.0) % 27.0 - 13.5)
        if cover < 0.36:
            iron = 0.55 if cover < 0.32 else 0.35
            r, g, b = r * iron, g * iron, b * iron
    light = 0.55 + 0.9 * stain
    shadows = ground.shadows
    first, last = 0, shadows.shape[0]
    while first < last:  # the first shadow that reaches z
        middle = (first + last) // 2
        if shadows[middle, 1] < z - SHADOW_REACH_METRES:
            first = middle + 1
        else:
            last = middle
    for k in range(first, shadows.shape[0]):
        if shadows[k, 1] > z + SHADOW_REACH_METRES:
            break
        out = max(abs(x - shadows[k, 0]) - shadows[k, 2], abs(z - shadows[k, 1]) - shadows[k, 3])
        if out < 0.6:
            light *= 1 - shadows[k, 4] * min(1.0, (0.6 - out) / 0.7)
    return r * light, g * light, b * light


@_compiled
def _normal(shape, planes, face, x, y, z):
    """Outward unit normal at a point given from the shape's centre."""
    kind = shape.kind
    if kind == CONVEX:
        plane = planes[face]
        return plane.normal[0], plane.normal[1], plane.normal[2]
    if kind == BOARD:
        return 0.0, 0.45, -0.89
    nx, ny, nz = x / shape.half[0] ** 2, y / shape.half[1] ** 2, z / shape.half[2] ** 2
    if kind == CYLINDER_X:
        nx, ny, nz = (math.copysign(1.0, x), 0.0, 0.0) if face == 1 else (0.0, ny, nz)
    elif kind == CYLINDER_Y:
        nx, ny, nz = (0.0, math.copysign(1.0, y), 0.0) if face == 1 else (nx, 0.0, nz)
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length


@_compiled
def _surface(stains, shape, planes, materials, pool, face, x, y, z, dx, dy, dz, t, spread):
    """Colour of a shape at world point (x, y, z) seen from t metres away."""
    kind = shape.kind
    lx, ly, lz = x - shape.centre[0], y - shape.centre[1], z - shape.centre[2]
    hx, hy, hz = shape.half[0], shape.half[1], shape.half[2]
    nx, ny, nz = _normal(shape, planes, face, lx, ly, lz)
    material = materials[planes[face].material if kind == CONVEX else shape.material]
    footprint = t * spread / math.sqrt(max(abs(nx * dx + ny * dy + nz * dz), 0.03))
    if kind == BOARD:
        u, v, footprint = (lx / hx + 1) / 2, (ly / hy + 1) / 2, t * spread / (2 * hx)
    elif kind == CYLINDER_X and face == 1:
        u, v, footprint = (lz / hz + 1) / 2, (ly / hy + 1) / 2, footprint / (2 * hy)
    else:
        across, up = lx + hx, ly + hy
        if abs(nx) >= abs(ny) and abs(nx) >= abs(nz):
            across = lz + hz
        elif abs(ny) > abs(nz):
            up = lz + hz
        u, v = across / material.tile[0], up / material.tile[1]
        footprint /= material.tile[0]
    layer = material.layer
    if material.kind == FACADE:
        bay, storey = math.floor(u), math.floor(v)
        house = int(8 * (shape.centre[2] + 100)) + int(shape.centre[0] > 0)
        dice = (int(bay) * 7919 + int(storey) * 104729 + house * 1299709 + int(nx > 0) * 31) % 1000003
        dice = (dice * 48271) % 2147483647 >> 7
        if storey >= shape.storeys:
            layer = material.wall_layer
        elif storey == 0:
            layer = material.ground_layer + dice % material.ground_count
        else:
            layer += dice % material.count
    r, g, b = _sample(pool, layer, u, v, footprint)
    if material.tinted:
        r, g, b = r * shape.tint[0], g * shape.tint[1], b * shape.tint[2]
    # An overcast sky: light from above, a little more from one side, less in the corners near the ground.
    light = 0.84 + 0.16 * ny + 0.12 * (0.55 * nx - 0.83 * nz)
    if kind != BOARD:
        light *= 0.66 + 0.34 * min(1.0, max(y, 0.0) / 1.6) if ny < 0.5 else 1.0
        light *= 0.7 + 0.6 * _gray(pool, stains, (lx + lz) / 7.0, ly / 7.0, footprint / 3.0)
    return r * light, g * light, b * light


@_compiled
def _ray(view, px, py):
    """Unit world direction through image position (px, py)."""
    x, y = (px - view.width / 2) / view.focal, -(py - view.height / 2) / view.focal
    m = view.rotation
    dx, dy, dz = (
        m[0, 0] * x + m[0, 1] * y + m[0, 2],
        m[1, 0] * x + m[1, 1] * y + m[1, 2],
        m[2, 0] * x + m[2, 1] * y + m[2, 2],
    )
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    return dx / length, dy / length, dz / length


@_compiled
def _project(view, x, y, z):
    """(image x, image y, forward distance) of a direction or of a point given from the camera."""
    m = view.rotation
    forward = m[0, 2] * x + m[1, 2] * y + m[2, 2] * z
    if forward <= 1e-6:
        return 0.0, 0.0, forward
    right = m[0, 0] * x + m[1, 0] * y + m[2, 0] * z
    up = m[0, 1] * x + m[1, 1] * y + m[2, 1] * z
    return view.width / 2 + view.focal * right / forward, view.height / 2 - view.focal * up / forward, forward


@_compiled
def _tile_of(view, px, py):
    return int(py) // TILE * ((view.width + TILE - 1) // TILE) + int(px) // TILE


@_compiled
def cull(ranges, order, near, columns, rows):
    """Which shapes may be visible in which screen tile, as (tile_start, candidates) of a `View`.

    `ranges` is (N, 4): first column, first row, column and row past the last; `order` is the N shapes, nearest
    first; `near` their distances.
    """
    start = np.zeros(columns * rows + 1, np.int64)
    for s in order:
        for row in range(ranges[s, 1], ranges[s, 3]):
            for column in range(ranges[s, 0], ranges[s, 2]):
                start[row * columns + column + 1] += 1
    start = np.cumsum(start)
    cursor = start[:-1].copy()
    candidates = np.empty(start[-1], _CANDIDATE)
    for s in order:
        for row in range(ranges[s, 1], ranges[s, 3]):
            for column in range(ranges[s, 0], ranges[s, 2]):
                at = cursor[row * columns + column]
                candidates[at].shape, candidates[at].near = s, near[s]
                cursor[row * columns + column] += 1
    return start, candidates


@_compiled
def _truth(view, following, shapes, following_shapes, planes, pool, spread, depth, flow, occluded, seen):
    """Distance, flow, occlusion, and in `seen` (H, W, 2) the shape and face, of every pixel's centre."""
    for row in range(view.height):
        for column in range(view.width):
            dx, dy, dz = _ray(view, column + 0.5, row + 0.5)
            t, s, face = _cast(view, _tile_of(view, column, row), shapes, planes, pool, dx, dy, dz, spread)
            depth[row, column] = t
            seen[row, column, 0], seen[row, column, 1] = s, face
            if s != _MISS:
                dx = view.position[0] + t * dx - following.position[0]
                dy = view.position[1] + t * dy - following.position[1]
                dz = view.position[2] + t * dz - following.position[2]
                if s >= 0:
                    step = shapes[s].step
                    dx, dy, dz = dx + step[0], dy + step[1], dz + step[2]
            px, py, forward = _project(following, dx, dy, dz)
            flow[row, column, 0], flow[row, column, 1] = px - column - 0.5, py - row - 0.5
            occluded[row, column] = True
            if forward > 0.05 and 0 <= px < view.width and 0 <= py < view.height:
                away = math.sqrt(dx * dx + dy * dy + dz * dz)
                goal = _tile_of(view, px, py)
                dx, dy, dz = dx / away, dy / away, dz / away
                t, other, _ = _cast(following, goal, following_shapes, planes, pool, dx, dy, dz, spread)
                same = s == other and (s == _MISS or abs(t - away) < 0.01 + 0.002 * away)
                occluded[row, column] = not same


@_compiled
def _inside(seen, shapes, row, column):
    """Whether a pixel and its eight neighbours see one face of one solid thing."""
    s, face = seen[row, column]
    if s >= 0 and shapes[s].kind == BOARD:
        return False
    for y in range(max(row - 1, 0), min(row + 2, seen.shape[0])):
        for x in range(max(column - 1, 0), min(column + 2, seen.shape[1])):
            if seen[y, x, 0] != s or seen[y, x, 1] != face:
                return False
    return True


@_compiled
def _colour(view, shapes, planes, ground, materials, pool, spread, seen, rgb):
    """The mean colour of four rays in every pixel; inside a face two are enough, and what they meet is known."""
    ox, oy, oz = view.position[0], view.position[1], view.position[2]
    for row in range(view.height):
        for column in range(view.width):
            tile = _tile_of(view, column, row)
            inside = _inside(seen, shapes, row, column)
            r, g, b = 0.0, 0.0, 0.0
            for corner in range(0, 4, 3 if inside else 1):
                dx, dy, dz = _ray(view, column + 0.25 + 0.5 * (corner & 1), row + 0.25 + 0.5 * (corner >> 1))
                s, face, t = seen[row, column, 0], seen[row, column, 1], SKY_METRES
                if inside and s == _GROUND and dy < 0:
                    t = -oy / dy
                elif inside and s >= 0:
                    t, _ = _meet(shapes[s], planes, pool, ox, oy, oz, dx, dy, dz, t, spread)
                if t >= SKY_METRES and not (inside and s == _MISS):
                    t, s, face = _cast(view, tile, shapes, planes, pool, dx, dy, dz, spread)
                x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
                if s == _MISS:
                    colour = _sky(ground, pool, dx, dy, dz)
                elif s == _GROUND:
                    colour = _road(ground, pool, x, z, t * spread, -dy)
                else:
                    stains = ground.stains
                    colour = _surface(stains, shapes[s], planes, materials, pool, face, x, y, z, dx, dy, dz, t, spread)
                r, g, b = r + colour[0], g + colour[1], b + colour[2]
            weight = 0.5 if inside else 0.25
            rgb[row, column, 0] = min(max(r * weight, 0.0), 1.0)
            rgb[row, column, 1] = min(max(g * weight, 0.0), 1.0)
            rgb[row, column, 2] = min(max(b * weight, 0.0), 1.0)


@_compiled
def trace(view, following, shapes, following_shapes, planes, ground, materials, pool, rgb, depth, flow, occluded):
    """Fill rgb (H, W, 3), depth (H, W), flow (H, W, 2), occluded (H, W) of `view`; `following` is the next one."""
    spread = 0.7 / view.focal
    seen = np.empty((view.height, view.width, 2), np.int32)
    _truth(view, following, shapes, following_shapes, planes, pool, spread, depth, flow, occluded, seen)
    _colour(view, shapes, planes, ground, materials, pool, spread, seen, rgb)


@_compiled
def _finish(textures, finish, layer, u, v, r, g, b):
    """Colour of a surface at (u, v), in repeats of its texture, of (N, side, side, 3) textures."""
    side = textures.shape[1]
    if finish == PAINTED:
        return r, g, b
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
        dice = math.sin(spine * 12.9898 + shelf * 78.233 + layer) * 43758.5453
        column, row = int((dice - math.floor(dice)) * side), int((dice * 7 - math.floor(dice * 7)) * side)
    else:
        column, row = int((u - math.floor(u)) * side) % side, int((v - math.floor(v)) * side) % side
    texel = textures[int(layer), row, column]
    if finish == TINTED:
        grain = 0.6 + 0.8 * (0.3 * texel[0] + 0.6 * texel[1] + 0.1 * texel[2]) / 255
        return r * grain, g * grain, b * grain
    return (texel[0] / 255) ** 2.2, (texel[1] / 255) ** 2.2, (texel[2] / 255) ** 2.2


@_inlined
def _walls(room, x, y, z, dx, dy, dz):
    """(distance, wall) where a ray from inside a room leaves it; walls are left, right, floor, ceiling, back, front."""
    nearest, wall = SKY_METRES * 1e3, 0
    for axis in range(3):
        o, d = (x, dx) if axis == 0 else ((y, dy) if axis == 1 else (z, dz))
        low = 0.0 if axis == 1 else -room[axis]
        if abs(d) > 1e-9:
            t = ((room[axis] if d > 0 else low) - o) / d
            if 0 < t < nearest:
                nearest, wall = t, 2 * axis + (1 if d > 0 else 0)
    return nearest, wall


@_compiled
def _lamps(lights, room, shapes, planes, pool, x, y, z, nx, ny, nz):
    """Light that reaches (x, y, z): that of the last row, which is ambient, and of each lamp that is not hidden."""
    last = len(lights) - 1
    # Corners and the floor under things get less ambient light.
    corner = min(room[0] - abs(x), room[2] - abs(z)) + 0.02
    shade = (0.55 + 0.45 * min(1.0, max(corner, 0.0) / 0.8)) * (0.6 + 0.4 * min(1.0, (y + 0.1) / 0.9))
    r, g, b = lights[last, 3] * shade, lights[last, 4] * shade, lights[last, 5] * shade
    ox, oy, oz = x + nx * 0.01, y + ny * 0.01, z + nz * 0.01
    for k in range(last):
        tx, ty, tz = lights[k, 0] - x, lights[k, 1] - y, lights[k, 2] - z
        distance = math.sqrt(tx * tx + ty * ty + tz * tz) + 1e-6
        tx, ty, tz = tx / distance, ty / distance, tz / distance
        power = max(nx * tx + ny * ty + nz * tz, 0.0) / (distance * distance + 1.0)
        for i in range(len(shapes) if power > 0 else 0):
            if shapes[i].glow > 0:
                continue
            _, face = _meet(shapes[i], planes, pool, ox, oy, oz, tx, ty, tz, distance, 0.0)
            if face >= 0:
                power *= 0.25  # what bounces off the walls still reaches it
                break
        r, g, b = r + power * lights[k, 3], g + power * lights[k, 4], b + power * lights[k, 5]
    return r, g, b


@_compiled
def trace_room(view, room, walls, shapes, planes, lights, textures, light, depth):
    """Fill light (H, W, 3), linear, and depth (H, W) in metres along the optical axis, 0 in the sky.

    `room` is its half width, height and half length; `walls` are (6, 6) of left, right, floor, ceiling, back, front:
    colour (3), finish, texture, repeats per metre; `lights` are (N, 6) of place and colour, the last one ambient;
    `textures` are (N, side, side, 3).
    """
    ox, oy, oz = view.position[0], view.position[1], view.position[2]
    pool = textures.reshape(len(textures), -1, 3)  # for boards, which no room has
    for row in range(view.height):
        for column in range(view.width):
            dx, dy, dz = _ray(view, column + 0.5, row + 0.5)
            t, wall = _walls(room, ox, oy, oz, dx, dy, dz)
            hit, face = _MISS, -1
            for k in range(len(shapes)):
                t, f = _meet(shapes[k], planes, pool, ox, oy, oz, dx, dy, dz, t, 0.0)
                if f >= 0:
                    hit, face = k, f
            x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
            m = view.rotation
            depth[row, column] = t * (m[0, 2] * dx + m[1, 2] * dy + m[2, 2] * dz)
            glow = 0.0
            if hit == _MISS:
                paint, finish, layer, repeats = walls[wall], walls[wall, 3], walls[wall, 4], walls[wall, 5]
                if finish == SKY:
                    depth[row, column] = 0.0
                    haze = math.exp(-6 * max(dy, 0.0))  # white at the horizon
                    brightest = max(paint[0], paint[1], paint[2])
                    for k in range(3):
                        light[row, column, k] = paint[k] + haze * (brightest - paint[k])
                    continue
                inwards = -1.0 if wall % 2 else 1.0
                nx, ny, nz = (
                    (inwards, 0.0, 0.0) if wall < 2 else ((0.0, inwards, 0.0) if wall < 4 else (0.0, 0.0, inwards))
                )
                u, v = (z, y) if wall < 2 else ((x, z) if wall < 4 else (x, y))
                r, g, b = _finish(textures, finish, layer, u * repeats, -v * repeats, paint[0], paint[1], paint[2])
            else:
                shape = shapes[hit]
                c, s = shape.turn[0], shape.turn[1]
                lx, ly, lz = x - shape.centre[0], y - shape.centre[1], z - shape.centre[2]
                lx, lz = c * lx - s * lz, s * lx + c * lz
                nx, ny, nz = _normal(shape, planes, face, lx, ly, lz)
                lx, ly, lz = lx / shape.half[0], ly / shape.half[1], lz / shape.half[2]
                u, v = lx, -ly
                if shape.kind == CONVEX:
                    u, v = (lz, -ly) if nx != 0 else ((lx, -lz) if ny != 0 else (lx, -ly))
                nx, nz = c * nx + s * nz, -s * nx + c * nz
                u, v, glow = (u + 1) / 2 * shape.repeats, (v + 1) / 2 * shape.repeats, shape.glow
                tint = shape.tint
                r, g, b = _finish(textures, shape.finish, shape.layer, u, v, tint[0], tint[1], tint[2])
            er, eg, eb = _lamps(lights, room, shapes, planes, pool, x, y, z, nx, ny, nz)
            light[row, column, 0] = r * (er + glow)
            light[row, column, 1] = g * (eg + glow)
            light[row, column, 2] = b * (eb + glow)

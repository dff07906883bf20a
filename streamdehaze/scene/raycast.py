"""The ray caster, compiled by numba: colour, distance, optical flow and occlusion of every pixel.

All compiled functions live in this one file because numba's on-disk cache notices changes of a function's own
file only. Four rays a pixel give the colour; one through its centre gives distance and flow; one from the next
camera towards the moved point tells whether it is still seen there.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math

import numpy as np
from numba import njit

from streamdehaze.scene.geometry import BOARD, CONVEX, CYLINDER_X, ELLIPSOID, FACADE
from streamdehaze.scene.texture import SIZE

TILE = 16
"""Pixels a side of a screen tile, the unit of culling."""

SKY_METRES = 2000.0
"""Distance given to the sky, and the end of the world."""

_MISS, _GROUND = -1, -2
_LEVELS = int(math.log2(SIZE))


@njit(cache=True, nogil=True)
def _texel(pool, layer, level, u, v, channel):
    side = SIZE >> level
    x, y = u * side - 0.5, v * side - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    mask = side - 1
    left, right = int(x0) & mask, (int(x0) + 1) & mask
    low, high = int(y0) & mask, (int(y0) + 1) & mask
    base = layer * pool.level_start[-1] + pool.level_start[level]
    lower = pool.texels[base + low * side + left, channel] * (1 - fx)
    lower += pool.texels[base + low * side + right, channel] * fx
    upper = pool.texels[base + high * side + left, channel] * (1 - fx)
    upper += pool.texels[base + high * side + right, channel] * fx
    return (lower * (1 - fy) + upper * fy) / 255.0


@njit(cache=True, nogil=True)
def _sample(pool, layer, u, v, tiles_a_pixel):
    """Trilinear RGB; u and v in tiles."""
    u -= math.floor(u)
    v -= math.floor(v)
    level = min(max(math.log2(max(tiles_a_pixel * SIZE, 1e-6)), 0.0), float(_LEVELS))
    fine = int(level)
    coarse = min(fine + 1, _LEVELS)
    w = level - fine
    r = _texel(pool, layer, fine, u, v, 0)
    g = _texel(pool, layer, fine, u, v, 1)
    b = _texel(pool, layer, fine, u, v, 2)
    if w > 0.02:
        r += w * (_texel(pool, layer, coarse, u, v, 0) - r)
        g += w * (_texel(pool, layer, coarse, u, v, 1) - g)
        b += w * (_texel(pool, layer, coarse, u, v, 2) - b)
    return r, g, b


@njit(cache=True, nogil=True)
def _gray(pool, layer, u, v, tiles_a_pixel):
    level = min(max(math.log2(max(tiles_a_pixel * SIZE, 1e-6)), 0.0), float(_LEVELS))
    return _texel(pool, layer, int(level), u - math.floor(u), v - math.floor(v), 0)


@njit(cache=True, nogil=True)
def _meet(shapes, materials, pool, s, ox, oy, oz, dx, dy, dz, nearest, spread):
    """(distance, face) where a ray meets shape s before `nearest`, or (nearest, -1)."""
    ox, oy, oz = ox - shapes.centre[s, 0], oy - shapes.centre[s, 1], oz - shapes.centre[s, 2]
    hx, hy, hz = shapes.half[s, 0], shapes.half[s, 1], shapes.half[s, 2]
    kind = shapes.kind[s]
    if kind == CONVEX:
        enter, leave, face = 1e-4, nearest, -1
        first = shapes.first_plane[s]
        for p in range(first, first + shapes.plane_count[s]):
            nx, ny, nz = shapes.plane[p, 0], shapes.plane[p, 1], shapes.plane[p, 2]
            slope = nx * dx + ny * dy + nz * dz
            gap = shapes.plane[p, 3] - (nx * ox + ny * oy + nz * oz)
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
    if kind == BOARD:
        if dz == 0:
            return nearest, -1
        t = -oz / dz
        x, y = ox + t * dx, oy + t * dy
        if t <= 1e-4 or t >= nearest or abs(x) >= hx or abs(y) >= hy:
            return nearest, -1
        u, v = (x / hx + 1) / 2, (y / hy + 1) / 2
        level = min(max(math.log2(max(t * spread / (2 * hx) * SIZE, 1e-6)), 0.0), 5.0)
        if _texel(pool, materials.layer[shapes.material[s]], int(level), u, v, 3) < 0.5:
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


@njit(cache=True, nogil=True)
def _cast(view, shapes, materials, pool, tile, dx, dy, dz, spread):
    """(distance, shape, face) of the nearest thing along a unit direction; shape is _GROUND or _MISS otherwise."""
    ox, oy, oz = view.position[0], view.position[1], view.position[2]
    nearest, hit, face = SKY_METRES, _MISS, -1
    if dy < 0 and -oy / dy < nearest:
        nearest, hit = -oy / dy, _GROUND
    for i in range(view.tile_start[tile], view.tile_start[tile + 1]):
        s = view.tile_shape[i]
        if view.near[s] >= nearest:
            break
        t, f = _meet(shapes, materials, pool, s, ox, oy, oz, dx, dy, dz, nearest, spread)
        if f >= 0:
            nearest, hit, face = t, s, f
    return nearest, hit, face


@njit(cache=True, nogil=True)
def _line(distance, half_width, blur):
    """Coverage of a painted line `distance` from its middle, anti-aliased over `blur` metres."""
    return min(max((half_width - abs(distance)) / blur + 0.5, 0.0), min(1.0, 2 * half_width / blur))


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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
    for k in range(ground.shadows.shape[0]):
        out = max(abs(x - ground.shadows[k, 0]) - ground.shadows[k, 2], abs(z - ground.shadows[k, 1]) - ground.shadows[k, 3])
        if out < 0.6:
            light *= 1 - ground.shadows[k, 4] * min(1.0, (0.6 - out) / 0.7)
    return r * light, g * light, b * light


@njit(cache=True, nogil=True)
def _normal(shapes, s, face, x, y, z):
    """Outward unit normal at a point given from the shape's centre."""
    kind = shapes.kind[s]
    if kind == CONVEX:
        return shapes.plane[face, 0], shapes.plane[face, 1], shapes.plane[face, 2]
    if kind == BOARD:
        return 0.0, 0.45, -0.89
    nx, ny, nz = x / shapes.half[s, 0] ** 2, y / shapes.half[s, 1] ** 2, z / shapes.half[s, 2] ** 2
    if kind != ELLIPSOID:
        if kind == CYLINDER_X:
            nx = math.copysign(1.0, x) if face == 1 else 0.0
            ny, nz = (0.0, 0.0) if face == 1 else (ny, nz)
        else:
            ny = math.copysign(1.0, y) if face == 1 else 0.0
            nx, nz = (0.0, 0.0) if face == 1 else (nx, nz)
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length


@njit(cache=True, nogil=True)
def _surface(ground, shapes, materials, pool, s, face, x, y, z, dx, dy, dz, t, spread):
    """Colour of shape s at world point (x, y, z) seen from t metres away."""
    lx, ly, lz = x - shapes.centre[s, 0], y - shapes.centre[s, 1], z - shapes.centre[s, 2]
    nx, ny, nz = _normal(shapes, s, face, lx, ly, lz)
    kind = shapes.kind[s]
    material = shapes.plane_material[face] if kind == CONVEX else shapes.material[s]
    grazing = max(abs(nx * dx + ny * dy + nz * dz), 0.03)
    footprint = t * spread / math.sqrt(grazing)
    hx, hy, hz = shapes.half[s, 0], shapes.half[s, 1], shapes.half[s, 2]
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
        u, v = across / materials.tile[material, 0], up / materials.tile[material, 1]
        footprint /= materials.tile[material, 0]
    layer = materials.layer[material]
    if materials.kind[material] == FACADE:
        bay, storey = int(math.floor(u)), int(math.floor(v))
        dice = (bay * 7919 + storey * 104729 + s * 1299709 + int(nx > 0) * 31) % 1000003
        dice = (dice * 48271) % 2147483647 >> 7
        if storey >= shapes.storeys[s]:
            layer = materials.wall_layer[material]
        elif storey == 0:
            layer = materials.ground_layer[material] + dice % materials.ground_count[material]
        else:
            layer += dice % materials.count[material]
    r, g, b = _sample(pool, layer, u, v, footprint)
    if materials.tinted[material]:
        r, g, b = r * shapes.tint[s, 0], g * shapes.tint[s, 1], b * shapes.tint[s, 2]
    # An overcast sky: light from above, a little more from one side, less in the corners near the ground.
    light = 0.84 + 0.16 * ny + 0.12 * (0.55 * nx - 0.83 * nz)
    if kind != BOARD:
        light *= 0.66 + 0.34 * min(1.0, max(y, 0.0) / 1.6) if ny < 0.5 else 1.0
        dirt = _gray(pool, ground.stains, (lx + lz) / 7.0, ly / 7.0, footprint / 3.0)
        light *= 0.7 + 0.6 * dirt
    return r * light, g * light, b * light


@njit(cache=True, nogil=True)
def _ray(view, px, py):
    """Unit world direction through image position (px, py)."""
    x, y = (px - view.width / 2) / view.focal, -(py - view.height / 2) / view.focal
    m = view.rotation
    dx, dy, dz = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2], m[2, 0] * x + m[2, 1] * y + m[2, 2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    return dx / length, dy / length, dz / length


@njit(cache=True, nogil=True)
def _project(view, x, y, z):
    """(image x, image y, forward distance) of a direction or of a point given from the camera."""
    m = view.rotation
    forward = m[0, 2] * x + m[1, 2] * y + m[2, 2] * z
    if forward <= 1e-6:
        return 0.0, 0.0, forward
    right = m[0, 0] * x + m[1, 0] * y + m[2, 0] * z
    up = m[0, 1] * x + m[1, 1] * y + m[2, 1] * z
    return view.width / 2 + view.focal * right / forward, view.height / 2 - view.focal * up / forward, forward


@njit(cache=True, nogil=True)
def _tile_of(view, px, py):
    return int(py) // TILE * ((view.width + TILE - 1) // TILE) + int(px) // TILE


@njit(cache=True, nogil=True)
def cull(ranges, order, columns, rows):
    """Which shapes may show in which screen tile, as (tile_start, tile_shape).

    `ranges` is (N, 4): first column, first row, column and row past the last; `order` is the N shapes, nearest first.
    """
    start = np.zeros(columns * rows + 1, np.int64)
    for s in order:
        for row in range(ranges[s, 1], ranges[s, 3]):
            for column in range(ranges[s, 0], ranges[s, 2]):
                start[row * columns + column + 1] += 1
    start = np.cumsum(start)
    cursor = start[:-1].copy()
    found = np.empty(start[-1], np.int64)
    for s in order:
        for row in range(ranges[s, 1], ranges[s, 3]):
            for column in range(ranges[s, 0], ranges[s, 2]):
                found[cursor[row * columns + column]] = s
                cursor[row * columns + column] += 1
    return start, found


@njit(cache=True, nogil=True)
def trace(view, following, shapes, following_shapes, ground, materials, pool, rgb, depth, flow, occluded):
    """Fill rgb (H, W, 3), depth (H, W), flow (H, W, 2) and occluded (H, W) of `view`, with `following` the next one."""
    spread = 0.7 / view.focal
    for row in range(view.height):
        for column in range(view.width):
            tile = _tile_of(view, column, row)
            r, g, b = 0.0, 0.0, 0.0
            for corner in range(4):
                dx, dy, dz = _ray(view, column + 0.25 + 0.5 * (corner & 1), row + 0.25 + 0.5 * (corner >> 1))
                t, s, face = _cast(view, shapes, materials, pool, tile, dx, dy, dz, spread)
                x, y, z = view.position[0] + t * dx, view.position[1] + t * dy, view.position[2] + t * dz
                if s == _MISS:
                    colour = _sky(ground, pool, dx, dy, dz)
                elif s == _GROUND:
                    colour = _road(ground, pool, x, z, t * spread, -dy)
                else:
                    colour = _surface(ground, shapes, materials, pool, s, face, x, y, z, dx, dy, dz, t, spread)
                r, g, b = r + colour[0], g + colour[1], b + colour[2]
            rgb[row, column, 0] = min(max(r / 4, 0.0), 1.0)
            rgb[row, column, 1] = min(max(g / 4, 0.0), 1.0)
            rgb[row, column, 2] = min(max(b / 4, 0.0), 1.0)

            dx, dy, dz = _ray(view, column + 0.5, row + 0.5)
            t, s, _ = _cast(view, shapes, materials, pool, tile, dx, dy, dz, spread)
            depth[row, column] = t
            if s != _MISS:
                dx = view.position[0] + t * dx - following.position[0]
                dy = view.position[1] + t * dy - following.position[1]
                dz = view.position[2] + t * dz - following.position[2]
                if s >= 0:
                    dx, dy, dz = dx + shapes.step[s, 0], dy + shapes.step[s, 1], dz + shapes.step[s, 2]
            px, py, forward = _project(following, dx, dy, dz)
            flow[row, column, 0], flow[row, column, 1] = px - column - 0.5, py - row - 0.5
            occluded[row, column] = True
            if forward > 0.05 and 0 <= px < view.width and 0 <= py < view.height:
                away = math.sqrt(dx * dx + dy * dy + dz * dz)
                seen, other, _ = _cast(
                    following, following_shapes, materials, pool, _tile_of(view, px, py),
                    dx / away, dy / away, dz / away, spread,
                )  # fmt: skip
                same = s == other and (s == _MISS or abs(seen - away) < 0.01 + 0.002 * away)
                occluded[row, column] = not same

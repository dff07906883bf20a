"""The world as flat arrays: what `shapes` builds and `raycast` reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CONVEX, ELLIPSOID, CYLINDER_X, CYLINDER_Y, BOARD = range(5)
"""Kinds of shape: convex polyhedron, ellipsoid, elliptic cylinder along x or y, upright see-through board."""

PLAIN, FACADE = range(2)
"""Kinds of material: one texture repeated, or bays and storeys chosen among variants."""

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


class Shapes(NamedTuple):
    """N shapes at one moment. World axes: x to the right, y up, z along the street; metres."""

    kind: _Ints
    """(N,)"""
    centre: _Floats
    """(N, 3)"""
    step: _Floats
    """(N, 3) way each shape goes from this frame to the next; shapes do not turn."""
    half: _Floats
    """(N, 3) half extents of the bounding box, which are the radii of ellipsoids and cylinders."""
    material: _Ints
    """(N,) for all kinds but CONVEX."""
    tint: _Floats
    """(N, 3) multiplies the texture of tinted materials."""
    storeys: _Ints
    """(N,) storeys of a façade; blank wall above."""
    first_plane: _Ints
    """(N,)"""
    plane_count: _Ints
    """(N,)"""
    plane: _Floats
    """(P, 4) outward unit normal and distance from the centre."""
    plane_material: _Ints
    """(P,)"""


class Materials(NamedTuple):
    """M surface materials: which textures, how large."""

    kind: _Ints
    """(M,)"""
    layer: _Ints
    """(M,) texture, or a façade's first upper-storey variant."""
    count: _Ints
    """(M,) how many upper-storey variants."""
    ground_layer: _Ints
    """(M,) a façade's first ground-floor variant."""
    ground_count: _Ints
    """(M,)"""
    wall_layer: _Ints
    """(M,) a façade's blank wall."""
    tile: _Floats
    """(M, 2) metres a texture covers along u and v."""
    tinted: npt.NDArray[np.bool_]
    """(M,)"""


class Ground(NamedTuple):
    """The road: y = 0 everywhere, with marks and soft shadows on it."""

    asphalt: int
    """Texture layers."""
    grass: int
    stains: int
    clouds: int
    half_width: float
    """Metres from the centre line to the kerb."""
    crossings: _Floats
    """(K,) z of the middle of each zebra crossing."""
    shadows: _Floats
    """(S, 5) x, z, half width, half length, strength of the soft shadow under each thing that stands on it."""


class View(NamedTuple):
    """A pinhole camera at one moment."""

    position: _Floats
    """(3,) metres."""
    rotation: _Floats
    """(3, 3) camera axes (right, up, forward) to world."""
    focal: float
    """Pixels."""
    width: int
    height: int
    tile_start: _Ints
    """(tiles + 1,) where each screen tile's candidates begin in `tile_shape`."""
    tile_shape: _Ints
    """Shapes that may show in each tile, nearest first."""
    near: _Floats
    """(N,) lower bound of each shape's distance."""

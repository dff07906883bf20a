"""The world as flat records: what `shapes` builds and `raycast` reads.

Records rather than one array per field: numba passes every array of a tuple by value in each call, which with a dozen
arrays took ten times as long as tracing the rays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

CONVEX, ELLIPSOID, CYLINDER_X, CYLINDER_Y, BOARD = range(5)
"""Kinds of shape: convex polyhedron, ellipsoid, elliptic cylinder along x or y, upright board with transparency."""

PLAIN, FACADE = range(2)
"""Kinds of material: one texture repeated, or bays and storeys chosen among variants."""

PAINTED, TINTED, PICTURE, BOOKS, BLINDS, WINDOWS, SKY = range(7)
"""Finishes of what stands in a room: one colour, the grain of a texture, a texture's own colours, rows of spines,
slats, dark panes in a wall; and, for walls only, the sky, which shines by itself and is infinitely far."""

Records = npt.NDArray[np.void]
_Floats = npt.NDArray[np.float64]

SHAPE: np.dtype[Any] = np.dtype(
    [
        ("kind", "i8"),
        ("centre", "f8", 3),  # metres; world axes are x to the right, y up, z along the street
        ("half", "f8", 3),  # half extents of the bounding box: the radii of ellipsoids and cylinders
        ("turn", "f8", 2),  # cosine and sine of its yaw
        ("step", "f8", 3),  # movement to the next frame; shapes do not rotate
        ("first_plane", "i8"),  # of CONVEX
        ("last_plane", "i8"),  # one past it
        ("material", "i8"),  # of all but CONVEX
        ("layer", "i8"),  # the texture whose alpha cuts a BOARD out; that of a finish
        ("tint", "f8", 3),  # multiplies the texture of tinted materials; the colour of a finish
        ("storeys", "i8"),  # of a façade; blank wall above
        ("finish", "i8"),  # in rooms, instead of a material
        ("repeats", "f8"),  # of the finish's texture
        ("glow", "f8"),  # light of its own, in rooms
    ]
)

PLANE: np.dtype[Any] = np.dtype(
    [
        ("normal", "f8", 3),  # outward, of length 1
        ("distance", "f8"),  # from the shape's centre
        ("material", "i8"),
    ]
)

MATERIAL: np.dtype[Any] = np.dtype(
    [
        ("kind", "i8"),
        ("layer", "i8"),  # texture; a façade's first upper-storey variant
        ("count", "i8"),  # how many of them
        ("ground_layer", "i8"),  # a façade's first ground-floor variant
        ("ground_count", "i8"),
        ("wall_layer", "i8"),  # a façade's blank wall
        ("tile", "f8", 2),  # metres a texture covers along u and v
        ("tinted", "i8"),
    ]
)

CANDIDATE: np.dtype[Any] = np.dtype([("shape", "i8"), ("near", "f8")])
"""A shape that may show in a screen tile, and a lower bound of its distance."""


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
    """(S, 5) x, z, half width, half length, strength of the soft shadow under each thing on it; by rising z."""


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
    tile_start: npt.NDArray[np.int64]
    """(tiles + 1,) where each screen tile's candidates begin."""
    candidates: Records
    """CANDIDATE records of all tiles, nearest first in each."""

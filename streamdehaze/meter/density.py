"""Haze density: one number from the small hazy picture, and a little from the network's answer to it.

Haze brightens what is dark, the more the farther away, and takes contrast and colour. So the `terms` are logarithms of

- the dark channel (He, Sun & Tang, CVPR 2009) at several scales, in the whole picture and in its upper and lower half:
  what is far stands higher;
- local contrast from fine to coarse, over the airlight's brightness and over the place's own;
- chroma and saturation.

All are ratios, so the camera's exposure cancels out; covered and overexposed parts of the frame are left out. A
weighted sum of them is the logarithm of an optical thickness. The weights are a ridge regression over haze drawn over
photos, streets and rooms of known depth, with exposure, noise and JPEG drawn at random: benchmarks/fit_meter.py
computes them.

The thickness that the answer implies is added with a smaller weight, ``t = (A − I) / (A − J)``: its tenth
percentile, because dark things may stand near in a fog that hides the rest. It knows scenes: a white wall from fog.
It is a physical quantity whatever the network, so another checkpoint moves the density little and needs no new weights.
benchmarks/haze_meter.py measures all of it on other scenes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.frame import FloatArray
from streamdehaze.meter.reading import Reading

if TYPE_CHECKING:
    from streamdehaze.dehaze.atmosphere import Balanced

WEIGHTS = {
    "dark channel": -1.0839,
    "dark channel, wider": 1.0169,
    "dark channel, widest, least": 1.5979,
    "dark channel above": 0.748,
    "dark channel below": -0.5614,
    "luma, least": -0.7319,
    "fine contrast": -1.1032,
    "fine contrast, flattest": 0.0507,
    "fine contrast of its place": 1.617,
    "middle contrast, flattest": -0.2878,
    "middle contrast below": -0.5477,
    "coarse contrast": 0.964,
    "coarse contrast of its place": -0.4258,
    "chroma": 0.8039,
    "chroma, most": -0.6017,
    "saturation, most": 0.0105,
    "1": -1.8304,
}
"""Coefficients of the terms, and "1" for the constant; ln(τ + `LEAST_THICKNESS`) is their sum."""
LEAST_THICKNESS = 0.1
_SIZE = 256
"""Long side of the picture that is measured, pixels."""
_CELLS = 64
"""Cells on the long side of the finest grid."""
_BRIGHTEST = 1.5
"""Times A: lamps and reflections brighter than this count as this bright."""
_TRUST, _SCALE = 0.3, 0.75
"""Weight of the thickness that the answer implies, and the factor from the sum to the mean thickness of the scene."""
_FREE, _TIMES = 0.3, 2.0
"""The answer is believed this much by itself, and this many times what the picture shows: networks also find fog in a
white wall."""
_AGREED, _SLIGHT = 1.5, 0.05
"""What the picture shows is agreed upon up to this many times what the answer implies, when this much of that counts as
nothing: lawns under a grey sky and tiled rooms lack colour and contrast, and a network that knows them leaves them."""
_FAR = 10
"""Percentile of the transmissions: of what is far, or deep in the haze."""
_TELLING = 0.08
"""A − J over A; where the clear scene is nearer to the airlight than this, it tells no transmission."""
_LEAST_TRANSMISSION = 0.02
_DARK = 0.2
"""Brightness of the airlight below which the frame is too dark."""
_OVEREXPOSED = 0.98
"""Darkest channel from which on a pixel is white whatever is there: a studio's background as well as fog."""
_LEAST_TELLING = 0.1
"""Share of the frame that must not be, or all of it counts."""
_UNCOVERED = 0.99
"""Share of a cell that must be scene for the cell to count."""
_MOST_THICKNESS = 5.0


def read(balanced: Balanced, answer: FloatArray) -> Reading:
    """The haze of a picture.

    Args:
        balanced: the picture, as the network saw it.
        answer: the network's own answer, (3, rows, columns).
    """
    found = terms(balanced)
    logarithm = sum(weight * found[name] for name, weight in WEIGHTS.items())
    seen = min(_MOST_THICKNESS, max(0.0, math.exp(min(logarithm, 5.0)) - LEAST_THICKNESS))
    implied = _implied(balanced, answer)
    believed = _TRUST * min(implied, _FREE + _TIMES * seen)
    agreed = min(seen, max(0.0, _AGREED * (implied - _SLIGHT)))
    color = balanced.airlight.color
    airlight = float(color[0]), float(color[1]), float(color[2])
    density, confirmed = (1 - math.exp(-_SCALE * (each + believed)) for each in (seen, agreed))
    return Reading(density, airlight, dark=float(color.mean()) < _DARK, agreed=confirmed)


def terms(balanced: Balanced) -> dict[str, float]:
    """What tells the haze of a picture, by name, and 1 for the constant."""
    picture = np.asarray(balanced.picture)
    if max(picture.shape) > _SIZE:
        picture = np.stack([_grid(plane, _SIZE) for plane in picture])
    airlight = balanced.airlight.color * balanced.airlight.balance
    red, green, blue = (
        cv2.threshold(plane * np.float32(1 / each), _BRIGHTEST, 0, cv2.THRESH_TRUNC)[1]
        for plane, each in zip(picture, airlight, strict=True)
    )
    luma = (red + green + blue) * np.float32(1 / 3)
    least, most = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)

    mean, square = _grid(luma, _CELLS), _grid(luma * luma, _CELLS)
    scene = np.ones(mean.shape, bool)
    if (seen := _telling(balanced)) is not None:
        telling = _over(seen, mean) > _UNCOVERED
        scene = telling if telling.any() else scene
    dark = _grid(_least_around(least, 3), _CELLS)
    darker, darkest = _least_around(dark, 3), _least_around(dark, 9)
    chroma = _grid(most - least, _CELLS)
    saturation = (chroma / np.maximum(_grid(most, _CELLS), np.float32(0.05)))[scene]
    contrast, where = {}, {}
    for cells in (64, 32, 8):
        at, squares = (mean, square) if cells == _CELLS else (_grid(mean, cells), _grid(square, cells))
        spread = np.sqrt(np.maximum(squares - at * at, 0))
        inside = scene if cells == _CELLS else _over(scene, spread) > _UNCOVERED
        where[cells] = inside if inside.any() else np.ones(spread.shape, bool)
        contrast[cells] = spread, (spread / np.maximum(at, np.float32(0.05)))[where[cells]]
    fine, fine_of_place = contrast[64][0][scene], contrast[64][1]
    middle, coarse = contrast[32][0], contrast[8][0][where[8]]
    return {
        "dark channel": _opacity(_percentile(dark[scene], 50)),
        "dark channel, wider": _opacity(_percentile(darker[scene], 50)),
        "dark channel, widest, least": _opacity(_percentile(darkest[scene], 10)),
        "dark channel above": _opacity(_percentile(_half(darker, scene, upper=True), 50)),
        "dark channel below": _opacity(_percentile(_half(darker, scene, upper=False), 50)),
        "luma, least": _opacity(_percentile(mean[scene], 5)),
        "fine contrast": _lack(fine.mean(), 0.01),
        "fine contrast, flattest": _lack(_percentile(fine, 25), 0.01),
        "fine contrast of its place": _lack(fine_of_place.mean(), 0.02),
        "middle contrast, flattest": _lack(_percentile(middle[where[32]], 25), 0.01),
        "middle contrast below": _lack(_half(middle, where[32], upper=False).mean(), 0.01),
        "coarse contrast": _lack(coarse.mean(), 0.01),
        "coarse contrast of its place": _lack(_percentile(contrast[8][1], 50), 0.02),
        "chroma": _lack(chroma[scene].mean(), 0.01),
        "chroma, most": _lack(_percentile(chroma[scene], 90), 0.01),
        "saturation, most": _lack(_percentile(saturation, 90), 0.02),
        "1": 1.0,
    }


def transmission(balanced: Balanced, answer: FloatArray) -> FloatArray:
    """t, (rows, columns) in [0.02, 1], of the small picture: the share of the scene's light that arrives.

    It is what the network believes, fitted over small windows: ``1 − I = t · (1 − J)`` in units of the airlight. Where
    nothing is darker than the airlight, as in the sky, nothing determines t, and it tends to the least.

    Args:
        balanced: the picture, as the network saw it.
        answer: the network's own answer, (3, rows, columns).
    """
    hazy, clear = _luma(balanced, balanced.picture), _luma(balanced, answer)
    side = 2 * (max(hazy.shape) // 64) + 1
    contrast = np.maximum(1 - clear, np.float32(0))
    products, squares = (cv2.blur(x, (side, side)) for x in ((1 - hazy) * contrast, contrast * contrast))
    t: FloatArray = np.clip(np.asarray(products) / (np.asarray(squares) + np.float32(1e-4)), _LEAST_TRANSMISSION, 1)
    return t


def _telling(balanced: Balanced) -> npt.NDArray[np.bool_] | None:
    """Where the picture says something about haze, (rows, columns): the scene, not overexposed; None for everywhere."""
    red, green, blue = balanced.hazy
    exposed: npt.NDArray[np.bool_] = cv2.min(cv2.min(red, green), blue) < _OVEREXPOSED
    if balanced.scene is not None:
        exposed &= balanced.scene
    return exposed if np.count_nonzero(exposed) > _LEAST_TELLING * exposed.size else balanced.scene


def _implied(balanced: Balanced, answer: FloatArray) -> float:
    """The optical thickness of what is far, by the network's answer."""
    hazy, clear = (_luma(balanced, rgb[:, ::2, ::2]) for rgb in (balanced.picture, answer))
    contrast = 1 - clear
    telling = contrast > np.float32(_TELLING)
    if balanced.scene is not None:
        telling &= balanced.scene[::2, ::2]
    t = _LEAST_TRANSMISSION  # where next to nothing differs from the airlight, next to nothing arrives
    if np.count_nonzero(telling) > 0.01 * telling.size:
        t = max(t, _percentile((1 - hazy[telling]) / contrast[telling], _FAR))
    return -math.log(min(1.0, t))


def _luma(balanced: Balanced, rgb: FloatArray) -> FloatArray:
    """(rows, columns), over the airlight's; channel by channel: the airlight has the tint that the balance leaves."""
    red, green, blue = (1 / (3 * balanced.airlight.color * balanced.airlight.balance)).astype(np.float32)
    luma: FloatArray = np.clip(rgb[0] * red + rgb[1] * green + rgb[2] * blue, np.float32(0), np.float32(_BRIGHTEST))
    return luma


def _grid(x: FloatArray, long_side: int) -> FloatArray:
    """Means over the cells of a grid."""
    scale = long_side / max(x.shape)
    size = max(2, round(x.shape[1] * scale)), max(2, round(x.shape[0] * scale))
    return np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_AREA))


def _over(part: npt.NDArray[np.bool_], cells: FloatArray) -> FloatArray:
    """How much of each of a grid's cells a part of the picture covers."""
    rows, columns = cells.shape
    return np.asarray(cv2.resize(part.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA))


def _least_around(x: FloatArray, side: int) -> FloatArray:
    return np.asarray(cv2.erode(x, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REFLECT))


def _half(x: FloatArray, scene: npt.NDArray[np.bool_], *, upper: bool) -> FloatArray:
    """The cells of one half of the frame that show the scene, (n,); of all where none of them does."""
    part = slice(None, x.shape[0] // 2) if upper else slice(x.shape[0] // 2, None)
    return x[part][scene[part]] if scene[part].any() else x[scene]


def _opacity(share: float) -> float:
    """−ln of the transmission, where what would be black has this share of the airlight."""
    return -math.log(max(0.03, 1.03 - min(1.0, share)))


def _lack(amount: float, least: float) -> float:
    """−ln of a contrast; `least` keeps noise from counting."""
    return -math.log(float(amount) + least)


def _percentile(values: FloatArray, percent: int) -> float:
    """As np.percentile, to the nearest value below: a tenth of its time."""
    rank = percent * (values.size - 1) // 100
    return float(np.partition(values, rank)[rank])

"""Haze density: one number from a small hazy picture and the network's answer to it.

Three things tell haze, each blind where the others see:

- the transmission that the answer implies, ``t = (A − I) / (A − J)``: its tenth percentile, because dark things may
  stand near in a fog that hides the rest; blind where the scene itself is as bright as A;
- how much local contrast the answer adds: blind where no texture is left;
- how much local contrast is left at the best places, in units of A: blind to what the scene itself lacks.

All three are ratios, so the camera's exposure cancels out; covered parts of the frame are left out. Their logarithms
are summed with fixed weights into an optical thickness. The weights were chosen by hand, scale and offset fitted on
haze drawn over photos and towns with known depth, for the answers of `aecrnet-s-indoor`; those of `aecrnet-s`, in use
here, are the ones that come nearest to its densities on drawn streets and rooms. benchmarks/haze_meter.py measures it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.frame import FloatArray
from streamdehaze.meter.reading import Reading

if TYPE_CHECKING:
    from streamdehaze.dehaze.atmosphere import Balanced

_WEIGHTS = (0.341, 0.233, 0.423)
"""Of −ln t, of the logarithm of the contrast gained, and of minus that of the contrast left."""
_OFFSET = -0.902
_SOFTNESS = 4.0
"""τ is the softplus of the sum, with this sharpness: small sums tend to 0."""
_GAIN_BLOCKS, _LEFT_BLOCKS = 32, 16
"""Blocks on the long side, for the contrast gained and for the contrast left."""
_FAR = 10
"""Percentile of the transmissions: of what is far, or deep in the haze."""
_LEFT = 90
"""Percentile of the blocks' contrasts that counts as the best places."""
_BRIGHTEST = 1.5
"""Times A: lamps and reflections brighter than this count as this bright."""
_LEAST_CONTRAST = 0.08
"""A − J over A; where the clear scene is nearer to the airlight than this, it tells no transmission."""
_LEAST_TRANSMISSION = 0.02
_DARK = 0.2
"""Brightness of the airlight below which the frame is too dark."""
_UNCOVERED = 0.99
"""Share of a block that must be scene for the block to count."""


def read(balanced: Balanced, answer: FloatArray) -> Reading:
    """The haze of a picture.

    Args:
        balanced: the picture, as the network saw it.
        answer: the network's own answer, (3, rows, columns).
    """
    hazy, clear = _relative(balanced, answer)
    color = balanced.airlight.color
    airlight = float(color[0]), float(color[1]), float(color[2])
    return Reading(_density(hazy, clear, balanced.scene), airlight, dark=float(color.mean()) < _DARK)


def transmission(balanced: Balanced, answer: FloatArray) -> FloatArray:
    """t, (rows, columns) in [0.02, 1], of the small picture: the share of the scene's light that arrives.

    It is what the network believes, fitted over small windows: ``1 − I = t · (1 − J)`` in units of the airlight. Where
    nothing is darker than the airlight, as in the sky, nothing tells t, and it tends to the least.
    """
    hazy, clear = _relative(balanced, answer)
    side = 2 * (max(hazy.shape) // 64) + 1
    contrast = np.maximum(1 - clear, np.float32(0))
    products, squares = (cv2.blur(x, (side, side)) for x in ((1 - hazy) * contrast, contrast * contrast))
    t: FloatArray = np.clip(np.asarray(products) / (np.asarray(squares) + np.float32(1e-4)), _LEAST_TRANSMISSION, 1)
    return t


def _relative(balanced: Balanced, answer: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Luma of the hazy and the clear picture, (rows, columns), over the airlight's."""
    # Channel by channel: where the balance leaves a tint, the airlight has it, too.
    red, green, blue = (1 / (3 * balanced.airlight.color * balanced.airlight.balance)).astype(np.float32)
    hazy, clear = (rgb[0] * red + rgb[1] * green + rgb[2] * blue for rgb in (balanced.picture, answer))
    return np.minimum(hazy, np.float32(_BRIGHTEST)), np.clip(clear, np.float32(0), np.float32(_BRIGHTEST))


def _density(hazy: FloatArray, clear: FloatArray, scene: npt.NDArray[np.bool_] | None) -> float:
    contrast = 1 - clear
    telling = contrast > np.float32(_LEAST_CONTRAST)
    if scene is not None:
        telling &= scene
    t = _LEAST_TRANSMISSION  # where next to nothing differs from the airlight, next to nothing arrives
    if np.count_nonzero(telling) > 0.01 * telling.size:
        t = min(1.0, max(t, _percentile((1 - hazy[telling]) / contrast[telling], _FAR)))
    before, after = (float(_spread(x, scene, _GAIN_BLOCKS).mean()) + 1e-4 for x in (hazy, clear))
    left = _percentile(_spread(hazy, scene, _LEFT_BLOCKS), _LEFT) + 0.01
    terms = -np.log(t), np.log(after / before), -np.log(left)
    total = float(np.dot(_WEIGHTS, terms)) + _OFFSET
    thickness = np.logaddexp(0, _SOFTNESS * total) / _SOFTNESS
    return float(1 - np.exp(-thickness))


def _spread(x: FloatArray, scene: npt.NDArray[np.bool_] | None, blocks: int) -> FloatArray:
    """Standard deviations in the blocks that the scene fills, (n,)."""
    scale = blocks / max(x.shape)
    size = max(2, round(x.shape[1] * scale)), max(2, round(x.shape[0] * scale))
    mean, square = (np.asarray(cv2.resize(y, size, interpolation=cv2.INTER_AREA)) for y in (x, x * x))
    spread: FloatArray = np.sqrt(np.maximum(square - mean * mean, 0)).ravel()
    if scene is None:
        return spread
    filled = np.asarray(cv2.resize(scene.astype(np.float32), size, interpolation=cv2.INTER_AREA)).ravel()
    whole = filled > _UNCOVERED
    return spread[whole if whole.any() else filled > 0]


def _percentile(values: FloatArray, percent: int) -> float:
    """As np.percentile, to the nearest value below: a tenth of its time."""
    rank = percent * (values.size - 1) // 100
    return float(np.partition(values, rank)[rank])

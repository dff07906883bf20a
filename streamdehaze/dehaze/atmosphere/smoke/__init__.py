"""Smoke and sand: a small network that knows them, where those for haze have nothing to offer.

Networks for haze learn from bright grey fog, take dark smoke for a dim day, and physics (`boundary`) has to be told the
colour of the air. This one saw smoke and sand drawn before photos and rendered towns of known depth. It answers with a
gain and an offset of each pixel rather than with colours, and says how sure it is of smoke or sand at all. It runs on
few pictures while there is none; benchmarks/train_smoke.py trains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from streamdehaze.dehaze.atmosphere.ramp import ramp
from streamdehaze.dehaze.guided import guided_filter
from streamdehaze.dehaze.kernels import channel_mean
from streamdehaze.frame import FloatArray
from streamdehaze.network.small import SmallNetwork, probability

_ROWS, _COLUMNS, _CELL = 96, 160, 8
"""Of the picture that the network sees, and pixels of it, in both directions, for which the network answers at once."""
UNSURE, _SURE = 0.5, 0.65
"""Probability of smoke up to which nothing is changed, and from which on its answer takes the place of the other's."""
_DUSTY, _WHITE = 0.78, 0.85
"""Darkest channel of the air up to which it may be smoke or sand, and from which on it is fog in evening light."""
_SMOOTH, _EDGE = 24, 1e-3
"""Gains follow the edges of the picture: side of the window as a share of the long side, and what counts as an edge."""
_ALIKE, _UNLIKE = 0.1, 0.2
"""Relative difference of a channel from the smoke's up to which a sky is only smoke, and from which on it is a sky."""
_BRIGHTER = 0.15
"""What is brighter than the smoke in each channel by so much is a lamp or the sky, and is not darkened."""
_NETWORK = SmallNetwork(Path(__file__).with_name("smoke.onnx"), _ROWS, _COLUMNS, ["maps", "airlight", "logit"])


@dataclass(frozen=True)
class Smoke:
    """What the network found in one picture."""

    airlight: FloatArray
    """RGB (3,)."""
    gain: FloatArray
    """(96, 160), around that colour."""
    offset: FloatArray
    """RGB (3, 12, 20)."""
    probability: float
    """Of smoke or sand, 0 to 1."""

    @property
    def share(self) -> float:
        """Share of this answer in the clear picture, 0 to 1."""
        return ramp(self.probability, UNSURE, _SURE) * ramp(float(self.airlight.min()), _WHITE, _DUSTY)

    def clear_picture(self, hazy: FloatArray) -> FloatArray:
        """The scene without smoke, RGB (3, rows, columns), not below 0, of a picture of any size."""
        size = hazy.shape[:0:-1]
        gain, *offset = (cv2.resize(x, size, interpolation=cv2.INTER_LINEAR) for x in (self.gain, *self.offset))
        gain = guided_filter(channel_mean(hazy), gain, max(hazy.shape) // _SMOOTH, _EDGE)
        A = self.airlight[:, None, None]
        clear = np.maximum(gain * (hazy - A) + A + np.stack(offset), 0)
        brighter = ramp((hazy / A).min(axis=0) - 1, 0, _BRIGHTER)
        return np.asarray(clear + brighter * np.maximum(hazy - clear, 0), np.float32)

    def likeness(self, hazy: FloatArray) -> FloatArray:
        """How far each pixel of a picture (3, rows, columns) has the colour of the smoke, (rows, columns) in [0, 1]."""
        differs = np.abs(hazy / self.airlight[:, None, None] - 1).max(axis=0)
        return np.asarray(ramp(differs, _UNLIKE, _ALIKE), np.float32)


def look_for_smoke(hazy: FloatArray) -> Smoke:
    """What the network says of a picture.

    Args:
        hazy: RGB (3, rows, columns) in [0, 1]; what covers the scene is filled.
    """
    maps, airlight, logit = _NETWORK.answers(hazy)
    rows, columns = _ROWS // _CELL, _COLUMNS // _CELL
    gain = maps[3:].reshape(_CELL, _CELL, rows, columns).transpose(2, 0, 3, 1).reshape(_ROWS, _COLUMNS)
    return Smoke(airlight, gain, maps[:3], probability(logit))

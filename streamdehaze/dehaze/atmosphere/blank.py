"""Pictures of nothing, such as title cards and test signals: there is no haze in them to be taken out.

Thick haze is of one colour, and so are they. But through real fog and smoke something is seen in most of the picture,
if only the noise of the camera.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamdehaze.dehaze.atmosphere.ramp import ramp
from streamdehaze.frame import FloatArray

_ROWS, _COLUMNS, _CELL = 96, 160, 8
"""Of the picture that is looked at, and of the cells in it."""
_SHARE = 0.75
"""Of the cells; the others may hold the letters of a title."""
_BLANK, _SCENE = 0.2 / 255, 0.6 / 255
"""Standard deviation of a channel in a cell: what passes for nothing, and for a scene. The least in any of 380
photos of real fog and smog is 1.6 levels of 255; a street in smoke of 30 m of visibility has 3.5."""


def share_of_scene(picture: FloatArray) -> float:
    """How far a picture (3, rows, columns) in [0, 1] is one of a scene, 0 (a blank one) to 1."""
    small = np.stack([cv2.resize(each, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA) for each in picture])
    cells = small.reshape(3, _ROWS // _CELL, _CELL, _COLUMNS // _CELL, _CELL).std(axis=(2, 4)).max(axis=0)
    return ramp(float(np.quantile(cells, _SHARE)), _BLANK, _SCENE)

"""Running the network on a batch of small pictures."""

from __future__ import annotations

import numpy as np

from streamdehaze.engine import Engine
from streamdehaze.errors import EngineError
from streamdehaze.frame import FloatArray

_COLOURLESS = 2 / 255
"""Largest difference between the channels of a picture without colour: what a codec's rounding leaves."""


def infer(engine: Engine, hazy: FloatArray) -> FloatArray:
    """The network's answer to pictures, (batch, 3, rows, columns) in [0, 1]; one without colour stays so.

    Raises:
        EngineError: if the engine fails, or gives values that are not finite.
    """
    clear = engine.infer(hazy)
    if not np.isfinite(clear).all():
        raise EngineError(f"the engine '{engine.name}' gave values that are not finite numbers")
    colourless = np.ptp(hazy, axis=1).max(axis=(1, 2)) < _COLOURLESS
    if colourless.any():
        clear = np.where(colourless[:, None, None, None], clear.mean(axis=1, keepdims=True), clear)
    return clear

"""`ramp`, by which one thing fades into another."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from streamdehaze.frame import FloatArray


@overload
def ramp(x: float, none: float, full: float) -> float: ...
@overload
def ramp(x: FloatArray, none: float, full: float) -> FloatArray: ...
def ramp(x: Any, none: float, full: float) -> Any:
    """0 where x is at `none` or beyond, 1 where it is at `full` or beyond, and linear in between."""
    share = (x - none) / (full - none)
    return np.clip(share, 0, 1) if isinstance(share, np.ndarray) else float(min(1.0, max(0.0, share)))

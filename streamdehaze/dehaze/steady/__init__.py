"""Affine maps that hold still: filtered over time, carried along the motion, corrected from the frames after.

`TemporalFilter` is the way in; it uses `motion` (what moved, and whether it is a cut), `trend` (what changes along the
motion) and `level` (the overall brightness). `LookAhead` goes back over its estimates where frames can be held back.
"""

from streamdehaze.dehaze.steady.filter import STEADY, Every, Observation, StateDict, Steady, TemporalFilter
from streamdehaze.dehaze.steady.lookahead import LOOK_AHEAD_FRAMES, Held, LookAhead

__all__ = [
    "LOOK_AHEAD_FRAMES", "STEADY", "Every", "Held", "LookAhead", "Observation", "StateDict", "Steady", "TemporalFilter"
]  # fmt: skip

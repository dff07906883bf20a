"""The loops over full-size planes and over maps in time, compiled.

Each releases the interpreter lock and keeps its inner loop over a contiguous row so that the compiler vectorises it;
rows to work in come from outside, because compiled loops allocate nothing (`streamdehaze.dehaze.kernels.compiled`).
"""

from streamdehaze.dehaze.kernels.maps import blend, carry, carry_over, correct, process_noise, recall
from streamdehaze.dehaze.kernels.planes import apply_affine, mix, shrink
from streamdehaze.dehaze.kernels.statistics import channel_mean, exp, log, median

__all__ = [
    "apply_affine", "blend", "carry", "carry_over", "channel_mean", "correct", "exp", "log", "median", "mix",
    "process_noise", "recall", "shrink",
]  # fmt: skip

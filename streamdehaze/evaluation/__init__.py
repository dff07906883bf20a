"""How good a result is: against a truth, without one, and over time."""

from streamdehaze.dehaze.stillness import Stillness, StillnessMeter
from streamdehaze.evaluation.evaluate import evaluate
from streamdehaze.evaluation.report import Extremes, Report
from streamdehaze.evaluation.temporal import Steadiness, SteadinessMeter
from streamdehaze.evaluation.visibility import Visibility, visibility
from streamdehaze.fidelity import psnr, ssim

__all__ = [
    "Extremes",
    "Report",
    "Steadiness",
    "SteadinessMeter",
    "Stillness",
    "StillnessMeter",
    "Visibility",
    "evaluate",
    "psnr",
    "ssim",
    "visibility",
]

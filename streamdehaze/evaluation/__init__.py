"""How good a result is: against ground truth, without it, and over time."""

from streamdehaze.dehaze.steady.stillness import Stillness, StillnessMeter
from streamdehaze.evaluation.appearance import Appearance, appearance
from streamdehaze.evaluation.evaluate import evaluate, has_truth
from streamdehaze.evaluation.halo import halo
from streamdehaze.evaluation.haze_map import HazeMap, map_haze
from streamdehaze.evaluation.report import EvaluationReport, Extremes
from streamdehaze.evaluation.temporal import Steadiness, SteadinessMeter
from streamdehaze.evaluation.visibility import VisibleEdges, visibility
from streamdehaze.fidelity import psnr, ssim

__all__ = [
    "Appearance",
    "EvaluationReport",
    "Extremes",
    "HazeMap",
    "Steadiness",
    "SteadinessMeter",
    "Stillness",
    "StillnessMeter",
    "VisibleEdges",
    "appearance",
    "evaluate",
    "halo",
    "has_truth",
    "map_haze",
    "psnr",
    "ssim",
    "visibility",
]

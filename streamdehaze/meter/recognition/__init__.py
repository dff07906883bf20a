"""A second opinion on the haze of a picture, from a small network that knows scenes.

Products on white, faded prints and lawns under a grey sky have as little contrast and colour as a street in thin fog.
What they show tells them apart: this network has seen photos, drawn streets and rooms, with haze and without. `--mode
auto` asks it, but it does not decide alone: of the weather before one camera it is the worse judge.
benchmarks/train_meter.py trains it.
"""

from __future__ import annotations

from pathlib import Path

from streamdehaze.frame import FloatArray
from streamdehaze.network.small import SmallNetwork, probability

_NETWORK = SmallNetwork(Path(__file__).with_name("haze.onnx"), 64, 96, ["logit"])


def recognized_density(hazy: FloatArray) -> float:
    """The density of the haze, 0 to 1, as the network sees it.

    Args:
        hazy: RGB (3, rows, columns) in [0, 1]; what covers the scene is filled.
    """
    (logit,) = _NETWORK.answers(hazy)
    return probability(logit)

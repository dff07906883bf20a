"""Scores of a dehazer on pairs of hazy and clear pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze import Dehazer
from streamdehaze.evaluation.fidelity import psnr, ssim
from streamdehaze.evaluation.visibility import Visibility, visibility
from streamdehaze.training.layouts import Pair
from streamdehaze.training.pairs import read_pair


@dataclass(frozen=True)
class PictureScore:
    """How one picture came out."""

    name: str
    psnr: float
    """dB, of the result against the truth."""
    ssim: float
    hazy_psnr: float
    """dB, of the hazy picture against the truth."""
    hazy_ssim: float
    visibility: Visibility
    seconds: float
    """Time of the dehazer alone."""


@dataclass(frozen=True)
class Scored:
    """A score and the pictures it is about, each (H, W, 3) RGB."""

    score: PictureScore
    hazy: npt.NDArray[np.uint8]
    result: npt.NDArray[np.uint8]
    clear: npt.NDArray[np.uint8]


def score_pairs(dehazer: Dehazer, pairs: Iterable[Pair]) -> Iterator[Scored]:
    """Dehaze and score each pair, one after the other.

    Raises:
        SourceError: naming a file that is damaged or whose size differs from its partner's.
    """
    for pair in pairs:
        hazy, clear = read_pair(pair)
        start = time.perf_counter()
        result = dehazer(hazy)
        seconds = time.perf_counter() - start
        yield Scored(
            PictureScore(
                pair.hazy.name,
                psnr(result, clear),
                ssim(result, clear),
                psnr(hazy, clear),
                ssim(hazy, clear),
                visibility(hazy, result),
                seconds,
            ),
            hazy,
            result,
            clear,
        )

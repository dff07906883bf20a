"""Whether an engine computes what PyTorch does, and how fast each of them is."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from pydantic import BaseModel, ConfigDict

from streamdehaze.engine.picture import hazy_pictures
from streamdehaze.engine.protocol import Engine
from streamdehaze.fidelity import psnr
from streamdehaze.frame import FloatArray


class Verification(BaseModel):
    """What a comparison with PyTorch in float32 found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool
    reason: str
    """One sentence, as "73.1 dB of PyTorch float32, 35.0 asked"."""
    engine: str
    """`Engine.name`."""
    shape: tuple[int, int, int]
    """(pictures, height, width) compared."""
    psnr_db: float | None
    """Over the worst picture, 100 for an equal one; None when the result had values that are not finite."""
    largest_difference: float | None
    milliseconds: float
    """Of one picture, the best of several batches."""
    torch_milliseconds: float
    """Of the PyTorch engine in the same minute."""

    @property
    def speedup(self) -> float:
        """How many times as fast as PyTorch."""
        return self.torch_milliseconds / self.milliseconds


def verify(
    engine: Engine,
    reference: Engine,
    shape: tuple[int, int, int],
    floor_db: float,
    repeats: int = 5,
    picture: FloatArray | None = None,
) -> Verification:
    """Compare an engine with the PyTorch engine (float32) on hazy pictures, and time both by turns.

    Args:
        engine: under test.
        reference: PyTorch in float32.
        shape: (batch, height, width).
        floor_db: PSNR the worst picture must reach.
        repeats: timed batches of each; the best counts.
        picture: a hazy picture, (3, height, width) RGB in [0, 1], to take in place of drawn ones.
    """
    hazy = hazy_pictures(*shape) if picture is None else np.stack([picture] * shape[0])
    got, wanted = engine.infer(hazy), reference.infer(hazy)
    worst = largest = None
    if got.shape != wanted.shape:
        passed, reason = False, f"its result is {_in_words(got)} for {_in_words(hazy)}"
    elif not np.isfinite(got).all():
        passed, reason = False, "its result holds values that are not finite"
    else:
        worst = min(psnr(g, w, peak=1.0) for g, w in zip(got, wanted, strict=True))
        largest = float(np.abs(got - wanted).max())
        passed, reason = worst >= floor_db, f"{worst:.1f} dB of PyTorch float32, {floor_db:.1f} asked"
    seconds = [(_seconds(engine.infer, hazy), _seconds(reference.infer, hazy)) for _ in range(repeats)]
    best = [min(column) * 1000 / shape[0] for column in zip(*seconds, strict=True)]
    return Verification(
        passed=passed,
        reason=reason,
        engine=engine.name,
        shape=shape,
        psnr_db=None if worst is None else round(worst, 2),
        largest_difference=largest,
        milliseconds=round(best[0], 3),
        torch_milliseconds=round(best[1], 3),
    )


def _in_words(pictures: FloatArray) -> str:
    return "×".join(map(str, pictures.shape))


def _seconds(infer: Callable[[FloatArray], FloatArray], hazy: FloatArray) -> float:
    start = time.perf_counter()
    infer(hazy)
    return time.perf_counter() - start

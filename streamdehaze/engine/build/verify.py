"""Whether an engine computes what PyTorch does, and how fast each of them is."""

from __future__ import annotations

import numpy as np

from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.build.speed import PairedTiming, time_alternately
from streamdehaze.engine.protocol import Engine
from streamdehaze.fidelity import psnr
from streamdehaze.frame import FloatArray
from streamdehaze.toml import Table


class Verification(Table):
    """What a comparison with PyTorch in float32 found."""

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
    timings: tuple[PairedTiming, ...] = ()
    """The latest last; none where PyTorch was not there to be timed."""

    @property
    def speedup(self) -> float | None:
        """How many times as fast as PyTorch, as measured last."""
        return self.timings[-1].speedup if self.timings else None

    def timed_again(self, timing: PairedTiming) -> Verification:
        """The same comparison with one more timing; the three latest are kept."""
        return self.model_copy(update={"timings": (*self.timings, timing)[-3:]})


def verify(
    engine: Engine,
    reference: Engine | FloatArray,
    shape: tuple[int, int, int],
    floor_db: float,
    picture: FloatArray | None = None,
) -> Verification:
    """Compare an engine with the PyTorch engine (float32) on hazy pictures, and time both alternately.

    Args:
        engine: under test.
        reference: PyTorch in float32, or its answer, (batch, 3, height, width); then nothing is timed.
        shape: (batch, height, width).
        floor_db: PSNR the worst picture must reach.
        picture: a hazy picture, (3, height, width) RGB in [0, 1], to use instead of synthetic ones.
    """
    hazy = hazy_pictures(*shape) if picture is None else np.stack([picture] * shape[0])
    got = engine.infer(hazy)
    timings: tuple[PairedTiming, ...] = ()
    if isinstance(reference, np.ndarray):
        wanted, whose = reference, "the kept answer of PyTorch"
    else:
        wanted, whose = reference.infer(hazy), "PyTorch"
        timings = (time_alternately(engine, reference, hazy),)
    worst = largest = None
    if got.shape != wanted.shape:
        passed, reason = False, f"its result is {_in_words(got)} for {_in_words(hazy)}"
    elif not np.isfinite(got).all():
        passed, reason = False, "its result holds values that are not finite"
    else:
        worst = min(psnr(g, w, peak=1.0) for g, w in zip(got, wanted, strict=True))
        largest = float(np.abs(got - wanted).max())
        passed, reason = worst >= floor_db, f"{worst:.1f} dB of {whose} float32, {floor_db:.1f} asked"
    return Verification(
        passed=passed,
        reason=reason,
        engine=engine.name,
        shape=shape,
        psnr_db=None if worst is None else round(worst, 2),
        largest_difference=largest,
        timings=timings,
    )


def _in_words(pictures: FloatArray) -> str:
    return "×".join(map(str, pictures.shape))

"""Whether an engine is faster than PyTorch, on evidence that other work on the machine cannot forge."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from streamdehaze.engine.protocol import Engine
from streamdehaze.frame import FloatArray
from streamdehaze.toml import Table

MARGIN = 0.1
"""An engine counts as slower only if it takes this much more of both wall and processor time."""
_CALM = 0.1
"""Share of the machine that other work may take during a measurement that is to decide anything."""
_VALID = timedelta(days=7)
"""How long two measurements that prefer PyTorch hold."""
_PAUSE = timedelta(days=1)
"""How long a measurement that decided nothing keeps the next one off."""


class PairedTiming(Table):
    """An engine and PyTorch timed alternately; the least of several rounds counts."""

    taken: datetime
    """UTC."""
    milliseconds: float
    """Wall time of one picture in the engine."""
    torch_milliseconds: float
    processor_milliseconds: float
    """Processor time of one picture in the engine, all threads together."""
    torch_processor_milliseconds: float
    others: float | None
    """Share of the machine's cores that other processes used meanwhile, 0 to 1; None where that cannot be seen."""

    @property
    def speedup(self) -> float:
        """How many times as fast as PyTorch the engine is."""
        return self.torch_milliseconds / self.milliseconds

    @property
    def slower(self) -> bool:
        """Whether the engine took more of both kinds of time, by the margin."""
        return (
            self.milliseconds > (1 + MARGIN) * self.torch_milliseconds
            and self.processor_milliseconds > (1 + MARGIN) * self.torch_processor_milliseconds
        )

    @property
    def calm(self) -> bool:
        """Whether the machine was idle enough for the figures to decide anything."""
        return self.others is not None and self.others < _CALM


def time_alternately(engine: Engine, reference: Engine, hazy: FloatArray, rounds: int = 7) -> PairedTiming:
    """Time two engines on a batch of hazy pictures, (B, 3, H, W) RGB in [0, 1]; both have run once before."""
    busy, own, start = _busy_seconds(), time.process_time(), time.perf_counter()
    taken = [(_spend(engine.infer, hazy), _spend(reference.infer, hazy)) for _ in range(rounds)]
    own, passed, after = time.process_time() - own, time.perf_counter() - start, _busy_seconds()
    others = None
    if busy is not None and after is not None:
        others = max(0.0, after - busy - own) / (passed * (os.cpu_count() or 1))
    least = [
        [1000 * min(each[index] for each in column) / len(hazy) for index in (0, 1)]
        for column in zip(*taken, strict=True)
    ]
    return PairedTiming(
        taken=datetime.now(timezone.utc),
        milliseconds=round(least[0][0], 3),
        torch_milliseconds=round(least[1][0], 3),
        processor_milliseconds=round(least[0][1], 3),
        torch_processor_milliseconds=round(least[1][1], 3),
        others=None if others is None else round(others, 3),
    )


def prefers_pytorch(timings: Sequence[PairedTiming]) -> bool:
    """Whether PyTorch is to serve: if the last two measurements, on a calm machine, both found the engine slower."""
    return len(timings) >= 2 and all(timing.calm and timing.slower for timing in timings[-2:])


def needs_timing(timings: Sequence[PairedTiming]) -> bool:
    """Whether to measure again before an engine is used: where the last measurement prefers PyTorch, and is not final.

    Measurements that nothing hangs on are not repeated.
    """
    if not timings or not (last := timings[-1]).slower:
        return False
    now = datetime.now(timezone.utc)
    if prefers_pytorch(timings):
        return now - last.taken > _VALID
    return last.calm or len(timings) == 1 or now - last.taken > _PAUSE


def _spend(infer: Callable[[FloatArray], FloatArray], hazy: FloatArray) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    infer(hazy)
    return time.perf_counter() - wall, time.process_time() - processor


def _busy_seconds() -> float | None:
    """Seconds that the machine's cores have been busy since it started, where the system tells."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = fields[3] + fields[4]  # waiting for a disk is idle
        return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None

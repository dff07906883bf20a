"""Repeating a piece of work until its speed is known."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamdehaze.bench.gpu import GpuLoad, GpuWatch

SPREAD = 0.02
"""Rounds that differ by less than this share of their median count as settled."""
_ROUNDS = 3
_ROUND_SECONDS = 0.25
_KEPT = 200


@dataclass(frozen=True)
class Timing:
    """How fast a piece of work was, over all its calls after the warm-up."""

    fps: float
    """Frames a second: the median of the last rounds."""
    spread: float
    """Largest difference between the last rounds, as a share of their median."""
    settled: bool
    """Whether the spread came under 2 % before the time limit."""
    latency_ms: dict[str, float]
    """min, mean, median, p90, p95, p99 of one call (a call may hold several frames)."""
    calls: int
    frames: int
    cpu_seconds_per_frame: float
    """Processor time of all threads."""
    cores_used: float
    """Processor time over wall time."""
    peak_rss_mib: float | None
    """Peak memory of the process, where the system reports it (Linux)."""
    gpu: GpuLoad | None = None
    """What the GPU's driver reported meanwhile, where there is one."""
    latencies_ms: Sequence[float] = ()
    """Up to 200 of the latencies, evenly sampled in ascending order, for a histogram."""

    def faster_than(self, other: Timing) -> bool:
        """Whether this is faster by more than the rounds of the two differed among themselves."""
        return self.fps * (1 - self.spread) > other.fps * (1 + other.spread)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Timing:
        """What `dataclasses.asdict` made plain."""
        gpu = values.get("gpu")
        return cls(**{**values, "gpu": None if gpu is None else GpuLoad(**gpu)})


def measure(
    work: Callable[[], int],
    *,
    limit_seconds: float,
    warm_up: int = 2,
    round_seconds: float = _ROUND_SECONDS,
    rounds: int = _ROUNDS,
) -> Timing:
    """Call `work` until the last rounds agree within 2 %, or the limit is reached.

    Args:
        work: does something with frames and returns how many.
        limit_seconds: when to stop in any case; `rounds` rounds are always made.
        warm_up: calls before the clock starts (compilation, caches, first allocations).
        round_seconds: least length of a round.
        rounds: how many must agree.
    """
    for _ in range(warm_up):
        work()
    reset_peak_memory()
    latencies: list[float] = []
    rates: list[float] = []
    total_frames, begin, begin_cpu = 0, time.perf_counter(), time.process_time()
    with GpuWatch() as gpu:
        while True:
            frames, start = 0, time.perf_counter()
            while (now := time.perf_counter()) - start < round_seconds or not frames:
                frames += work()
                latencies.append((time.perf_counter() - now) * 1000)
            rates.append(frames / (time.perf_counter() - start))
            total_frames += frames
            last = rates[-rounds:]
            spread = (max(last) - min(last)) / statistics.median(last)
            settled = len(last) == rounds and spread < SPREAD
            wall = time.perf_counter() - begin
            if settled or (len(last) == rounds and wall >= limit_seconds):
                break
        cpu = time.process_time() - begin_cpu
    return Timing(
        fps=statistics.median(last),
        spread=spread,
        settled=settled,
        latency_ms=percentiles(latencies),
        calls=len(latencies),
        frames=total_frames,
        cpu_seconds_per_frame=cpu / total_frames,
        cores_used=cpu / wall,
        peak_rss_mib=peak_memory_mib(),
        gpu=gpu.load,
        latencies_ms=_thinned(sorted(latencies)),
    )


def _thinned(values: list[float]) -> list[float]:
    step = max(1.0, len(values) / _KEPT)
    return [values[int(index * step)] for index in range(min(len(values), _KEPT))]


def percentiles(values: list[float]) -> dict[str, float]:
    """min, mean, median, p90, p95 and p99 by the nearest-rank method: each is a value that occurred (but the mean)."""
    least, *ranks = (float(rank) for rank in np.percentile(values, (0, 50, 90, 95, 99), method="inverted_cdf"))
    mean = statistics.fmean(values)
    return dict(zip(("min", "mean", "median", "p90", "p95", "p99"), (least, mean, *ranks), strict=True))


def reset_peak_memory() -> None:
    """Start a new peak, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mib() -> float | None:
    """Peak resident memory of the process since the last reset; None where the system does not report it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    fields: dict[str, Any] = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) / 1024 if "VmHWM" in fields else None

"""What an NVIDIA GPU's driver reports about memory and clocks during a measurement."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from dataclasses import dataclass

_FIELDS = "memory.used,clocks.sm,clocks.mem,utilization.gpu,power.draw"
_EVERY_MILLISECONDS = 200


@dataclass(frozen=True)
class GpuLoad:
    """Figures of the first GPU; None for what its driver does not report."""

    peak_memory_mib: float | None
    """Memory of all processes together."""
    sm_clock_mhz: float | None
    """Median, like all that follow."""
    memory_clock_mhz: float | None
    utilisation_percent: float | None
    power_watts: float | None


class GpuWatch:
    """Lets `nvidia-smi` report while a `with` block runs; without an NVIDIA driver it does nothing.

    Attributes:
        load: what was seen, after the block; None without a driver or where the block was too short.
    """

    def __init__(self) -> None:
        self.load: GpuLoad | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> GpuWatch:
        if program := shutil.which("nvidia-smi"):
            arguments = [f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits", "--id=0"]
            self._process = subprocess.Popen(
                [program, *arguments, f"--loop-ms={_EVERY_MILLISECONDS}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.terminate()
            report, _ = self._process.communicate()
            self.load = _summary(report)


def _summary(report: str) -> GpuLoad | None:
    lines = [line.split(",") for line in report.splitlines() if line.count(",") == _FIELDS.count(",")]
    columns = [[v for text in column if (v := _number(text)) is not None] for column in zip(*lines, strict=True)]
    if not columns:
        return None
    memory, *others = columns
    return GpuLoad(max(memory, default=None), *(statistics.median(values) if values else None for values in others))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return None

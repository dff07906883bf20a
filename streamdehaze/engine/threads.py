"""CPU threads of the engines."""

from __future__ import annotations

import math
import os
from pathlib import Path


def usable_cores() -> int:
    """Cores left to this process by its affinity, its container's CPU quota and `OMP_NUM_THREADS`; 1 at least.

    The last is how Ray, Slurm and others tell a task how many of a machine's cores are its own.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no control group, or its quota is "max"
    if (asked := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        cores = min(cores, int(asked))
    return max(1, cores)

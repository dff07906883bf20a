"""CPU threads of the engines, beside those that decode and encode."""

from __future__ import annotations

import math
import os
from pathlib import Path

# OpenMP's threads wait for each other by spinning. Where decoders and encoders want the same cores that is ruinous:
# on two busy cores AECR-Net took 4 times as long in PyTorch as with threads that sleep. OpenMP reads this once, when
# torch loads it, so it is said here, which every engine imports first; a value the user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def usable_cores() -> int:
    """Cores left to this process by its affinity and by its container's CPU quota; 1 at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no control group, or its quota is "max"
    return max(1, cores)

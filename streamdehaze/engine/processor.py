"""This machine's processor: its name, how much of it this process may use, and what it computes fast."""

from __future__ import annotations

import functools
import math
import os
import platform
from pathlib import Path


def processor_name() -> str:
    """Such as "AMD EPYC 9B14"."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def process_cores() -> int:
    """Cores left to this process and its children by its affinity and its container's CPU quota; 1 at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no control group, or its quota is "max"
    return max(1, cores)


def usable_cores() -> int:
    """Cores for the threads of this process: `process_cores`, and no more than `OMP_NUM_THREADS`.

    The last is how Ray, Slurm and others tell a task how many of a machine's cores are its own.
    """
    cores, asked = process_cores(), os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(asked))) if asked.isdecimal() else cores


def has_bfloat16() -> bool:
    """Whether it multiplies bfloat16: AVX512-BF16 or AMX on x86, BF16 on ARM. Others emulate it, far slower."""
    return not _features().isdisjoint({"avx512bf16", "amx-bf16", "bf16"})


def is_fast_in_int8() -> bool:
    """Whether it multiplies int8 faster than floats: AVX2 on x86 (faster still with VNNI or AMX), dotprod on ARM."""
    return not _features().isdisjoint({"avx2", "dotprod"})


@functools.cache
def _features() -> frozenset[str]:
    # LLVM comes with numba, asks the processor itself and takes the operating system's support into account.
    from llvmlite import binding

    try:
        found = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this platform
        return frozenset()
    return frozenset(name for name, present in found.items() if present)

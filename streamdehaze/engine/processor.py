"""What this machine's processor computes fast."""

from __future__ import annotations

import functools


def has_bfloat16() -> bool:
    """Whether it multiplies bfloat16: AVX512-BF16 or AMX on x86, BF16 on ARM. Others emulate it, far slower."""
    return not _features().isdisjoint({"avx512bf16", "amx-bf16", "bf16"})


def has_int8_dot_products() -> bool:
    """Whether it sums products of int8 in one instruction: VNNI or AMX on x86, dotprod on ARM."""
    return not _features().isdisjoint({"avx512vnni", "avxvnni", "amx-int8", "dotprod"})


@functools.cache
def _features() -> frozenset[str]:
    # LLVM comes with numba, asks the processor itself and takes the operating system's support into account.
    from llvmlite import binding

    try:
        found = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this platform
        return frozenset()
    return frozenset(name for name, present in found.items() if present)

"""How much memory this process holds."""

from __future__ import annotations

import psutil


def resident_bytes() -> int:
    """Bytes of this process that are in memory now."""
    return int(psutil.Process().memory_info().rss)

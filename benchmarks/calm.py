"""Timing on a machine where others work too: for the moment of a call this process goes before them.

Used by the other scripts here. Needs Linux and the right to real-time priority (root); without, calls are timed as they
come. Between two calls the machine is given back for as long, so that nothing else starves.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def calm() -> Iterator[None]:
    """Let every thread this process has now run at real-time priority."""
    threads = [int(name) for name in os.listdir("/proc/self/task")] if hasattr(os, "SCHED_RR") else []
    try:
        _schedule(threads, os.SCHED_RR, 1)
        yield
    finally:
        _schedule(threads, os.SCHED_OTHER, 0)


def _schedule(threads: list[int], policy: int, priority: int) -> None:
    for thread in threads:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.sched_setscheduler(thread, policy, os.sched_param(priority))


def timed(work: Callable[[], object], *, calmly: bool = True) -> tuple[float, float]:
    """Milliseconds of wall and of processor time of one call."""
    with calm() if calmly else contextlib.nullcontext():
        wall, processor = time.perf_counter(), time.process_time()
        work()
        took = (time.perf_counter() - wall) * 1000, (time.process_time() - processor) * 1000
    if calmly:
        time.sleep(min(2.0, took[0] / 1000))
    return took

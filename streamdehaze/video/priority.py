"""Keeping an encoder from taking the machine for itself."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def ordinary_priority() -> Iterator[None]:
    """Give all threads the priority back that this one had, where opening an encoder changed it.

    SVT-AV1 makes its threads and the one that opens it real-time threads of the highest priority, where it may (as
    root). On few processors nothing else gets to run then, not even the decoder that it waits for.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            for thread in os.listdir("/proc/self/task"):
                with contextlib.suppress(OSError):  # it ended meanwhile
                    os.sched_setscheduler(int(thread), policy, parameters)

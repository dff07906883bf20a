"""Undoes the side effects that opening an encoder has on the process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def opening_encoder() -> Iterator[None]:
    """Open encoders inside: they print no settings, and threads keep the priority that this one has.

    SVT-AV1 prints its settings unless SVT_LOG says otherwise. It makes its threads and the one that opens it real-time
    threads of the highest priority, where it may (as root). On few processors nothing else gets to run then, not even
    the decoder that it waits for.
    """
    is_quiet = "SVT_LOG" in os.environ
    os.environ.setdefault("SVT_LOG", "1")
    scheduled = (os.sched_getscheduler(0), os.sched_getparam(0)) if sys.platform == "linux" else None
    try:
        yield
    finally:
        if not is_quiet:
            os.environ.pop("SVT_LOG", None)
        if scheduled is not None and os.sched_getscheduler(0) != scheduled[0]:
            for thread in os.listdir("/proc/self/task"):
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    os.sched_setscheduler(int(thread), *scheduled)

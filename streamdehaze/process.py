"""A process of ours: memory that it may use and its threads share, and Python programs that it starts."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

_M_ARENA_MAX = -8
"""glibc's malloc.h"""


def limit_arenas(count: int) -> None:
    """Let threads share a few of the allocator's arenas; to be called before there are many threads.

    glibc gives each new thread an arena of its own, up to eight a core: what a thread has freed in one, the threads of
    others cannot use. The threads of live cameras come and go; with an arena each, memory in use stays the same while
    free memory between grows with every reconnect, by 15 MiB in the first two minutes with four cameras. A run on a
    file has two dozen threads, and needs 11 MiB less with one arena for all.
    """
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, count)


def give_back() -> None:
    """Return free memory to the system; to be called where much has been freed, as when a connection has ended."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def free_memory(container: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that the machine has left, or this process's container, where that is less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        most, used = (int((container / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no control group, or its limit is "max"
        return free
    return min(free, max(most - used, 0))


@functools.cache
def _function(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where it has none of that name, as musl and other systems."""
    try:
        function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # Windows
        return None
    return function


def python_command(statement: str) -> list[str]:
    """A command that runs a statement in a Python like this one, with modules from where this one has them.

    Python looks in the working directory first: a `queue.py` or `numpy.py` in a folder of downloads would run as code
    in every child process. Here it is searched last, and only where this process searches it too, as a checkout may
    need.
    """
    here = os.getcwd()
    own = [entry for entry in sys.path if entry not in ("", ".", here)]
    last = [here] if here in sys.path else []
    # Nothing is imported before the path is set; `sys` is built in.
    program = f"import sys; sys.path[:] = {own + last!r}; {statement}"
    return [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else []), "-c", program]

"""What a command costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_SCRIPT = """
import resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
wall, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
print(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Cost:
    """Of one run of a command, its threads and children."""

    wall: float
    cpu: float
    """Seconds."""
    mebibytes: float
    """Peak of the memory it held."""


def measure(command: Sequence[str]) -> Cost:
    """Run a command by a process that does nothing else.

    On Linux the peak of a child includes what its parent held when it was started, so the parent must be small. Modules
    are compiled to files by its first run, as an installation compiles them, whatever the environment says: to compile
    ours takes 0.2 s.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    script = [sys.executable, "-c", _SCRIPT, *command]
    done = subprocess.run(script, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    wall, cpu, mebibytes = (float(number) for number in done.stdout.split())
    return Cost(wall, cpu, mebibytes)

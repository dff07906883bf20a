"""How long `streamdehaze --help` takes, against `python -c "import torch"`: median wall time, in turn, one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 9


def seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    help_command = [str(Path(sys.executable).with_name("streamdehaze")), "--help"]
    torch_command = [sys.executable, "-c", "import torch"]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(seconds(help_command))
        theirs.append(seconds(torch_command))
    help_median, torch_median = statistics.median(ours), statistics.median(theirs)
    print(f"streamdehaze --help {help_median:.3f} s, import torch {torch_median:.3f} s")
    print(f"ratio {help_median / torch_median:.2f}")


if __name__ == "__main__":
    main()

"""What comparing an output with its input costs: processor seconds of it, and of the whole run that it is part of.

    python benchmarks/read_back.py VIDEO [--rounds 3]

Each round makes VIDEO clear in this process, the rehearsal before the first frame, the look at the first frames and
the reading back at the end included. While the first and the last happen, nothing else works, so that the clock of the
process tells what they take with all their threads; the look is timed by its own thread's.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamdehaze import Dehazer, open_sink, open_source
from streamdehaze.video.readback.check import ReadBack


def timed(work: Callable[..., Any], clock: Callable[[], float], spent: list[float]) -> Callable[..., Any]:
    """The same work; what it takes by `clock` is added to `spent`, in processor seconds."""

    @functools.wraps(work)
    def measured(*values: Any, **options: Any) -> Any:
        begun = clock()
        try:
            return work(*values, **options)
        finally:
            spent.append(clock() - begun)

    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    spent: list[float] = []
    clocks = {"__init__": time.process_time, "rehearse": time.process_time, "see": time.thread_time,
              "check": time.process_time}  # fmt: skip
    for name, clock in clocks.items():
        setattr(ReadBack, name, timed(getattr(ReadBack, name), clock, spent))
    with Dehazer(steady="low", every="auto", look_ahead=True) as dehazer:
        for _ in range(arguments.rounds):
            spent.clear()
            dehazer.reset()
            frames, begun = 0, time.process_time()
            with (
                tempfile.TemporaryDirectory() as folder,
                open_source(arguments.video) as source,
                open_sink(Path(folder) / f"out{arguments.video.suffix}", source) as sink,
            ):
                for frame in source:
                    for clear in dehazer.process([frame]):
                        sink.write(clear)
                        frames += 1
                for clear in dehazer.flush():
                    sink.write(clear)
                    frames += 1
            whole, own = time.process_time() - begun, sum(spent)
            print(
                f"{frames} frames: {whole:.2f} s, of it {own:.3f} s for the comparison: {own / whole:.2%}", flush=True
            )


if __name__ == "__main__":
    main()

"""What working in segments costs: processor time, peak memory and file size against writing in one go, alternately.

python benchmarks/segments.py VIDEO [--rounds 3] [--segment-seconds 60] [--engine torch] [--network-size 64]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from processes import Cost, measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--segment-seconds", default="60")
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--network-size", default="64")
    arguments = parser.parse_args()
    run = [str(Path(sys.executable).with_name("streamdehaze")), "run", "-q", "--overwrite", arguments.video]
    run += ["--engine", arguments.engine, "--network-size", arguments.network_size]
    with tempfile.TemporaryDirectory() as name:
        found: dict[str, list[Cost]] = {"0": [], arguments.segment_seconds: []}
        for _ in range(arguments.rounds):
            for seconds, measured in found.items():
                target = Path(name) / f"{seconds}.mkv"
                measured.append(measure([*run, "--segment-seconds", seconds, "-o", str(target)]))
        sizes = {seconds: (Path(name) / f"{seconds}.mkv").stat().st_size for seconds in found}
    best = {
        seconds: (min(cost.cpu for cost in measured), min(cost.mebibytes for cost in measured))
        for seconds, measured in found.items()
    }
    for seconds, (cpu, peak) in best.items():
        print(f"segments of {seconds:>3} s: {cpu:7.2f} s CPU, peak {peak:.0f} MiB, {sizes[seconds] / 1e6:.2f} MB")
    (plain_cpu, plain_peak), (cpu, peak) = best.values()
    plain_size, size = sizes.values()
    print(f"ratios: CPU {cpu / plain_cpu:.3f}, peak memory {peak / plain_peak:.3f}, file {size / plain_size:.4f}")


if __name__ == "__main__":
    main()

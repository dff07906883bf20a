"""`run --engine auto` against `--engine torch` and `--engine openvino`: it must not be slower than the better of them.

    python benchmarks/auto_engine.py VIDEO [--rounds 3]

Whole processes, start-up included, alternately. "cold" begins with an empty engine cache, so that PyTorch serves while
the engine is being built; "warm" finds it built.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = "from streamdehaze.cli import main; main()"


def seconds(video: Path, engine: str, engines: Path, folder: Path) -> float:
    arguments = ["run", str(video), "-o", str(folder / "clear.mp4"), "--overwrite", "--engine", engine, "-q"]
    environment = {**os.environ, "STREAMDEHAZE_ENGINES": str(engines)}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        warm = folder / "warm"
        build = ["engine", "build", "--engine", "openvino"]
        environment = {**os.environ, "STREAMDEHAZE_ENGINES": str(warm)}
        subprocess.run([sys.executable, "-c", PROGRAM, *build], check=True, env=environment, stdout=subprocess.DEVNULL)
        best: dict[str, float] = {}
        for turn in range(asked.rounds):
            for name, engine, engines in (
                ("torch", "torch", warm),
                ("openvino, warm", "openvino", warm),
                ("auto, warm", "auto", warm),
                ("auto, cold", "auto", folder / f"cold-{turn}"),
            ):
                taken = seconds(asked.video, engine, engines, folder)
                best[name] = min(taken, best.get(name, taken))
        for name, taken in best.items():
            print(f"{name}: {taken:.1f} s")
        better = min(best["torch"], best["openvino, warm"])
        print(f"auto (warm) / better of torch and openvino: {best['auto, warm'] / better:.3f}")
        print(f"auto (cold) / torch: {best['auto, cold'] / best['torch']:.3f}")


if __name__ == "__main__":
    main()

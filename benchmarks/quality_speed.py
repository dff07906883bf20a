"""Quality against speed: network size × checkpoint × engine, on SOTS-indoor pictures and 720p frames.

    python benchmarks/quality_speed.py SOTS_FOLDER VIDEO [--plot quality-speed.png] [--exact]

SOTS_FOLDER holds `hazy/` and `clear/`. For each checkpoint and network size: the mean PSNR of the pictures against
their truth at full size (by the first engine: each is verified against PyTorch), and, for each engine, milliseconds a
frame of `Dehazer.process` on batches of 4 frames of VIDEO in memory (shrink, engine, fit and apply; no decoding or
encoding). All combinations are timed alternately, calmly (see calm.py), and the best of the rounds counts. Prints a
Markdown table. `--exact` adds the network on whole pictures, which takes long.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np
from calm import timed

from streamdehaze import Dehazer
from streamdehaze.engine import open_engine
from streamdehaze.network import list_checkpoints
from streamdehaze.plotting import new_figure, save_figure
from streamdehaze.video import FileSource

SIZES, ENGINES, ROUNDS = (128, 192, 256, 384, 512), ("openvino", "torch"), 6


def read(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def quality(dehazer: Dehazer, pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    found = []
    for hazy, clear in pairs:
        error = np.mean((dehazer(hazy).astype(np.float64) - clear) ** 2)
        found.append(10 * np.log10(255**2 / error))
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sots", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--exact", action="store_true")
    asked = parser.parse_args()
    hazy_files = sorted((asked.sots / "hazy").glob("*.png"))
    pairs = [(read(f), read(asked.sots / "clear" / f"{f.stem.split('_')[0]}.png")) for f in hazy_files]
    source = FileSource(asked.video)
    frames = list(itertools.islice(source, 4))
    source.close()

    dehazers: dict[tuple[str, str, str], Dehazer] = {}
    for checkpoint, engine_name in itertools.product(list_checkpoints(), ENGINES):
        for size in SIZES:  # an engine each: one keeps only the latest few sizes compiled
            engine = open_engine(checkpoint, engine_name, wait=True)
            dehazers[checkpoint, engine.name, str(size)] = Dehazer(checkpoint, engine=engine, network_size=size)
        if asked.exact:
            dehazers[checkpoint, engine.name, "exact"] = Dehazer(checkpoint, engine=engine, exact=True)
    best = dict.fromkeys(dehazers, float("inf"))
    for turn in range(ROUNDS + 1):
        for key, dehazer in dehazers.items():
            took, _ = timed(lambda: dehazer.process(frames), calmly=turn > 0)  # noqa: B023
            if turn:  # the first round warms up
                best[key] = min(best[key], took / len(frames))
    scores: dict[tuple[str, str], float] = {}
    for (checkpoint, _, size), dehazer in dehazers.items():
        if (checkpoint, size) not in scores:
            scores[checkpoint, size] = quality(dehazer, pairs)
    psnr = {key: scores[key[0], key[2]] for key in dehazers}
    print(f"PSNR: mean of {len(pairs)} pictures; ms: a frame of {frames[0].width}×{frames[0].height}\n")
    print("| checkpoint | engine | network size | PSNR dB | ms a frame |\n|---|---|---|---|---|")
    for key in dehazers:
        print(f"| {' | '.join(key)} | {psnr[key]:.2f} | {best[key]:.1f} |")
    if asked.plot:
        draw(asked.plot, psnr, best)


def draw(path: Path, psnr: dict[tuple[str, str, str], float], milliseconds: dict[tuple[str, str, str], float]) -> None:
    figure = new_figure("--plot", 8, 5)
    axes = figure.subplots()
    for checkpoint, engine in dict.fromkeys(key[:2] for key in psnr):
        keys = [key for key in psnr if key[:2] == (checkpoint, engine)]
        x, y = [milliseconds[key] for key in keys], [psnr[key] for key in keys]
        axes.plot(x, y, marker="o", label=f"{checkpoint}, {engine}")
        for key in keys:
            axes.annotate(key[2], (milliseconds[key], psnr[key]), textcoords="offset points", xytext=(4, 4), fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds a frame (shrink, engine, fit, apply)")
    axes.set_ylabel("PSNR on SOTS-indoor pictures, dB")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    save_figure(figure, path)


if __name__ == "__main__":
    main()

"""How steady the clear video is, and what that costs: per frame, low and high; the network every frame or every k-th.

    python benchmarks/steady.py [--still VIDEO] [--rgbd FOLDER] [--street FRAMES] [--every 1 2 4 auto] [--plot PNG]

1. `--still`: a video of a camera at rest, such as real fog. Change that dehazing adds where the hazy video stands
   still, and wobble of the mean brightness, as ratios to per-frame (`streamdehaze.evaluation.stillness`).
2. `--rgbd`: a folder of NAME.color.jpg, NAME.depth.png, NAME.pose.txt and camera-intrinsics.txt. It is made hazy by its
   depth; PSNR against the clear truth, and the error along the motion (true one by depth and pose, and DIS flow) as
   ratios to that of the truth itself.
3. `--street`: the same on our own rendered street, with its true motion.

Last, CPU milliseconds a frame of each way (all threads; decoding and encoding aside).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamdehaze import Dehazer, open_source
from streamdehaze.engine import open_engine
from streamdehaze.evaluation import SteadinessMeter, StillnessMeter, psnr
from streamdehaze.evaluation.reprojection import motion_from_depth
from streamdehaze.evaluation.temporal import MotionField, motion_to_previous
from streamdehaze.frame import Frame
from streamdehaze.scene import Fog, StreetScene
from streamdehaze.scene.clip import to_bytes
from streamdehaze.training.picture import read_picture, to_float
from streamdehaze.video.rgb import RgbConverter

Shown = tuple[np.ndarray, np.ndarray, MotionField | None]
"""Hazy frame, truth, and true motion to the frame before (or of the street: to the next)."""


def still(video: Path, dehazers: dict[str, Dehazer]) -> dict[str, StillnessMeter]:
    """Meters of each way on a video without a truth."""
    meters = {name: StillnessMeter() for name in dehazers}
    rgb = RgbConverter()
    with closing(open_source(video)) as source:
        for frame in source:
            hazy = rgb(frame)
            for name, dehazer in dehazers.items():
                meters[name].add(hazy, rgb(dehazer.process([frame])[0]))
    return meters


def found_by(meter: StillnessMeter) -> tuple[float, float]:
    """Added change and brightness wobble."""
    found = meter.stillness
    assert found is not None
    return found.added_change or 0.0, found.brightness_wobble


def rgbd(folder: Path) -> Iterator[Shown]:
    """An RGB-D video through fog of β 0.3 a metre and A 0.85."""
    intrinsics = np.loadtxt(folder / "camera-intrinsics.txt")
    before: tuple[np.ndarray, np.ndarray] | None = None
    for path in sorted(folder.glob("*.color.jpg")):
        clear = read_picture(path)
        stem = str(path).removesuffix(".color.jpg")
        millimetres = cv2.imread(f"{stem}.depth.png", cv2.IMREAD_UNCHANGED)
        metres = np.where(millimetres < 65535, millimetres, 0).astype(np.float32) / 1000
        pose = np.loadtxt(f"{stem}.pose.txt")
        motion = motion_from_depth(metres, before[0], pose, before[1], intrinsics) if before else None
        before = metres, pose
        t = np.exp(-0.3 * filled(metres))[..., None]
        yield to_bytes(to_float(clear) * t + np.float32(0.85) * (1 - t)), clear, motion


def filled(depth: np.ndarray) -> np.ndarray:
    """Unknown pixels take the distance of the nearest known one."""
    known = depth > 0
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    distances = np.zeros(int(nearest.max()) + 1, np.float32)
    distances[nearest[known]] = depth[known]
    return distances[nearest]


def street(frames: int) -> Iterator[Shown]:
    """Our own street through uneven fog."""
    fog = Fog(visibility_metres=90, unevenness=0.2)
    for frame in StreetScene(640, 360, frames=frames):
        motion = frame.flow, _margin(~frame.occluded)
        yield to_bytes(fog.apply(frame.clear, frame.depth_metres, frame.index)), to_bytes(frame.clear), motion


def _margin(seen: np.ndarray) -> np.ndarray:
    return cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def score(frames: Iterator[Shown], dehazers: dict[str, Dehazer], *, to_next: bool) -> None:
    """Print a row for each way; with `to_next` the motion is to the next frame, and measured going back in time."""
    meters = {name: (SteadinessMeter(), SteadinessMeter()) for name in dehazers}
    quality: dict[str, list[float]] = {name: [] for name in dehazers}
    kept = []
    for hazy, truth, motion in frames:
        frame = Frame.from_array(hazy)
        kept.append((truth, motion, {name: d.process([frame])[0].to_array() for name, d in dehazers.items()}))
    previous: np.ndarray | None = None
    for truth, motion, results in reversed(kept) if to_next else kept:
        found = motion_to_previous(truth, previous) if previous is not None else None
        for name, result in results.items():
            quality[name].append(psnr(result, truth))
            for meter, field in zip(meters[name], (motion, found), strict=True):
                meter.add(result, truth, field)
        previous = truth
    print(
        "| way | PSNR dB (worst) | warped error / truth's, true motion (worst) | DIS flow (worst) |\n|---|---|---|---|"
    )
    for name, pair in meters.items():
        cells = []
        for meter in pair:
            steadiness = meter.steadiness
            assert steadiness is not None
            ratio = steadiness.warped_error / steadiness.warped_error_of_truth
            cells.append(f"{ratio:.3f} ({steadiness.worst_warped_ratio:.2f})")
        print(f"| {name} | {np.mean(quality[name]):.3f} ({min(quality[name]):.2f}) | {' | '.join(cells)} |", flush=True)


def cost(frames: list[Frame], dehazers: dict[str, Dehazer]) -> None:
    """CPU milliseconds a frame, the best of some rounds by turns."""
    best = dict.fromkeys(dehazers, float("inf"))
    for _ in range(8):
        for name, dehazer in dehazers.items():
            began = time.process_time()
            for frame in frames:
                dehazer.process([frame])
            best[name] = min(best[name], (time.process_time() - began) * 1000 / len(frames))
    print(", ".join(f"{name} {ms:.1f} ms" for name, ms in best.items()), "of CPU a frame")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--still", type=Path)
    parser.add_argument("--rgbd", type=Path)
    parser.add_argument("--street", type=int, default=0, help="frames")
    parser.add_argument("--every", nargs="+", default=["1"])
    parser.add_argument("--checkpoint", default="aecrnet-s")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    engine = open_engine(asked.checkpoint, asked.engine, wait=True)
    dehazers: dict[str, Dehazer] = {}
    for steady in ("off", "low", "high"):
        for every in asked.every:
            k: Any = every if every == "auto" else int(every)
            name = ("per frame" if steady == "off" else steady) + ("" if k == 1 else f", every {k}")
            dehazers[name] = Dehazer(asked.checkpoint, engine=engine, steady=steady, every=k)  # type: ignore[arg-type]
    print(f"{asked.checkpoint}, {engine.name}")
    if asked.still:
        meters = still(asked.still, dehazers)
        print(f"\n{asked.still.name}\n\n| way | added change, levels (ratio) | wobble, levels (ratio) |\n|---|---|---|")
        first_added, first_wobble = found_by(meters["per frame"])
        for name, meter in meters.items():
            added, wobble = found_by(meter)
            ratios = added / first_added, wobble / first_wobble
            print(f"| {name} | {added:.3f} ({ratios[0]:.3f}) | {wobble:.3f} ({ratios[1]:.3f}) |")
        if asked.plot:
            from streamdehaze.evaluation.trace import plot_trace

            columns = {name: [frame.added_change or 0.0 for frame in meter.trace] for name, meter in meters.items()}
            plot_trace(asked.plot, columns, "added change of still pixels, levels")
    clips = {"rgbd": rgbd(asked.rgbd) if asked.rgbd else None, "street": street(asked.street) if asked.street else None}
    for title, frames in clips.items():
        if frames is not None:
            for dehazer in dehazers.values():
                dehazer.reset()
            print(f"\n{title}\n")
            score(frames, dehazers, to_next=title == "street")
    if asked.still:
        with closing(open_source(asked.still)) as source:
            few = [frame for frame, _ in zip(source, range(20), strict=False)]
        cost(few, dehazers)
    engine.close()


if __name__ == "__main__":
    main()

"""How steady the clear video is, and what that costs: per frame, low and high; the network every frame or every k-th.

    python benchmarks/steady.py [--still VIDEO] [--rgbd FOLDER] [--street FRAMES] [--every 1 2 4 auto] [--frames N]
        [--plot PNG] [--skip-cost] [--brightness keep]

Brightness is natural unless asked otherwise, as the truth's is: what the default brightens gains contrast, and changes
along the motion as much more as that. "ahead" are the ways that look ahead, as files allow.

1. `--still`: a video of a camera at rest, such as real fog. Change that dehazing adds where the hazy video stands
   still, and wobble of the mean brightness, as ratios to per-frame (`streamdehaze.dehaze.steady.stillness`).
2. `--rgbd`: a folder of NAME.color.jpg, NAME.depth.png, NAME.pose.txt and camera-intrinsics.txt. It is made hazy by its
   depth; PSNR against the clear truth, and the error along the motion (true one by depth and pose, and DIS flow) as
   ratios to that of the truth itself.
3. `--street`: the same on our own rendered street, with its true motion, and on one driven three times as fast; then
   PSNR of the first frame after a cut to another street, of the frame after a flash, and of all frames through a fade.

The network answers once for each picture, whatever way asks. The plot shows per frame and low over time. Last, of the
still video and of the street at 1280×720, CPU milliseconds a frame of each way with the network in it (all threads,
without decoding and encoding), the best of some rounds alternately.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reprojection import motion_from_depth
from streamdehaze import Dehazer, open_source
from streamdehaze.bench.watch import watch
from streamdehaze.datasets.picture import read_picture, to_float
from streamdehaze.dehaze.atmosphere.tone import BRIGHTNESS_MODES
from streamdehaze.engine import Engine, open_engine
from streamdehaze.evaluation import SteadinessMeter, StillnessMeter, psnr
from streamdehaze.evaluation.temporal import MotionField, motion_to_previous
from streamdehaze.evaluation.trace import plot_traces
from streamdehaze.frame import Frame
from streamdehaze.scene import Fog, StreetScene
from streamdehaze.scene.clip import to_bytes

Shown = tuple[np.ndarray, np.ndarray, MotionField | None]
"""Hazy frame, truth, and true motion to the frame before (or of the street: to the next)."""


class OnceAsked:
    """An engine that is asked once for each picture, so that many ways cost the network of one."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self._engine = engine
        self._answers: dict[bytes, np.ndarray] = {}

    def infer(self, hazy: np.ndarray) -> np.ndarray:
        return np.stack([self._once(picture) for picture in hazy])

    def _once(self, picture: np.ndarray) -> np.ndarray:
        key = picture.tobytes()
        if key not in self._answers:
            self._answers[key] = self._engine.infer(picture[None])[0]
        return self._answers[key]

    def close(self) -> None:
        self._answers.clear()


def clear_frames(frames: Iterable[Frame], dehazer: Dehazer) -> Iterator[Frame]:
    """One clear frame for each, those held back at the end too."""
    dehazer.reset()
    for frame in frames:
        yield from dehazer.process([frame])
    yield from dehazer.flush()


def still(video: Path, frames: int, dehazers: dict[str, Dehazer]) -> dict[str, StillnessMeter]:
    """Meters of each way on the first frames of a video without ground truth."""
    meters = {}
    for name, dehazer in dehazers.items():
        with closing(open_source(video)) as source:
            meters[name] = watch(itertools.islice(source, frames), dehazer)
    return meters


def print_still(meters: dict[str, StillnessMeter]) -> None:
    """A row for each way, as a ratio to the first."""
    print("| way | added change, levels (ratio) | of the worst frame | wobble, levels (ratio) | worst |")
    print("|---|---|---|---|---|")
    first = next(iter(meters.values())).stillness
    assert first is not None
    for name, meter in meters.items():
        found = meter.stillness
        assert found is not None
        cells = [name]
        for fact in ("added_change", "worst_added_change", "brightness_wobble", "worst_brightness_change"):
            cells.append(f"{getattr(found, fact):.3f} ({getattr(found, fact) / getattr(first, fact):.3f})")
        print("|", " | ".join(cells), "|", flush=True)


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


def street(frames: int, width: int = 640, height: int = 360, seed: int = 0, rate: int = 25) -> Iterator[Shown]:
    """Our own street through uneven fog; at a lower frame rate, more moves from one frame to the next."""
    fog = Fog(visibility_metres=90, unevenness=0.2)
    for frame in StreetScene(width, height, frames=frames, seed=seed, frame_rate=rate):
        motion = frame.flow, _margin(~frame.occluded)
        yield to_bytes(fog.apply(frame.clear, frame.depth_metres, frame.index)), to_bytes(frame.clear), motion


def _margin(seen: np.ndarray) -> np.ndarray:
    return cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def score(frames: Iterator[Shown], dehazers: dict[str, Dehazer], *, to_next: bool) -> dict[str, SteadinessMeter]:
    """Print a row for each way, and return the meters along the true motion.

    With `to_next` the motion is to the next frame, and measured going back in time.
    """
    meters = {name: (SteadinessMeter(), SteadinessMeter()) for name in dehazers}
    quality: dict[str, list[float]] = {name: [] for name in dehazers}
    shown = list(frames)
    hazy = [Frame.from_array(picture) for picture, _, _ in shown]
    found = {name: [f.to_array() for f in clear_frames(hazy, dehazer)] for name, dehazer in dehazers.items()}
    kept = [
        (truth, motion, {name: video[index] for name, video in found.items()})
        for index, (_, truth, motion) in enumerate(shown)
    ]
    previous: np.ndarray | None = None
    for truth, motion, results in reversed(kept) if to_next else kept:
        searched = motion_to_previous(truth, previous) if previous is not None else None
        for name, result in results.items():
            quality[name].append(psnr(result, truth))
            for meter, field in zip(meters[name], (motion, searched), strict=True):
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
    return {name: pair[0] for name, pair in meters.items()}


def events(dehazers: dict[str, Dehazer]) -> None:
    """Print each way's PSNR where the picture changes all at once, or its light does."""
    before, after = list(street(16)), list(street(12, seed=7))
    flash, fade = 8, np.linspace(1, 0.3, 12)
    hazy = [picture for picture, _, _ in before + after]
    truth = [clear for _, clear, _ in before + after]
    hazy[flash] = truth[flash] = to_bytes(to_float(hazy[flash]) * np.float32(0.3) + np.float32(0.7))
    for index, light in enumerate(fade, len(before)):
        hazy[index], truth[index] = (to_bytes(to_float(x[index]) * np.float32(light)) for x in (hazy, truth))
    print("\n| way | after a flash, dB | after a cut | through a fade (worst) |\n|---|---|---|---|")
    for name, dehazer in dehazers.items():
        video = clear_frames([Frame.from_array(picture) for picture in hazy], dehazer)
        quality = [psnr(clear.to_array(), true) for clear, true in zip(video, truth, strict=True)]
        faded = quality[len(before) :]
        cells = f"{quality[flash + 1]:.2f} | {faded[0]:.2f} | {np.mean(faded):.2f} ({min(faded):.2f})"
        print(f"| {name} | {cells} |", flush=True)


def cost(title: str, frames: list[Frame], dehazers: dict[str, Dehazer]) -> None:
    """Print CPU milliseconds a frame, the best of some rounds alternately."""
    best = dict.fromkeys(dehazers, float("inf"))
    for _ in range(8):
        for name, dehazer in dehazers.items():
            began = time.process_time()
            for _ in clear_frames(frames, dehazer):
                pass
            best[name] = min(best[name], (time.process_time() - began) * 1000 / len(frames))
    print(f"\n{title}:", ", ".join(f"{name} {ms:.1f} ms" for name, ms in best.items()), "of CPU a frame", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--still", type=Path)
    parser.add_argument("--rgbd", type=Path)
    parser.add_argument("--street", type=int, default=0, help="frames")
    parser.add_argument("--every", nargs="+", default=["1"])
    parser.add_argument("--frames", type=int, default=456, help="of the still video, at most")
    parser.add_argument("--checkpoint", default="aecrnet-s")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--brightness", choices=BRIGHTNESS_MODES, default="natural")
    parser.add_argument("--skip-cost", action="store_true", help="leave out the timing at the end")
    asked = parser.parse_args()
    engine = open_engine(asked.checkpoint, asked.engine, wait=True)
    once = OnceAsked(engine)
    print(f"{asked.checkpoint}, {engine.name}")

    def dehazers(each: Engine) -> dict[str, Dehazer]:
        ways: dict[str, Dehazer] = {}
        for every, steady, ahead in itertools.product(asked.every, ("off", "low", "high"), (False, True)):
            k: Any = every if every == "auto" else int(every)
            if ahead and steady == "off" and k == 1:
                continue
            name = ("per frame" if steady == "off" else steady) + (f", every {k}" if k != 1 else "")
            name += ", ahead" if ahead else ""
            ways[name] = Dehazer(
                asked.checkpoint, engine=each, steady=steady, every=k, look_ahead=ahead, brightness=asked.brightness
            )  # type: ignore[arg-type]
        return ways

    traces: dict[str, dict[str, list[float]]] = {}
    if asked.still:
        print(f"\n{asked.still.name}\n")
        still_meters = still(asked.still, asked.frames, dehazers(once))
        print_still(still_meters)
        traces["added change of still pixels, levels"] = {
            name: [frame.added_change or 0.0 for frame in meter.trace] for name, meter in still_meters.items()
        }
    clips = {"rgbd": rgbd(asked.rgbd)} if asked.rgbd else {}
    if asked.street:
        clips |= {"street": street(asked.street), "street, three times as fast": street(asked.street, rate=8)}
    for title, frames in clips.items():
        print(f"\n{title}\n")
        meters = score(frames, dehazers(once), to_next=title != "rgbd")
        lines = {name: [result for result, _ in meter.trace] for name, meter in meters.items()}
        lines["truth"] = [truth for _, truth in next(iter(meters.values())).trace]
        traces[f"{title}: error along the motion, levels"] = {
            name: values[::-1] if title != "rgbd" else values for name, values in lines.items()
        }
    if asked.street:
        events(dehazers(once))
    if asked.plot:
        few = ("per frame", "low", "low, ahead", "truth")
        shown = {label: {way: v for way, v in lines.items() if way in few} for label, lines in traces.items()}
        plot_traces(asked.plot, shown)
    if asked.still and not asked.skip_cost:
        with closing(open_source(asked.still)) as source:
            cost("at rest", list(itertools.islice(source, 48)), dehazers(engine))
    if asked.street and not asked.skip_cost:
        cost("on the drive", [Frame.from_array(hazy) for hazy, _, _ in street(48, 1280, 720)], dehazers(engine))
    engine.close()


if __name__ == "__main__":
    main()

"""`streamdehaze run` on video files: against ffmpeg's plain transcode, an older checkout, and the sum of its parts.

    python benchmarks/whole_run.py VIDEO [--clips whole 1080p 4k short] [--against STREAMDEHAZE] [--rounds 3]
        [--option=--every=1] [--vapoursynth VSPIPE] [--parts] [--loop] [--engine ENGINE]

1. For each clip, wall seconds of `run` (start-up included), of the same with `--option`s, of another checkout's
   `streamdehaze` (`--against OTHER/.venv/bin/streamdehaze`), and of
   `ffmpeg -c:v libx264 -preset veryfast -crf 18 -c:a copy`, one after the other, in several rounds. Best, and all of
   them; processor seconds and peak memory of the best. The clips are VIDEO as it is, its first frames enlarged to
   1920×1080 and 3840×2160, and its first 50 frames.
   With `--vapoursynth`, the `vspipe` of an environment with `vapoursynth vapoursynth-bestsource vapoursynth-mlrt-ov`
   (wheels for Python 3.12 and later), also a script of a dozen lines with the same network in float32 on every frame,
   whose change is enlarged and added, piped into the same `ffmpeg`.
2. With `--parts`, processor milliseconds a frame of each part of the default `run` alone, in this process, and their
   sum.
3. With `--loop`, the frame rate of the loop people write today: `supervision.process_video` with the width-64 network
   in eager PyTorch on the whole frame (`pip install supervision` first; a few frames of it are timed).
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import sys
import tempfile
import time
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from processes import Cost, measure

from streamdehaze.cli import let_threads_sleep

if TYPE_CHECKING:
    import numpy as np

    from streamdehaze import Dehazer
    from streamdehaze.frame import Frame

CLIPS = {"whole": (None, None), "1080p": ((1920, 1080), 456), "4k": ((3840, 2160), 120), "short": (None, 50)}
"""Size and number of frames of each clip; None for the video's own."""
LOOP_FRAMES = 3
NETWORK_SIZE = 256, 144
SCRIPT = """
import vapoursynth as vs

core = vs.core
hazy = core.bs.VideoSource({video!r})
rgb = core.resize.Bilinear(hazy, format=vs.RGBS, matrix_in=1)
small = core.resize.Bilinear(hazy, {width}, {height}, format=vs.RGBS, matrix_in=1)
clear = core.ov.Model(small, {network!r}, num_streams=2)
change = core.std.Expr([clear, small], "x y -")
change = core.resize.Bilinear(change, hazy.width, hazy.height)
clear = core.std.Expr([rgb, change], "x y + 0 max 1 min")
core.resize.Bilinear(clear, format=vs.YUV420P8, matrix=1).set_output()
"""
PART_FRAMES, QUEUED = 96, 8


def clip(video: str, name: str, folder: Path) -> str:
    """The path of one of `CLIPS`."""
    size, frames = CLIPS[name]
    if size is None and frames is None:
        return video
    path = str(folder / f"{name}.mp4")
    command = ["ffmpeg", "-y", "-i", video, *(["-frames:v", str(frames)] if frames else []), "-an"]
    command += ["-vf", f"scale={size[0]}:{size[1]}:flags=bicubic"] if size else []
    measure([*command, "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", path])
    return path


def compare(video: str, ways: dict[str, list[str]], rounds: int) -> None:
    """Print a row for each way to work on one clip; the commands take turns."""
    from streamdehaze import open_source

    for name, command in ways.items():
        if command[1] == "run":  # so that its engine is built and its caches are filled
            measure([*command[:2], "--engine-wait", *command[2:]])
        elif name != "ffmpeg":
            measure(command)
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            costs[name].append(measure(command))
    with closing(open_source(video)) as source:
        frames = sum(1 for _ in source)
        print(f"\n{source.info.width}×{source.info.height}, {frames} frames\n")
    print("| way | s, best (all) | fps | speed, ffmpeg = 1 | processor s | peak MiB |\n|---|---|---|---|---|---|")
    best = {name: min(found, key=lambda cost: cost.wall) for name, found in costs.items()}
    for name, cost in best.items():
        every = " ".join(f"{each.wall:.2f}" for each in costs[name])
        speed = f"{frames / cost.wall:.1f} | {best['ffmpeg'].wall / cost.wall:.2f}"
        print(f"| {name} | {cost.wall:.2f} ({every}) | {speed} | {cost.cpu:.2f} | {cost.mebibytes:.0f} |", flush=True)


def vapoursynth(vspipe: str, video: str, folder: Path) -> list[str]:
    """The command of a peer: VapourSynth and vs-mlrt's OpenVINO plugin with our graph."""
    from streamdehaze.engine.onnx.export import GraphShape, export_onnx
    from streamdehaze.network import DEFAULT_CHECKPOINT, load_network

    network, script = folder / "network.onnx", folder / f"{Path(video).stem}.vpy"
    if not network.exists():
        export_onnx(load_network(DEFAULT_CHECKPOINT).folded(), network, GraphShape(1, *NETWORK_SIZE[::-1]))
    width, height = NETWORK_SIZE
    script.write_text(SCRIPT.format(video=os.path.abspath(video), network=str(network), width=width, height=height))
    encode = "ffmpeg -y -i - -c:v libx264 -preset veryfast -crf 18"
    pipe = f"{shlex.quote(vspipe)} -c y4m {shlex.quote(str(script))} - | {encode} {shlex.quote(str(folder / 'vs.mp4'))}"
    return ["bash", "-o", "pipefail", "-c", pipe]


class Spent:
    """Processor seconds of each part, all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begun = time.process_time()

    def on(self, part: str) -> None:
        """Count what was spent since the last call."""
        now = time.process_time()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._begun
        self._begun = now


def dehaze(dehazer: Dehazer, frames: list[Frame], clear: list[Frame] | deque[Frame], spent: Spent) -> None:
    """Append the clear frames, as `run` makes them in batches."""
    from streamdehaze.dehaze.stream import apply

    dehazer.reset()
    stream, looks = dehazer.video, []
    for index, frame in enumerate(frames):
        looks.append(stream.look(frame, dehazer.gpu))
        spent.on("look (shrink, motion, airlight)")
        if sum(look.picture is not None for look in looks) < 4 and index + 1 < len(frames):
            continue
        answers = dehazer.infer(looks)
        spent.on("network")
        solutions = []
        for look, answer in zip(looks, answers, strict=True):
            solutions += stream.solve(look, answer)
        solutions += dehazer.solve_rest() if index + 1 == len(frames) else []
        looks.clear()
        spent.on("solve (fit, smooth)")
        for solution in solutions:
            clear.append(apply(solution))
        spent.on("apply")


def parts(video: str, folder: Path, engine: str) -> None:
    """Print processor milliseconds a frame of each part, all threads, over the first frames of a video."""
    from streamdehaze import Dehazer, open_sink, open_source

    with closing(open_source(video)) as source:
        spent = Spent()
        frames = list(itertools.islice(source, PART_FRAMES))
        spent.on("decode")
        clear: list[Frame] = []
        with Dehazer(engine=engine, engine_wait=True, steady="low", every="auto", look_ahead=True) as dehazer:
            dehaze(dehazer, frames, clear, Spent())  # to encode them below, and so that all is loaded
            spent.on("start")
            dehaze(dehazer, frames, deque(maxlen=QUEUED), spent)  # whose memory is used again, as in `run`
        sink = open_sink(str(folder / "parts.mp4"), source)
        spent.on("start")
        for frame in clear:
            sink.write(frame)
        sink.close()
        spent.on("encode")
    del spent.seconds["start"]
    print(f"\n{frames[0].width}×{frames[0].height}, {engine}, processor ms a frame of {len(frames)}:")
    for part, seconds in spent.seconds.items():
        print(f"{part:32} {1000 * seconds / len(frames):7.2f}")
    print(f"{'sum':32} {1000 * sum(spent.seconds.values()) / len(frames):7.2f}", flush=True)


def streamdehaze() -> str:
    return str(Path(sys.executable).with_name("streamdehaze"))


def loop_fps(video: str, folder: Path) -> float:
    """Frames a second of the usual loop: whole frames, width 64, eager PyTorch."""
    import numpy as np
    import supervision
    import torch

    from streamdehaze.network.aecrnet import AECRNet

    network = AECRNet(width=64).eval()

    def dehaze(frame: np.ndarray, index: int) -> np.ndarray:
        rgb = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            clear = network(rgb)[0].clamp(0, 1)
        return (clear.permute(1, 2, 0).numpy()[..., ::-1] * 255).astype(np.uint8)

    begun = time.perf_counter()
    supervision.process_video(video, str(folder / "loop.mp4"), dehaze, max_frames=LOOP_FRAMES)
    return LOOP_FRAMES / (time.perf_counter() - begun)


def main() -> None:
    let_threads_sleep()  # as `run` does, before what has threads is imported
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=["whole"])
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--option", action="append", default=[], help="also time `run` with it, as --option=--every=1")
    parser.add_argument("--against", metavar="STREAMDEHAZE", help="the command of another checkout")
    parser.add_argument("--vapoursynth", metavar="VSPIPE", help="the command `vspipe`, to time a peer")
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--loop", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for which in asked.clips:
            video = clip(asked.video, which, folder)

            def run(program: str, *options: str, video: str = video) -> list[str]:
                given = ["-q", "--overwrite", "--engine", asked.engine, *options]
                return [program, "run", *given, video, "-o", str(folder / "run.mp4")]

            ways = {"run": run(streamdehaze())}
            if asked.option:
                ways["run " + " ".join(asked.option)] = run(streamdehaze(), *asked.option)
            if asked.against:
                ways["run of the other checkout"] = run(asked.against)
            if asked.vapoursynth:
                ways["vapoursynth"] = vapoursynth(asked.vapoursynth, video, folder)
            ffmpeg = ["ffmpeg", "-y", "-i", video, "-c:v", "libx264", "-preset", "veryfast", "-crf", "18"]
            ways["ffmpeg"] = [*ffmpeg, "-c:a", "copy", str(folder / "ffmpeg.mp4")]
            compare(video, ways, asked.rounds)
            if asked.parts:
                parts(video, folder, asked.engine)
        if asked.loop:
            print(f"\nloop {loop_fps(asked.video, folder):.4f} fps ({os.cpu_count()} cores)")


if __name__ == "__main__":
    main()

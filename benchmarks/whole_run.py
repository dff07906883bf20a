"""`streamdehaze run` on a video file: its CPU time against the sum of its parts, and its frame rate against two others.

    python benchmarks/whole_run.py VIDEO [--engine ENGINE] [--skip-loop]

1. Processor seconds of the whole `run` process (start-up included) against decode alone + network alone + prepare, fit
   and apply alone + encode alone.
2. Frame rate of `run` against `ffmpeg -c:v libx264 -preset veryfast -crf 18 -c:a copy` on the same file.
3. Frame rate of `run` against the loop people write today: `supervision.process_video` with the width-64 network in
   eager PyTorch on the whole frame (`pip install supervision` first; a few frames of it are timed).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from streamdehaze import Dehazer, open_sink, open_source
from streamdehaze.frame import Frame

LOOP_FRAMES = 3


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a command and its children."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def parts(video: str, folder: Path, engine: str) -> dict[str, float]:
    """Processor seconds of each part of the work alone, in this process, after a warm-up."""
    dehazer = Dehazer(engine=engine)
    with closing(open_source(video)) as source:
        first = next(iter(source))
        dehazer.process([first])
    seconds = {}

    begun = time.process_time()
    with closing(open_source(video)) as source:
        count = sum(1 for _ in source)
    seconds["decode"] = time.process_time() - begun

    stream = dehazer.stream()
    picture = stream.look(first).picture
    assert picture is not None
    batch = np.stack([picture] * 4)
    begun = time.process_time()
    for _ in range(count // 4):
        dehazer.engine.infer(batch)
    seconds["network"] = (time.process_time() - begun) * count / (count // 4 * 4)

    clear = dehazer.engine.infer(batch)[0]
    begun = time.process_time()
    result: Frame = first
    for _ in range(count):
        (result,) = stream.answer(stream.look(first), clear)
    seconds["prepare, fit, apply"] = time.process_time() - begun
    assert result.width == first.width

    # The encoder gets the clear frames of the real run, so that it does the same work.
    clear_video = folder / "clear.mp4"
    subprocess.run([streamdehaze(), "run", "-q", "--engine", engine, video, "-o", str(clear_video)], check=True)
    with closing(open_source(str(clear_video))) as source:
        frames = []
        for frame in source:
            frames.append(frame)
            if len(frames) == 100:
                break
        sink = open_sink(str(folder / "again.mp4"), source)
        begun = time.process_time()
        for index in range(count):
            frame = frames[index % 100]
            sink.write(
                Frame(
                    frame.planes,
                    frame.width,
                    frame.height,
                    frame.pixel_format,
                    frame.color,
                    pts=index * 512,
                    time_base=frame.time_base,
                )
            )
        sink.close()
        seconds["encode"] = time.process_time() - begun
    return seconds


def streamdehaze() -> str:
    return str(Path(sys.executable).with_name("streamdehaze"))


def loop_fps(video: str, folder: Path) -> float:
    """Frames a second of the usual loop: whole frames, width 64, eager PyTorch."""
    import supervision
    import torch

    from streamdehaze.network import AECRNet

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--skip-loop", action="store_true", help="leave out the slow comparison 3")
    arguments = parser.parse_args()
    with closing(open_source(arguments.video)) as source:
        frames = sum(1 for _ in source)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = parts(arguments.video, folder, arguments.engine)
        run = [
            streamdehaze(),
            "run",
            "-q",
            "--engine",
            arguments.engine,
            "--overwrite",
            arguments.video,
            "-o",
            str(folder / "run.mp4"),
        ]
        ffmpeg = ["ffmpeg", "-y", "-i", arguments.video, "-c:v", "libx264", "-preset", "veryfast", "-crf", "18"]
        ffmpeg += ["-c:a", "copy", str(folder / "ffmpeg.mp4")]
        timed(run)
        rounds = [(timed(run), timed(ffmpeg)) for _ in range(3)]
        (run_wall, run_cpu), (ffmpeg_wall, _) = (min(times) for times in zip(*rounds, strict=True))
        total = sum(alone.values())
        for part, seconds in alone.items():
            print(f"{part:22} {seconds:7.2f} s CPU")
        print(f"engine: {arguments.engine}")
        print(f"sum of the parts {total:.2f} s CPU, whole run {run_cpu:.2f} s CPU, ratio {run_cpu / total:.2f}")
        print(
            f"run {frames / run_wall:.1f} fps, ffmpeg {frames / ffmpeg_wall:.1f} fps, "
            f"ratio {ffmpeg_wall / run_wall:.2f}"
        )
        if not arguments.skip_loop:
            loop = loop_fps(arguments.video, folder)
            print(f"loop {loop:.4f} fps ({os.cpu_count()} cores), ratio of run to it {frames / run_wall / loop:.0f}")


if __name__ == "__main__":
    main()

"""Reading H.264 with one decoder, and with several side by side on groups of pictures: frames a second and memory.

    python benchmarks/decoders.py VIDEO [--clips 1080p-60 1080p-250 4k-60 4k-250] [--decoders 1 2] [--rounds 3]

VIDEO is looped and enlarged with x264 (veryfast, CRF 18) to clips that are named by their size and the pictures in a
group. Each is read, without anything done to the frames, in its own process; of the rounds, in which one and two
decoders take turns, the best counts.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from streamdehaze.video import FileSource

SIZES = {"1080p": "1920:1080", "4k": "3840:2160"}
FRAMES = {"1080p-60": 456, "1080p-250": 750, "4k-60": 240, "4k-250": 500}


def write_clip(video: Path, target: Path) -> Path:
    """A clip by the name of `target`."""
    size, group = target.stem.split("-")
    if not target.exists():
        subprocess.run(
            ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", video, "-vf", f"scale={SIZES[size]}", "-an",
             "-frames:v", str(FRAMES[target.stem]), "-preset", "veryfast", "-crf", "18", "-g", group, target],
            check=True,
        )  # fmt: skip
    return target


def read(clip: Path, decoders: int) -> None:
    """Read a clip in this process, and print what that took."""
    with FileSource(clip) as source:
        source.decoders = decoders
        begun, used = time.perf_counter(), time.process_time()
        frames = sum(1 for _ in source)
        wall, used = time.perf_counter() - begun, time.process_time() - used
    print(frames / wall, 1000 * used / frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--clips", nargs="+", choices=FRAMES, default=list(FRAMES))
    parser.add_argument("--decoders", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the clips are kept")
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read:
        read(asked.video, asked.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.clips:
            clip = write_clip(asked.video, (asked.folder or Path(folder)) / f"{name}.mp4")
            best: dict[int, list[float]] = {}
            for _ in range(asked.rounds):
                for decoders in asked.decoders:
                    command = [sys.executable, __file__, str(clip), "--read", str(decoders)]
                    found = [float(each) for each in subprocess.check_output(command).split()]
                    best[decoders] = max(best.get(decoders, found), found)
            for decoders, (rate, milliseconds, mebibytes) in best.items():
                print(
                    f"{name}, decoders {decoders}: {rate:.1f} fps, {milliseconds:.1f} ms of processor time a frame, "
                    f"{mebibytes:.0f} MiB at the peak"
                )


if __name__ == "__main__":
    main()

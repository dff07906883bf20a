"""Kill -9 at random moments of a job, each resumed: the result must be the one an unbroken run gives.

    python benchmarks/kills.py [--kills 50] [--ending mp4] [--codec libx265] [--seed 0] [--network-size 64]

The job: 456 frames of 256×144 with a keyframe every 24, B-frames, sound and chapters, in segments of two seconds. Each
round starts it in a process of its own, ends that with SIGKILL at a random moment of an unbroken run's processor time
(so that a busy machine kills neither earlier nor later), and runs the same command with `--resume`. Compared are all
decoded frames, all presentation times, and all packets of the other streams. Beside the tally it prints how many frames
of finished segments were made twice at most; the unfinished one is always made again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

FRAMES, RATE, SEGMENT_SECONDS = 456, 24, 2


def write_clip(path: Path) -> None:
    """A bright square that wanders over a slow texture, with a tone and two chapters."""
    texture = np.random.default_rng(0).integers(90, 200, (600, 800), np.uint8)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=RATE, options={"g": "24", "bf": "2"})
        sound = output.add_stream("aac", rate=48000, layout="mono")
        video.width, video.height, video.pix_fmt = 256, 144, "yuv420p"
        millisecond = Fraction(1, 1000)
        bounds = [(0, 9000), (9000, 19000)]
        output.set_chapters(
            [
                {"id": n, "start": a, "end": b, "time_base": millisecond, "metadata": {}}
                for n, (a, b) in enumerate(bounds)
            ]
        )
        for number in range(FRAMES):
            picture = av.VideoFrame(256, 144, "yuv420p")
            luma = texture[number // 4 :, number // 2 :][:144, :256].copy()
            luma[40:80, number % 200 :][:, :40] = 235
            planes: Any = picture.planes
            for plane, value in zip(planes, (luma, 128, 120), strict=True):
                np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width] = value
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        for start in range(0, 48000 * FRAMES // RATE, 1024):
            tone = np.sin(np.arange(start, start + 1024) * 0.05).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))


def contents(path: Path) -> dict[str, Any]:
    """Hashes of the decoded frames, their times, and every packet of the other streams."""
    with av.open(str(path)) as container:
        frames = [(f.pts, hashlib.md5(f.to_ndarray()).hexdigest()) for f in container.decode(video=0)]
        chapters = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in container.chapters()]
    with av.open(str(path)) as container:
        others = [
            (packet.stream.index, packet.pts, packet.duration, hashlib.md5(bytes(packet)).hexdigest())
            for packet in container.demux()
            if packet.size and packet.stream.type != "video"
        ]
    return {"frames": frames, "others": sorted(others), "chapters": chapters}


def start(arguments: list[str], log: Path) -> int:
    """Run `streamdehaze` in a child that shares what is imported already; its process id."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, 2)
        from streamdehaze.cli import main as streamdehaze

        code = 70
        try:
            streamdehaze(arguments, standalone_mode=True)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1 if error.code else 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def processor_seconds(child: int) -> float:
    """What a process has used so far; infinite once it is over."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return float("inf") if fields[0] == "Z" else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def finish(arguments: list[str], log: Path) -> int:
    """Run `streamdehaze` to its end; the exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(start(arguments, log), 0)[1])


def segments(part: Path) -> list[int]:
    """Frames of the segments that are kept."""
    try:
        return [segment["frames"] for segment in json.loads((part / "manifest.json").read_text())["segments"]]
    except (FileNotFoundError, NotADirectoryError):
        return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--ending", default="mp4")
    parser.add_argument("--codec", default="auto")
    parser.add_argument(
        "--option", action="append", default=[], help="a further option of `run`, as --option=--steady=off"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--network-size", default="64")
    arguments = parser.parse_args()
    import torch  # noqa: F401 (before the first fork, so that no child imports it)

    import streamdehaze.cli.commands.run
    import streamdehaze.pipeline  # noqa: F401

    chance = random.Random(arguments.seed)
    equal = late = 0
    most_redone = 0
    moments = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        clip, whole, target = (
            folder / "in.mp4",
            folder / f"whole.{arguments.ending}",
            folder / f"out.{arguments.ending}",
        )
        write_clip(clip)
        run = ["run", "--engine", "torch", "--network-size", arguments.network_size]
        run += ["--segment-seconds", str(SEGMENT_SECONDS)]
        run += ["--codec", arguments.codec, *arguments.option, str(clip), "-o"]
        if code := finish([*run, str(whole)], log):
            sys.exit(f"the unbroken run failed with {code}:\n{log.read_text()}")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = used.ru_utime + used.ru_stime
        truth = contents(whole)
        part = folder / f"{target.name}.part"
        for number in range(arguments.kills):
            target.unlink(missing_ok=True)
            moment = chance.uniform(0, seconds)
            child = start([*run, str(target)], log)
            while processor_seconds(child) < moment:
                time.sleep(0.002)
            alive = os.waitpid(child, os.WNOHANG)[0] == 0
            if alive:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            late += not alive
            kept = segments(part)
            open_segment = any(part.glob("*.packets.part")) if part.is_dir() else False
            report = folder / "report.json"
            code = finish([*run[:-1], "--resume", "--report", str(report), "-o", str(target)], log)
            job = json.loads(report.read_text())["jobs"][0]
            same = code == 0 and contents(target) == truth
            kept_again = job.get("frames_of_earlier_runs", FRAMES)
            redone = sum(kept) - kept_again if kept else 0
            most_redone = max(most_redone, redone)
            left = sorted(path.name for path in folder.iterdir() if path.name.startswith("out"))
            clean = left == [target.name]
            equal += same and clean
            moments.append(sum(kept))
            verdict = "equal" if same and clean else f"NOT EQUAL (exit code {code}, files {left})"
            killed = f"killed after {moment:.2f} of {seconds:.2f} s" if alive else "was finished before the kill"
            state = f"{len(kept)} segments kept, {'one' if open_segment else 'none'} open"
            print(f"{number + 1:3} {killed}, {state}: {verdict}", flush=True)
            if not (same and clean):
                print(log.read_text()[-2000:])
        frames = subprocess.list2cmdline(run[1:5])
        print(
            f"{equal} of {arguments.kills} results equal ({late} kills came too late); finished frames made again: "
            f"at most {most_redone}; kept at the kill: {min(moments)} to {max(moments)} of {FRAMES} frames ({frames})"
        )
    sys.exit(equal != arguments.kills)


if __name__ == "__main__":
    main()

"""A film on a Ray cluster of two nodes with one core each, against one core and two cores without Ray.

    python benchmarks/ray_film.py FOGGY.mp4 [--minutes 8] [--kills 5] [--ways one two ray killed]

The film is the video over and over. `one` and `two` are `streamdehaze run` on one and on two cores; `ray` hands its
segments to two nodes with one CPU each, on the same two cores; `killed` does so while a node, chosen at random,
is killed `--kills` times and another one joins. Printed are wall seconds, Ray's start left out, their ratios, how often
a segment was made again, and whether `ray` and `killed` wrote the same bytes. Eight minutes of 720p take about ten
minutes on two cores; `--minutes 4` half of that.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from streamdehaze import dehaze_video
from streamdehaze.pipeline.options import RunOptions
from streamdehaze.pipeline.sharing.ray import RayExecutor
from streamdehaze.pipeline.sharing.segments import DeferredDehazer, SegmentJob, SegmentMade
from streamdehaze.video import SEGMENT_SECONDS, part_folder

SETTINGS: dict[str, Any] = {"engine": "openvino", "steady": "low", "every": "auto", "look_ahead": True}
"""As `streamdehaze run` has them."""
STORE_BYTES = 80 << 20


class Counting(RayExecutor):
    """A cluster whose tasks leave a line each in a file when they start."""

    def __init__(self, address: str, started: Path) -> None:
        super().__init__(address)
        self._started, self.segments = started, 0

    def submit(self, work: Callable[[SegmentJob], SegmentMade], job: SegmentJob, /) -> Future[SegmentMade]:
        started = str(self._started)
        self.segments += 1

        def counted(job: SegmentJob) -> SegmentMade:
            with open(started, "a") as file:
                file.write("made\n")
            return work(job)

        return super().submit(counted, job)


def alone(film: Path, target: Path, cores: int) -> float:
    """Seconds of `run` on so many cores."""
    command = [Path(sys.executable).parent / "streamdehaze", "run", "-q", "--engine", "openvino", "--overwrite"]
    began = time.monotonic()
    subprocess.run(
        [*command, film, "-o", target],
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
    )
    return time.monotonic() - began


def on_ray(film: Path, target: Path, kills: int, seconds: float) -> tuple[float, int]:
    """Seconds on the cluster, and segments that were made more than once."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES) for _ in range(2)]
    started = target.with_suffix(".started")
    started.touch()
    run = RunOptions(overwrite=True, segment_seconds=seconds)
    chance, killed, made_before = random.Random(0), 0, 0
    try:
        with Counting(cluster.address, started) as executor, ThreadPoolExecutor(1) as aside:
            began = time.monotonic()
            work = aside.submit(
                dehaze_video, film, target, dehazer=DeferredDehazer(**SETTINGS), executor=executor, run=run
            )
            while not work.done():  # here, because Ray sets signal handlers where a node is added
                time.sleep(0.2)
                made = len(list(part_folder(target).glob("*.record")))
                if killed < kills and made > made_before:  # at some moment of the next segment
                    made_before = made
                    time.sleep(chance.uniform(0, 3))
                    cluster.remove_node(nodes.pop(chance.randrange(2)), allow_graceful=False)
                    killed += 1
                    nodes.append(cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES))
            work.result()
            taken = time.monotonic() - began
    finally:
        ray.shutdown()
        cluster.shutdown()
    segments = executor.segments
    if kills:
        print(f"killed {killed} nodes")
    return taken, len(started.read_text().splitlines()) - segments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--segment-seconds", type=float, default=SEGMENT_SECONDS)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument(
        "--ways", nargs="+", choices=("one", "two", "ray", "killed"), default=("one", "two", "ray", "killed")
    )
    asked = parser.parse_args()
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = folder / "film.mp4"
        loop = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", asked.video, "-t", str(60 * asked.minutes)]
        subprocess.run([*loop, "-c", "copy", film], check=True)
        for way in asked.ways:
            target = folder / f"{way}.mp4"
            if way in ("one", "two"):
                seconds[way] = alone(film, target, 1 if way == "one" else 2)
                print(f"{way}: {seconds[way]:.1f} s")
            else:
                kills = asked.kills if way == "killed" else 0
                seconds[way], again = on_ray(film, target, kills, asked.segment_seconds)
                print(f"{way}: {seconds[way]:.1f} s, {again} segments made again")
        if {"one", "ray"} <= seconds.keys():
            print(f"two nodes against one core: {seconds['one'] / seconds['ray']:.2f} times (at least 1.7)")
        if {"two", "ray"} <= seconds.keys():
            print(f"two nodes against two cores: {seconds['two'] / seconds['ray']:.2f} times (at least 0.9)")
        if {"ray", "killed"} <= seconds.keys():
            same = (folder / "ray.mp4").read_bytes() == (folder / "killed.mp4").read_bytes()
            print(f"with and without kills: {'the same bytes' if same else 'DIFFERENT bytes'}")


if __name__ == "__main__":
    main()

"""A file of hours, watched while it is worked on: memory, threads and descriptors must not grow.

    python benchmarks/soak.py VIDEO [--hours 10] [--minutes 60] [--plot soak.png] [--option=--steady=low]

The video is looped into a long file without encoding it again. `streamdehaze run` works on it until it is done or the
minutes are over (it is then stopped, and its finished segments are counted). Growth is the median of the last fifth of
the samples over that of the second fifth; the first one is warm-up.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import psutil

from streamdehaze.plotting import new_figure, save_figure
from streamdehaze.video import unfinished_work

SAMPLE_SECONDS = 1.0


def loop(video: Path, target: Path, seconds: float) -> None:
    """Repeat a file's streams until the result lasts `seconds`."""
    with av.open(str(target), "w") as output:
        copies: dict[int, Any] = {}
        shift = Fraction(0)
        while shift < seconds:
            with av.open(str(video)) as reader:
                copies = copies or {
                    stream.index: output.add_stream_from_template(stream, opaque=True)
                    for stream in reader.streams
                    if stream.type in ("video", "audio")
                }
                for packet in reader.demux(*(reader.streams[index] for index in copies)):
                    if packet.size and packet.pts is not None and packet.dts is not None:
                        moved = round(shift / packet.time_base)
                        packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
                        packet.stream = copies[packet.stream.index]
                        output.mux_one(packet)
                shift += Fraction(reader.duration or 0, av.time_base)


def sample(process: psutil.Process) -> tuple[int, int, int]:
    """Resident bytes, threads, descriptors."""
    with process.oneshot():
        return process.memory_info().rss, process.num_threads(), process.num_fds()


def growth(samples: list[tuple[float, int, int, int]]) -> list[float]:
    """Print and return by what share memory, threads and descriptors have grown since the warm-up."""
    fifth = max(1, len(samples) // 5)
    grown = []
    for place, what in ((1, "resident bytes"), (2, "threads"), (3, "descriptors")):
        early = statistics.median(values[place] for values in samples[fifth : 2 * fifth])
        late = statistics.median(values[place] for values in samples[-fifth:])
        grown.append(late / early - 1)
        print(f"{what}: {early:.0f} early, {late:.0f} late, growth {100 * grown[-1]:+.1f} %")
    return grown


def plot(samples: list[tuple[float, int, int, int]], path: Path) -> None:
    """The three curves over minutes."""
    figure = new_figure("--plot", 8, 6)
    axes = figure.subplots(3, 1, sharex=True)
    minutes = [moment / 60 for moment, *_ in samples]
    curves = ([rss / 2**20 for _, rss, _, _ in samples], [s[2] for s in samples], [s[3] for s in samples])
    for axis, values, name in zip(axes, curves, ("resident MiB", "threads", "descriptors"), strict=True):
        axis.plot(minutes, values)
        axis.set_ylabel(name)
        axis.set_ylim(bottom=0)
    axes[-1].set_xlabel("minutes")
    save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument(
        "--option", action="append", default=[], help="a further option of `run`, as --option=--steady=off"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        long, target = Path(name) / "long.mkv", Path(name) / "clear.mkv"
        loop(arguments.video, long, arguments.hours * 3600)
        command = [str(Path(sys.executable).with_name("streamdehaze")), "run", "-q", *arguments.option]
        process = subprocess.Popen([*command, str(long), "-o", str(target)])
        watched, begun = psutil.Process(process.pid), time.monotonic()
        samples: list[tuple[float, int, int, int]] = []
        while process.poll() is None and time.monotonic() - begun < arguments.minutes * 60:
            time.sleep(SAMPLE_SECONDS)
            try:
                samples.append((time.monotonic() - begun, *sample(watched)))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                break
        stopped = process.poll() is None
        if stopped:
            process.send_signal(signal.SIGTERM)
        code = process.wait()
        kept = unfinished_work(target)
        end = f"stopped; {kept or 'no segment was finished'}" if stopped else f"exit code {code}"
    if arguments.plot:
        plot(samples, arguments.plot)
    print(f"{len(samples)} samples in {samples[-1][0] / 60:.1f} min, {end}")
    growth(samples)


if __name__ == "__main__":
    main()

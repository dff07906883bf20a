"""`streamdehaze live` over minutes or days while its cameras break in turn: nothing grows, and every gap has a reason.

    python benchmarks/live_soak.py --minutes 30                        # 4 cameras, one broken every 20 s
    python benchmarks/live_soak.py --minutes 60 --break-seconds 0      # no camera is broken

Prints memory, threads and descriptors once a minute. At the end it reads the recordings back: a gap must lie where the
camera was broken. Fails where memory, threads or descriptors grow by 2 % or more (the median of the last fifth of the
samples over that of the second fifth; the first is warm-up), or where a gap has no reason. Needs GStreamer's RTSP
server (see tests/rtsp_camera.py).
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from soak import growth, plot, sample

from rtsp_camera import RtspCamera, free_port

_SAMPLE_SECONDS = 2.0
_OUT_SECONDS = 1.0
"""A broken camera stays away this long."""
_GAP_SECONDS = 1.0
_GRACE_SECONDS = 1.0
"""Between the moment a camera is broken and the first frame that is missing."""


@dataclass(frozen=True)
class Outage:
    """A camera that was broken: seconds since 1970."""

    began: float
    ended: float


def write_config(folder: Path, cameras: list[RtspCamera], options: argparse.Namespace) -> Path:
    """cameras.toml: each camera into files and a playlist."""
    lines = [f'engine = "{options.engine}"', f"adapt = {str(not options.no_adapt).lower()}"]
    lines += [f"network_size = {options.network_size}"]
    for number, camera in enumerate(cameras):
        lines += ["[[camera]]", f'name = "{number}"', f'url = "{camera.url}"', "segment_seconds = 60"]
        lines += [f'to = ["{folder}/{number}-%Y%m%d-%H%M%S.mkv", "{folder}/hls{number}/"]']
    path = folder / "cameras.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def frame_times(path: Path) -> list[float]:
    """When the frames of a recording arrived, seconds since 1970."""
    with av.open(str(path)) as container:
        began = datetime.fromisoformat(container.metadata["creation_time"].replace("Z", "+00:00")).timestamp()
        video = container.streams.video[0]
        return [began + float(p.pts * p.time_base) for p in container.demux(video) if p.pts is not None]


def gaps(folder: Path, number: int) -> list[tuple[float, float]]:
    """(end of the frames before, beginning of those after) in one camera's recordings."""
    times = sorted(t for path in folder.glob(f"{number}-*.mkv") for t in frame_times(path))
    return [(a, b) for a, b in itertools.pairwise(times) if b - a > _GAP_SECONDS]


def explain(number: int, found: list[tuple[float, float]], outages: list[Outage]) -> int:
    """Print what is known of a camera's gaps; how many have no reason."""

    def is_of(gap: tuple[float, float], outage: Outage) -> bool:
        return outage.began - _GRACE_SECONDS <= gap[0] <= outage.ended + _GRACE_SECONDS

    unexplained = [gap for gap in found if not any(is_of(gap, outage) for outage in outages)]
    lengths = [b - a for a, b in found] or [0.0]
    print(
        f"camera {number}: broken {len(outages)} times, {len(found)} gaps, the longest {max(lengths):.1f} s, "
        f"median {statistics.median(lengths):.1f} s; without a reason: {[f'{b - a:.1f} s' for a, b in unexplained]}"
    )
    return len(unexplained)


def statuses(address: str) -> list[dict[str, Any]]:
    """What the page knows of the cameras."""
    with urllib.request.urlopen(f"http://{address}/api/cameras", timeout=30) as answer:
        cameras: list[dict[str, Any]] = json.load(answer)["cameras"]
        return cameras


def watch(
    process: subprocess.Popen[bytes], cameras: list[RtspCamera], address: str, options: argparse.Namespace
) -> tuple[list[tuple[float, int, int, int]], list[list[Outage]]]:
    """Sample the process and break cameras until the time is over."""
    watched, begun = psutil.Process(process.pid), time.monotonic()
    samples: list[tuple[float, int, int, int]] = []
    outages: list[list[Outage]] = [[] for _ in cameras]
    turn, break_at, print_at = itertools.cycle(range(len(cameras))), options.break_seconds, 60.0
    while (now := time.monotonic() - begun) < options.minutes * 60:
        samples.append((now, *sample(watched)))
        if options.break_seconds and now >= break_at:
            number, began = next(turn), time.time()
            cameras[number].kill()
            time.sleep(_OUT_SECONDS)
            cameras[number].start()
            outages[number].append(Outage(began, time.time()))
            break_at += options.break_seconds
        if now >= print_at:
            print_at += 60
            memory, threads, descriptors = samples[-1][1:]
            known = statuses(address)
            print(
                f"minute {now / 60:.0f}: {memory / 2**20:.1f} MiB, {threads} threads, {descriptors} descriptors, "
                f"out {sum(each['frames_out'] for each in known)}, "
                f"reconnects {[each['reconnects'] for each in known]}, "
                f"dropped {[each['dropped'] for each in known]}",
                flush=True,
            )
        time.sleep(_SAMPLE_SECONDS)
    return samples, outages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--break-seconds", type=float, default=20, help="break a camera this often; 0 for never")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", default="6")
    parser.add_argument("--network-size", type=int, default=128)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--no-adapt", action="store_true", help="keep full quality, and with it one size of network")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    cameras = [RtspCamera(size=options.size, fps=options.fps, audio=True) for _ in range(options.cameras)]
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [str(Path(sys.executable).with_name("streamdehaze")), "live", "-q", "--serve", address]
        process = subprocess.Popen([*command, "--config", str(write_config(folder, cameras, options))])
        try:
            samples, outages = watch(process, cameras, address, options)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait()
            for camera in cameras:
                camera.kill()
        unexplained = sum(explain(n, gaps(folder, n), outages[n]) for n in range(options.cameras))
    if options.plot:
        plot(samples, options.plot)
    grown = [share for share in growth(samples) if share >= 0.02]
    if code or unexplained or grown:
        raise SystemExit(
            f"exit code {code}, {unexplained} gaps without a reason, {len(grown)} figures grew by 2 % or more"
        )


if __name__ == "__main__":
    main()

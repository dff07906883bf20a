"""`streamdehaze live` over minutes or days while its cameras break in turn: nothing grows, and every gap has a reason.

    python benchmarks/live_soak.py --minutes 30                        # 4 cameras, one broken every 20 s
    python benchmarks/live_soak.py --minutes 60 --break-seconds 0      # no camera is broken

Prints memory, threads and descriptors once a minute. At the end it reads the recordings back: every frame that
left must be there or have been counted as dropped, and each gap have a reason: the camera was broken, frames were
dropped and counted, fewer arrived, or a file is dated by a frame that came late (the last three happen on a machine
that is too busy). Fails otherwise, or where memory, threads or descriptors grow by 2 % or more (median
of the last fifth of the samples over that of the second fifth; the first is warm-up). Needs GStreamer's RTSP server
(see tests/rtsp_camera.py).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
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
"""Between the moment a camera is broken, or a frame is dropped, and the first frame that is missing."""


@dataclass(frozen=True)
class Outage:
    """A camera that was broken: seconds since 1970."""

    began: float
    ended: float


@dataclass(frozen=True)
class Counted:
    """What the page knew of the cameras at one moment."""

    moment: float
    """Seconds since 1970."""
    arrived: list[int]
    dropped: list[Counter[str]]
    left: list[int]
    """Frames that went to the sinks, clear or hazy."""
    text: str
    """For people."""


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


@dataclass(frozen=True)
class Gap:
    """Seconds since 1970 between two frames of a camera's recordings."""

    began: float
    ended: float
    between_files: bool
    """Each file is dated by the arrival of its first frame, so that a late one looks like a gap before it."""


def recorded(folder: Path, number: int) -> tuple[int, list[Gap]]:
    """How many frames a camera's recordings hold, and the gaps between them."""
    files = (path for path in sorted(folder.glob(f"{number}-*.mkv")))
    times = sorted((moment, index) for index, path in enumerate(files) for moment in frame_times(path))
    pairs = itertools.pairwise(times)
    return len(times), [Gap(a, b, first != second) for (a, first), (b, second) in pairs if b - a > _GAP_SECONDS]


def reason_of(gap: Gap, number: int, outages: list[Outage], counted: list[Counted], fps: float) -> str:
    """Why a camera's recording has a gap; "" if nothing tells."""
    if any(each.began - _GRACE_SECONDS <= gap.began <= each.ended + _GRACE_SECONDS for each in outages):
        return "broken"
    before = [each for each in counted if each.moment <= gap.began - _GRACE_SECONDS][-1:] or counted[:1]
    after = [each for each in counted if each.moment >= gap.ended + _GRACE_SECONDS][:1] or counted[-1:]
    drops = after[0].dropped[number] - before[0].dropped[number]
    if drops:
        return f"dropped ({', '.join(sorted(drops))})"
    expected = fps * (after[0].moment - before[0].moment)
    missing = expected - (after[0].arrived[number] - before[0].arrived[number])
    if missing > 0.5 * fps * (gap.ended - gap.began):
        return "fewer arrived"
    return "dates of two files" if gap.between_files else ""


def explain(number: int, found: list[Gap], reasons: list[str], outages: int) -> None:
    """Print what is known of a camera's gaps."""
    lengths = [gap.ended - gap.began for gap in found] or [0.0]
    for gap in (gap for gap, reason in zip(found, reasons, strict=True) if not reason):
        moment = datetime.fromtimestamp(gap.began)
        print(f"camera {number}: no reason for the gap of {gap.ended - gap.began:.1f} s at {moment}")
    print(
        f"camera {number}: broken {outages} times; {len(found)} gaps, the longest {max(lengths):.1f} s, median "
        f"{statistics.median(lengths):.1f} s: {dict(Counter(reason or 'no reason' for reason in reasons))}"
    )


def count(address: str) -> Counted:
    """What the page knows of the cameras now."""
    with urllib.request.urlopen(f"http://{address}/api/cameras", timeout=30) as answer:
        cameras: list[dict[str, Any]] = json.load(answer)["cameras"]
    return Counted(
        time.time(),
        arrived=[each["frames_in"] for each in cameras],
        dropped=[Counter(each["dropped"]) for each in cameras],
        left=[each["frames_out"] + each["frames_hazy"] for each in cameras],
        text=f"out {sum(each['frames_out'] for each in cameras)}, "
        f"reconnects {[each['reconnects'] for each in cameras]}, dropped {[each['dropped'] for each in cameras]}",
    )


def watch(
    process: subprocess.Popen[bytes], cameras: list[RtspCamera], address: str, options: argparse.Namespace
) -> tuple[list[tuple[float, int, int, int]], list[list[Outage]], list[Counted]]:
    """Sample the process and break cameras until the time is over."""
    watched, begun = psutil.Process(process.pid), time.monotonic()
    samples: list[tuple[float, int, int, int]] = []
    outages: list[list[Outage]] = [[] for _ in cameras]
    nothing = [0] * len(cameras)
    counted = [Counted(time.time(), nothing, [Counter[str]() for _ in cameras], nothing, "no answer yet")]
    turn, break_at, print_at = itertools.cycle(range(len(cameras))), options.break_seconds, 60.0
    while (now := time.monotonic() - begun) < options.minutes * 60 and process.poll() is None:
        samples.append((now, *sample(watched)))
        with contextlib.suppress(OSError):  # it does not answer before the engine is open
            counted.append(count(address))
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
            print(
                f"minute {now / 60:.0f}: {memory / 2**20:.1f} MiB, {threads} threads, {descriptors} descriptors, "
                f"{counted[-1].text}",
                flush=True,
            )
        time.sleep(_SAMPLE_SECONDS)
    with contextlib.suppress(OSError):  # it has ended
        counted.append(count(address))
    return samples, outages, counted


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
            samples, outages, counted = watch(process, cameras, address, options)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait()
            for camera in cameras:
                camera.kill()
        unexplained = lost = 0
        for number, broken in enumerate(outages):
            frames, found = recorded(folder, number)
            drops = counted[-1].dropped[number]
            lost += max(0, counted[-1].left[number] - frames - drops["sink_full"] - drops["sink_down"])
            reasons = [reason_of(gap, number, broken, counted, float(options.fps)) for gap in found]
            explain(number, found, reasons, len(broken))
            unexplained += reasons.count("")
    if options.plot:
        plot(samples, options.plot)
    grown = [share for share in growth(samples) if share >= 0.02]
    if code or unexplained or lost or grown:
        raise SystemExit(
            f"exit code {code}, {unexplained} gaps without a reason, {lost} frames neither recorded nor counted as "
            f"dropped, {len(grown)} figures grew by 2 % or more"
        )


if __name__ == "__main__":
    main()

"""Memory, threads and file descriptors of live cameras over minutes or days.

    python benchmarks/live_soak.py --minutes 60 --plot live-soak.png
    python benchmarks/live_soak.py --minutes 10 --flapping     # one of the cameras dies again and again

Prints a line a minute; fails where memory after the first minute grows by 2 % or more. Needs GStreamer's RTSP server
(see tests/rtsp_camera.py).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from soak import plot, sample

from rtsp_camera import RtspCamera
from streamdehaze.dehaze import Dehazer
from streamdehaze.live import CameraConfig, LivePipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", default="8")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--flapping", action="store_true")
    parser.add_argument("--no-adapt", action="store_true", help="keep full quality, and with it one size of network")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    servers = [RtspCamera(size=options.size, fps=options.fps, audio=True) for _ in range(options.cameras)]
    process = psutil.Process()
    samples = []
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Dehazer(engine=options.engine) as dehazer:
        configs = [
            CameraConfig(
                name=f"camera{n}", url=server.url, to=(f"{folder}/{n}.mkv", f"{folder}/{n}/"), segment_seconds=20
            )
            for n, server in enumerate(servers)
        ]
        try:
            with LivePipeline(configs, dehazer=dehazer, adapt=not options.no_adapt) as pipeline:
                base = None
                for minute in range(1, round(options.minutes) + 1):
                    end = time.monotonic() + 60
                    while (left := end - time.monotonic()) > 0:
                        time.sleep(min(10, left))
                        samples.append((time.monotonic() - begun, *sample(process)))
                        if options.flapping:
                            servers[-1].kill()
                            time.sleep(1)
                            servers[-1].start()
                        for old in sorted(Path(folder).glob("*.mkv"), key=lambda path: path.stat().st_mtime)[:-4]:
                            old.unlink()
                    statuses = [camera.status() for camera in pipeline.cameras.values()]
                    memory = process.memory_info().rss
                    base = memory if base is None else base
                    print(
                        f"minute {minute}: {memory / 2**20:.1f} MiB ({memory / base - 1:+.2%}), "
                        f"{threading.active_count()} threads, {len(os.listdir('/proc/self/fd'))} files, "
                        f"out {sum(s.frames_out for s in statuses)}, dropped {[dict(s.dropped) for s in statuses]}, "
                        f"reconnects {[s.reconnects for s in statuses]}, load {os.getloadavg()[0]:.1f}",
                        flush=True,
                    )
        finally:
            for server in servers:
                server.kill()
    if options.plot:
        plot(samples, options.plot)
    if base is not None and memory > 1.02 * base:
        raise SystemExit("memory grew by 2 % or more")


if __name__ == "__main__":
    main()

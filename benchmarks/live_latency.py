"""Latency a live camera is given: frame arrival to clear frame written, at its own pace and under overload.

    python benchmarks/live_latency.py                      # 640x360, 15 frames a second, then 60 of them
    python benchmarks/live_latency.py --seconds 60 --overload-fps 120 --engine torch

Needs GStreamer's RTSP server (see tests/rtsp_camera.py), which shares the processor with what is measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from rtsp_camera import RtspCamera
from streamdehaze.dehaze import Dehazer
from streamdehaze.live import CameraConfig, LivePipeline
from waiting import wait_until


def percentile(values: list[float], share: float) -> float:
    """Of an unordered list."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(title: str, server: RtspCamera, dehazer: Dehazer, options: argparse.Namespace, fps: float) -> None:
    """Run one camera, let it settle, and print what the following seconds were like."""
    process = psutil.Process()
    latencies: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        config = CameraConfig(name="gate", url=server.url, to=(f"{folder}/clear.mkv",), latency_budget=options.budget)
        with LivePipeline([config], dehazer=dehazer, adapt=options.adapt) as pipeline:
            camera = pipeline.cameras["gate"]
            wait_until(lambda: camera.status().counters.frames_out > 0, "the first frame")
            time.sleep(options.settle)
            counters = camera.counters
            delivered = counters.delivered
            counters.delivered = lambda seconds: (latencies.append(seconds), delivered(seconds))[1]  # type: ignore[method-assign]
            before, memory, began = counters.snapshot(), process.memory_info().rss, time.monotonic()
            time.sleep(options.seconds)
            seconds = time.monotonic() - began
            after, status = counters.snapshot(), camera.status()
            grown = process.memory_info().rss - memory
    drops = {
        reason: count - before.dropped.get(reason, 0)
        for reason, count in after.dropped.items()
        if count > before.dropped.get(reason, 0)
    }
    stages = ", ".join(
        f"{name} {1000 * (h.sum - before.stages[name].sum) / max(1, h.count - before.stages[name].count):.1f}"
        for name, h in after.stages.items()
    )
    print(
        f"{title}: {options.size} at {fps:g} fps, {status.engine}, budget {1000 * options.budget:.0f} ms, "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n"
        f"  latency p50 {1000 * percentile(latencies, 0.5):.1f} ms, p99 {1000 * percentile(latencies, 0.99):.1f} ms, "
        f"worst {1000 * max(latencies):.1f} ms of {len(latencies)} frames\n"
        f"  in {(after.frames_in - before.frames_in) / seconds:.1f} fps, "
        f"out {(after.frames_out - before.frames_out) / seconds:.1f} fps, dropped {drops or 'none'}\n"
        f"  mean of stages, ms: {stages}\n"
        f"  quality level {status.adapt_level} ({status.adapt_text}), memory {grown / 2**20:+.1f} MiB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=float, default=15)
    parser.add_argument("--overload-fps", type=float, default=60)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--settle", type=float, default=8)
    parser.add_argument("--budget", type=float, default=0.2)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--checkpoint", default="aecrnet-s")
    parser.add_argument("--adapt", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    with Dehazer(options.checkpoint, engine=options.engine) as dehazer:
        for title, fps in (("pace", options.fps), ("overload", options.overload_fps)):
            if fps:
                with RtspCamera(size=options.size, fps=f"{fps:g}", gop=30) as server:
                    measure(title, server, dehazer, options, fps)


if __name__ == "__main__":
    main()

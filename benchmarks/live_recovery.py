"""How soon a camera that was killed is clear again: kills and restarts a real RTSP server at random moments.

    python benchmarks/live_recovery.py --kills 20

Prints the seconds from each return of the server to the next clear frame, and threads and file descriptors before
and after. Needs GStreamer's RTSP server (see tests/rtsp_camera.py).
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from doubles import quick_dehazer
from rtsp_camera import RtspCamera
from streamdehaze.live import CameraConfig, LivePipeline
from waiting import wait_until


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    frames: list[tuple[float, int]] = []
    with RtspCamera(size="160x120") as server:
        config = CameraConfig(name="gate", url=server.url)
        with LivePipeline(
            [config],
            dehazer=quick_dehazer(),
            on_frame=lambda camera, hazy, clear: frames.append((time.monotonic(), clear.pts or 0)),
        ) as pipeline:
            wait_until(lambda: frames, "the first frame")
            before = threading.active_count(), len(os.listdir("/proc/self/fd"))
            waits = []
            for _ in range(options.kills):
                time.sleep(chance.uniform(0.1, 2.0))
                server.kill()
                time.sleep(chance.uniform(0.1, 4.0))
                server.start()
                returned = time.monotonic()
                wait_until(lambda: frames[-1][0] > returned, "a clear frame")  # noqa: B023
                waits.append(frames[-1][0] - returned)
            time.sleep(1)
            after = threading.active_count(), len(os.listdir("/proc/self/fd"))
            status = pipeline.cameras["gate"].status()
    grows = all(a < b for (_, a), (_, b) in pairwise(frames))
    print(f"{options.kills} kills, {status.counters.reconnects} reconnects, load {os.getloadavg()[0]:.1f}")
    print("seconds from return to clear frame:", " ".join(f"{wait:.2f}" for wait in sorted(waits)))
    print(f"threads and file descriptors: {before} before, {after} after; PTS monotonic: {grows}")


if __name__ == "__main__":
    main()

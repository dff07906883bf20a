"""What a camera that changes its size every second costs the others: holes in their recordings, and memory.

    python benchmarks/live_changing.py --seconds 120 --engine openvino

`streamdehaze live` records an RTSP camera; one that sends another of 24 sizes every second joins it, and the
configuration is read again every ten seconds. Fails where two frames in the recording lie more than half a second
apart, or memory grows by 50 MiB or more once both cameras run. Needs GStreamer's RTSP server (see
tests/rtsp_camera.py).
"""

from __future__ import annotations

import argparse
import itertools
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from live_soak import count, frame_times

from changing_camera import JpegCamera, sizes_that_change
from rtsp_camera import RtspCamera, free_port
from waiting import wait_until

_RELOAD_SECONDS = 10
_HOLE_SECONDS = 0.5
_GROWTH_BYTES = 50 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--engine", default="openvino")
    options = parser.parse_args()
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as name, JpegCamera(sizes_that_change()) as changing:
        folder, steady = Path(name), RtspCamera(size="320x180", fps=15)
        config = folder / "cameras.toml"
        first = f'engine = "{options.engine}"\n[[camera]]\nname = "steady"\nurl = "{steady.url}"\nto = ["steady.mkv"]\n'
        second = f'[[camera]]\nname = "changing"\nurl = "{changing.url}"\nmax_fps = '
        config.write_text(first, encoding="utf-8")
        program = str(Path(sys.executable).absolute().with_name("streamdehaze"))
        command = [program, "live", "--quiet", "--config", str(config), "--serve", address]
        with subprocess.Popen(command, cwd=folder) as process:
            memory = psutil.Process(process.pid).memory_info

            def left(number: int) -> int:
                assert process.poll() is None, "it has ended"
                cameras = count(address).left if list(folder.glob("steady-*.mkv")) else []
                return cameras[number] if len(cameras) > number else 0

            try:
                wait_until(lambda: left(0) > 100, "the first camera runs")
                for reloads in range(1 + options.seconds // _RELOAD_SECONDS):
                    config.write_text(f"{first}{second}{2 + reloads % 2}\n", encoding="utf-8")
                    process.send_signal(signal.SIGHUP)
                    if not reloads:
                        wait_until(lambda: left(1) > 20, "both run")
                        before, joined = memory().rss, time.time()
                    else:
                        time.sleep(_RELOAD_SECONDS)
                grown, counted = memory().rss - before, count(address)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
                steady.kill()
        (recording,) = folder.glob("steady-*.mkv")
        times = frame_times(recording)
    holes = sorted((b - a, a - joined) for a, b in itertools.pairwise(times))
    longest = ", ".join(f"{length:.2f} s ({since:+.0f} s)" for length, since in holes[-5:])
    print(
        f"{len(times)} frames in {times[-1] - times[0]:.0f} s; the longest holes, since both run: {longest}; memory "
        f"{before / 2**20:.0f} MiB and {grown / 2**20:+.0f}; {counted.text}"
    )
    if holes[-1][0] > _HOLE_SECONDS or grown >= _GROWTH_BYTES:
        raise SystemExit("a hole too long, or memory that grows")


if __name__ == "__main__":
    main()

"""CPU time of prepare + fit + apply on a 1080p yuv420p frame, against the two conversions they replace.

A tool that works in RGB converts every frame to rgb24 and back (swscale); ours touches the native planes. Prints
milliseconds of processor time a frame, all threads, and their ratio; both are measured in turn in one run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import av
import numpy as np

from streamdehaze.dehaze import affine
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.frame import Frame, PixelFormat

WIDTH, HEIGHT, NETWORK_SIZE, ROUNDS = 1920, 1080, 256, 60


def cpu_ms(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1000


def main() -> None:
    rng = np.random.default_rng(0)
    layout = PixelFormat.parse("yuv420p")
    sizes = [layout.plane_size(index, WIDTH, HEIGHT) for index in range(3)]
    frame = Frame(tuple(rng.integers(16, 236, (h, w), np.uint8) for w, h in sizes), WIDTH, HEIGHT, layout)
    frame_format = FrameFormat.of(frame, NETWORK_SIZE)
    small = affine.shrink_components(frame, frame_format)
    rgb = affine.to_rgb(small, frame_format)
    maps = affine.fit(small, affine.from_rgb(rgb, frame_format), layout.family)

    picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for target, plane in zip(picture.planes, frame.planes, strict=True):
        np.frombuffer(target, np.uint8).reshape(target.height, -1)[:, : plane.shape[1]] = plane
    as_rgb = picture.reformat(format="rgb24")

    works: dict[str, Callable[[], object]] = {
        "prepare (shrink, to RGB)": lambda: affine.to_rgb(affine.shrink_components(frame, frame_format), frame_format),
        "fit (to YUV, three maps)": lambda: affine.fit(small, affine.from_rgb(rgb, frame_format), layout.family),
        "apply (three planes)": lambda: affine.apply(frame, frame_format, maps),
        "swscale yuv420p → rgb24": lambda: picture.reformat(format="rgb24"),
        "swscale rgb24 → yuv420p": lambda: as_rgb.reformat(format="yuv420p"),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            times[name].append(cpu_ms(work))
    medians = {name: statistics.median(values[5:]) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:28} {value:6.2f} ms CPU")
    ours = sum(value for name, value in medians.items() if "swscale" not in name)
    theirs = sum(value for name, value in medians.items() if "swscale" in name)
    print(f"ours {ours:.2f} ms, swscale {theirs:.2f} ms, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()

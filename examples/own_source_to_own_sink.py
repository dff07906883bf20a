"""Connect StreamDehaze to a program of your own: any `Source` in, any `Sink` out.

Frames come from a simulated fog camera and go to a meter that measures each one; decode, dehazing and the sink run
in threads of their own, with bounded queues between them. python own_source_to_own_sink.py [frames]
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from streamdehaze import Frame, VideoInfo, dehaze_video
from streamdehaze.scene import Fog, StreetScene


class FogCamera:
    """A source: describes what it will deliver, then delivers frames with their times."""

    def __init__(self, frames: int) -> None:
        self._scene = StreetScene(320, 180, frames=frames)
        self._fog = Fog(visibility_metres=70)

    @property
    def info(self) -> VideoInfo:
        return VideoInfo(
            width=320,
            height=180,
            pixel_format="rgb24",
            average_rate=Fraction(25),
            time_base=Fraction(1, 25),
            frame_count=len(self._scene),
            duration_seconds=len(self._scene) / 25,
            codec="rawvideo",
        )

    def __iter__(self) -> Iterator[Frame]:
        for rendered in self._scene:
            hazy = self._fog.apply(rendered.clear, rendered.depth_metres, rendered.index)
            picture = (hazy * 255).astype(np.uint8)
            yield Frame.from_array(picture, pts=rendered.index, time_base=self.info.time_base)

    def close(self) -> None:
        """A real camera would be released here."""


class ContrastMeter:
    """A sink: takes clear frames in order."""

    def __init__(self) -> None:
        self.contrast: list[float] = []

    def write(self, frame: Frame) -> None:
        self.contrast.append(float(frame.to_array().std()))

    def close(self) -> None:
        print(f"{len(self.contrast)} clear frames, mean contrast {np.mean(self.contrast):.1f}")

    def abort(self) -> None:
        print("stopped before the end")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("frames", type=int, nargs="?", default=50)
camera = FogCamera(parser.parse_args().frames)
report = dehaze_video(camera, ContrastMeter(), dehazer="aecrnet-s")
print(f"{report.statistics.fps:.1f} fps; the slowest stage is {report.statistics.bottleneck}")
camera.close()

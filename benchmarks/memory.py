"""Peak memory of `streamdehaze run` on 4K clips of two lengths: it must be bounded, and must not grow with length."""

from __future__ import annotations

import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from processes import measure

LENGTHS = (30, 120)
ENGINES = ("torch", "openvino")


def write_clip(path: Path, frames: int) -> None:
    """`frames` of moving 3840 × 2160 noise, H.264."""
    texture = np.random.default_rng(0).integers(90, 200, (2400, 4000), np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "30"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 3840, 2160, "yuv420p"
        for index in range(frames):
            picture = av.VideoFrame(3840, 2160, "yuv420p")
            luma = texture[index % 200 :, index % 100 :][:2160, :3840]
            for plane, value in zip(picture.planes, (luma, 128, 128), strict=True):
                np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width] = value
            picture.pts, picture.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))


def main() -> None:
    streamdehaze = str(Path(sys.executable).with_name("streamdehaze"))
    with tempfile.TemporaryDirectory() as folder:
        clips = [Path(folder) / f"{frames}.mp4" for frames in LENGTHS]
        for clip, frames in zip(clips, LENGTHS, strict=True):
            write_clip(clip, frames)
        for engine in ENGINES:
            peaks = []
            for clip, frames in zip(clips, LENGTHS, strict=True):
                target = clip.with_name(f"{clip.stem}.{engine}.mp4")
                peaks.append(
                    measure([streamdehaze, "run", "-q", "--engine", engine, str(clip), "-o", str(target)]).mebibytes
                )
                print(f"{engine}: {frames} frames of 3840x2160: peak {peaks[-1]:.0f} MiB")
            print(f"{engine}: ratio long to short {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()

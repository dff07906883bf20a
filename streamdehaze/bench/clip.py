"""The clip to measure on: a video file, or a hazy clip drawn at any size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.frame import ColorSpec, Frame, PixelFormat, VideoInfo
from streamdehaze.video import FileSink, FileSource

_TIME_BASE = Fraction(1, 12800)


class DrawnClip:
    """A `Source` of drawn hazy yuv420p frames that pan slowly, so that an encoder has something to do.

    Raises:
        ConfigError: if the size is odd or too small.
    """

    def __init__(self, width: int, height: int, frames: int) -> None:
        if width < 16 or height < 16 or width % 2 or height % 2:
            raise ConfigError(f"a clip of {width}×{height} cannot be drawn: sides are even and at least 16 pixels")
        self.info = VideoInfo(
            width=width,
            height=height,
            pixel_format="yuv420p",
            average_rate=Fraction(25),
            time_base=_TIME_BASE,
            frame_count=frames,
            duration_seconds=frames / 25,
            codec="h264",
            color=ColorSpec(),
        )
        self._frames = frames
        rgb = hazy_pictures(1, height, width)[0]
        noise = np.random.default_rng(3).normal(0, 0.01, rgb.shape).astype(np.float32)
        layout = PixelFormat.parse("yuv420p")
        matrix, offset = ColorSpec().resolved(layout, height).planes_from_rgb(layout)
        planes = np.tensordot(matrix, np.clip(rgb + noise, 0, 1), axes=1) + offset[:, None, None]
        luma, u, v = np.clip(planes * 255 + 0.5, 0, 255).astype(np.uint8)
        self._planes = luma, u[::2, ::2], v[::2, ::2]

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order."""
        layout = PixelFormat.parse("yuv420p")
        for index in range(self._frames):
            luma, u, v = (
                np.ascontiguousarray(np.roll(plane, 2 * index // step, axis=1))
                for plane, step in zip(self._planes, (1, 2, 2), strict=True)
            )
            yield Frame(
                (luma, u, v),
                self.info.width,
                self.info.height,
                layout,
                pts=index * 512,
                time_base=_TIME_BASE,
                duration=512,
            )

    def close(self) -> None:
        """Nothing to close."""


def draw_clip(path: Path, width: int, height: int, frames: int) -> None:
    """Write a drawn clip as a video file."""
    source = DrawnClip(width, height, frames)
    with FileSink(path, source, overwrite=True) as sink:
        for frame in source:
            sink.write(frame)


def first_frames(path: Path, count: int) -> list[Frame]:
    """The first frames of a video, decoded into memory.

    Raises:
        SourceError: if it has none.
    """
    with FileSource(path) as source:
        frames = list(itertools.islice(source, count))
    if not frames:
        raise SourceError(f"'{path}' has no frames to measure on")
    return frames

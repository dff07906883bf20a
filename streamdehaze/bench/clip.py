"""The clip to measure on: a video file, or a hazy clip drawn at any size."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np

from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.frame import Frame
from streamdehaze.video import EncodeOptions, FileSource
from streamdehaze.video.clip import Clip, write_clip


def draw_clip(path: Path, width: int, height: int, frames: int) -> None:
    """Write a hazy picture that pans slowly, so that an encoder has something to do, as a video file.

    Raises:
        ConfigError: if the size is odd or too small.
    """
    if width < 16 or height < 16 or width % 2 or height % 2:
        raise ConfigError(f"a clip of {width}×{height} cannot be drawn: sides are even and at least 16 pixels")
    hazy = hazy_pictures(1, height, width)[0].transpose(1, 2, 0)
    noisy = np.clip(hazy + np.random.default_rng(3).normal(0, 0.01, hazy.shape), 0, 1)
    picture = (noisy * 255 + 0.5).astype(np.uint8)
    pictures = (np.roll(picture, 2 * index, axis=1) for index in range(frames))
    write_clip(path, Clip(pictures, (width, height), Fraction(25)), encode=EncodeOptions("h264"), overwrite=True)


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

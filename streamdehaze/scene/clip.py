"""The street as a video file, clear or through fog, with the sound of driving."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np

from streamdehaze.frame import FloatArray
from streamdehaze.scene.fog import Fog
from streamdehaze.scene.scene import SceneFrame, StreetScene
from streamdehaze.video.clip import SAMPLE_RATE, Clip
from streamdehaze.video.clip import write_clip as write
from streamdehaze.video.rgb import RgbArray


def write_clip(
    path: str | os.PathLike[str],
    scene: StreetScene,
    fog: Fog | None = None,
    *,
    overwrite: bool = False,
    each: Callable[[SceneFrame], object] | None = None,
) -> None:
    """Render a scene into a video with engine sound and three chapters.

    Args:
        path: its extension chooses the container.
        scene: what to film.
        fog: what it is filmed through; None for the clear truth.
        overwrite: replace an existing file.
        each: called with every frame once it is written.

    Raises:
        SinkError: if the file cannot be written.
    """
    seconds = float(scene.frames / scene.frame_rate)
    chapters = [(0.0, "Setting off"), (seconds / 3, "Down the street"), (2 * seconds / 3, "Further on")]

    def pictures() -> Iterator[RgbArray]:
        for frame in scene:
            yield to_bytes(frame.clear if fog is None else fog.apply(frame.clear, frame.depth_metres, frame.index))
            if each is not None:
                each(frame)

    size, sound = (scene.width, scene.height), engine_sound(seconds)
    clip = Clip(pictures(), size, scene.frame_rate, sound=sound, chapters=chapters)
    write(path, clip, overwrite=overwrite)


def to_bytes(picture: FloatArray) -> RgbArray:
    """A picture in [0, 1] as uint8."""
    rounded: RgbArray = (picture * 255 + 0.5).astype(np.uint8)
    return rounded


def engine_sound(seconds: float) -> FloatArray:
    """(samples,) of a car heard from inside: a humming engine and the tyres' rush, quiet, −1 to 1."""
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    turns = 2 * np.pi * (52 * t - 1.5 * np.cos(0.8 * t))
    hum = sum(np.sin(order * turns) / order**1.3 for order in (1, 2, 3, 4, 6))
    hiss = rng.standard_normal(len(t))
    spectrum = np.fft.rfft(hiss)
    spectrum /= 1 + (np.fft.rfftfreq(len(t), 1 / SAMPLE_RATE) / 220) ** 2
    rush = np.fft.irfft(spectrum, len(t))
    sound: FloatArray = (0.06 * hum + 0.05 * rush / max(float(np.abs(rush).max()), 1e-9)).astype(np.float32)
    return sound

"""The demo: a foggy street is rendered, cleared and measured against the truth."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamdehaze.compare import compare
from streamdehaze.compare.montage import side_by_side, split_screen
from streamdehaze.dehaze import Dehazer
from streamdehaze.durable import make_folder, write_output
from streamdehaze.errors import ConfigError
from streamdehaze.fidelity import psnr
from streamdehaze.network import DEFAULT_CHECKPOINT
from streamdehaze.pipeline import Report, dehaze_video, open_source
from streamdehaze.scene import Fog, SceneFrame, StreetScene, write_clip
from streamdehaze.scene.clip import to_bytes
from streamdehaze.video.rgb import RgbArray, RgbConverter

DEMO_FOG = Fog(visibility_metres=90, unevenness=0.2, sensor_noise=0.008)
"""A foggy morning: t is 0.85 at four metres, 0.1 at fifty, and the far end of the street is invisible."""

CHECK_EVERY = 5
"""Every k-th frame is measured."""


@dataclass(frozen=True)
class DemoResult:
    """The files of the demo, and how close they are to the truth."""

    hazy_video: Path
    clear_video: Path
    comparison: Path
    picture: Path
    psnr_hazy: float
    """dB of the foggy video's frames against the clear truth."""
    psnr_clear: float
    """dB of the dehazed ones."""
    frames_measured: int
    report: Report


def run_demo(
    folder: str | os.PathLike[str],
    *,
    seconds: float = 5.0,
    checkpoint: str = DEFAULT_CHECKPOINT,
    say: Callable[[str], object] = lambda text: None,
) -> DemoResult:
    """Render `foggy.mp4`, clear it, and compare both with the truth; files from an earlier demo are replaced.

    Args:
        folder: made if it is missing.
        seconds: length of the clip at 25 frames a second.
        checkpoint: what dehazes it.
        say: called with a line of text as each step begins.

    Raises:
        StreamDehazeError: one sentence on what was wrong with which file or option.
    """
    if seconds <= 0:
        raise ConfigError(f"the demo must last longer than {seconds} seconds")
    folder = Path(folder)
    make_folder(folder)
    hazy, clear = folder / "foggy.mp4", folder / "foggy.clear.mp4"
    comparison, picture = folder / "compare.mp4", folder / "split.png"
    scene = StreetScene(640, 360, frames=max(1, round(seconds * 25)))
    truth: dict[int, RgbArray] = {}

    def keep(frame: SceneFrame) -> None:
        if frame.index % CHECK_EVERY == 0:
            truth[frame.index] = to_bytes(frame.clear)

    say(f"rendering {scene.frames} frames of a foggy street (the first run compiles the renderer) …")
    write_clip(hazy, scene, DEMO_FOG, overwrite=True, each=keep)
    say(f"clearing {hazy.name} with {checkpoint} …")
    # The truth is as dark as the street is without the light that the fog scatters.
    with Dehazer(checkpoint, steady="low", look_ahead=True, brightness="natural") as dehazer:
        report = dehaze_video(hazy, clear, dehazer=dehazer, overwrite=True)
    say("measuring and comparing …")
    hazy_frames, clear_frames = _frames(hazy, truth), _frames(clear, truth)
    compare(hazy, clear, comparison, divider=None, labels=("hazy", "clear"), overwrite=True)
    middle = sorted(truth)[len(truth) // 2]
    _write_picture(picture, hazy_frames[middle], clear_frames[middle], truth[middle])
    before, after = mean_psnr(hazy_frames, truth), mean_psnr(clear_frames, truth)
    return DemoResult(hazy, clear, comparison, picture, before, after, len(truth), report)


def mean_psnr(frames: dict[int, RgbArray], truth: dict[int, RgbArray]) -> float:
    """Mean over the frames of each one's peak signal-to-noise ratio in dB, over all its RGB samples."""
    return sum(psnr(frames[index], true) for index, true in truth.items()) / len(truth)


def _frames(path: Path, wanted: dict[int, RgbArray]) -> dict[int, RgbArray]:
    """The frames of a video that have these indices."""
    convert = RgbConverter()
    with open_source(path) as source:
        return {index: convert(frame) for index, frame in enumerate(source) if index in wanted}


def _write_picture(path: Path, hazy: RgbArray, clear: RgbArray, truth: RgbArray) -> None:
    """Split screen of hazy and clear, next to the truth."""
    import cv2

    split = split_screen([hazy, clear], ("hazy", "clear"), [0.5])
    montage = side_by_side([split, truth], ("", "truth"))
    write_output(path, cv2.imencode(".png", montage[..., ::-1])[1].tobytes())

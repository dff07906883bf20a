"""Animated pictures stay animated as they were: how often they are played, and how long each picture is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.writing.animation import Animation
from streamdehaze.video.writing.file import FileSink

SHOWN = [100, 50, 300, 100, 20]
"""Milliseconds of each picture."""


def drawn(path: Path, loop: int | None) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (len(SHOWN), 24, 32, 3), np.uint8)
    first, *others = (Image.fromarray(each) for each in pixels)
    looping = {} if loop is None else {"loop": loop}
    kind = "GIF" if path.suffix == ".gif" else "PNG"
    first.save(path, kind, save_all=True, append_images=others, duration=SHOWN, **looping)
    return path


def written(source: Path, path: Path, end: float | None = None) -> Path:
    with FileSource(source, end=end) as frames, FileSink(path, frames) as sink:
        for frame in frames:
            sink.write(frame)
    return path


def shown(path: Path) -> list[int]:
    with Image.open(path) as picture:
        milliseconds = []
        for number in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(number)
            milliseconds.append(round(picture.info["duration"]))
    return milliseconds


def loop_of(path: Path) -> int | None:
    with Image.open(path) as picture:
        loop: int | None = picture.info.get("loop")
        return loop


@pytest.mark.parametrize("suffix", [".gif", ".apng"])
@pytest.mark.parametrize("loop", [0, 1, 3, None])
def test_an_animation_is_played_as_often_and_as_long_as_before(tmp_path: Path, suffix: str, loop: int | None) -> None:
    source = drawn(tmp_path / f"in{suffix}", loop)
    clear = written(source, tmp_path / f"out{suffix}")
    assert loop_of(clear) == loop_of(source)
    assert shown(clear) == shown(source) == SHOWN


@pytest.mark.parametrize(("loop", "plays"), [(0, 0), (None, 1), (3, 4)])
def test_a_gif_that_becomes_an_apng_is_played_as_often(tmp_path: Path, loop: int | None, plays: int) -> None:
    apng = written(drawn(tmp_path / "in.gif", loop), tmp_path / "out.apng")
    assert loop_of(apng) == plays
    assert loop_of(written(apng, tmp_path / "back.gif")) == loop


def test_the_last_picture_of_a_cut_animation_is_not_the_last_of_the_whole(tmp_path: Path) -> None:
    cut = written(drawn(tmp_path / "in.apng", 0), tmp_path / "out.apng", end=0.3)
    assert shown(cut)[:2] == SHOWN[:2]
    assert shown(cut)[-1] != SHOWN[-1]


def test_a_file_that_ends_in_its_head_has_no_say(tmp_path: Path) -> None:
    source = drawn(tmp_path / "in.gif", 3)
    for size in (6, 12, 20, 30):
        (tmp_path / "cut.gif").write_bytes(source.read_bytes()[:size])
        assert Animation.of(tmp_path / "cut.gif") in (None, Animation(1))

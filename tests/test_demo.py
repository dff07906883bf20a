"""The demo writes what it promises, and what it cleared is nearer to the truth."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import pytest
from click.testing import CliRunner

from streamdehaze.cli import main
from streamdehaze.demo import DemoResult, run_demo


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return run_demo(tmp_path_factory.mktemp("demo") / "out", seconds=1.0)


def test_the_demo_clip_gains_four_decibels(result: DemoResult) -> None:
    assert result.frames_measured == 5
    assert 8 < result.psnr_hazy < 14
    assert result.psnr_clear - result.psnr_hazy >= 4.0


def test_the_demo_writes_videos_and_a_picture(result: DemoResult) -> None:
    names = {path.name for path in result.picture.parent.iterdir()}
    assert names == {"foggy.mp4", "foggy.clear.mp4", "compare.mp4", "split.png"}
    for video in (result.hazy_video, result.clear_video, result.comparison):
        with av.open(str(video)) as file:
            assert sum(1 for _ in file.decode(video=0)) == 25
            assert len(file.streams.audio) == 1
            assert len(file.chapters()) == 3
    assert cv2.imread(str(result.picture)).shape == (360, 1280, 3)


def test_an_impossible_folder_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = CliRunner().invoke(main, ["demo", "-o", str(tmp_path / "file" / "demo")])
    assert done.exit_code == 1
    assert "cannot be made" in done.output

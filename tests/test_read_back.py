"""What an output lacks of its input is measured by reading it back, named, reported, and an error if asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from clips import Clip, copy_through
from public_tools import H264, PICTURES, SOUND, ffmpeg
from streamdehaze.cli import main
from streamdehaze.video import EncodeOptions
from streamdehaze.video.readback.compare import Asked, differences
from streamdehaze.video.readback.facts import read_facts

PLAIN = ["--strength", "0", "--steady", "off"]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Pictures, sound and subtitles that Matroska holds and AVI does not."""
    clip = Clip(audio="aac", subtitles="subrip", metadata={"title": "fog"}, rotation=90)
    return clip.write(tmp_path / "film.mkv")


def test_the_same_file_has_no_differences(film: Path) -> None:
    assert differences(read_facts(str(film)), read_facts(str(film))) == []


def test_each_fact_that_differs_is_found(film: Path) -> None:
    before = read_facts(str(film))
    sound, texts = before.streams
    changes = {
        "audio stream 1 (aac, fra)": {"streams": (texts,)},
        "language deu of subtitle stream 2 (subrip, deu)": {"streams": (sound, replace(texts, language=""))},
        "audio stream 1 (aac, fra) (now mp3)": {"streams": (replace(sound, codec="mp3"), texts)},
        "tag title": {"tags": {}},
        "tag title (now 'smog')": {"tags": {"title": "smog"}},
        "rotation by 90 degrees": {"pictures": replace(before.pictures, matrix=None)},
        "size 64x48 (now 32x48)": {"pictures": replace(before.pictures, width=32)},
        "pixel format yuv420p (now yuv422p)": {"pictures": replace(before.pictures, pixel_format="yuv422p")},
    }
    for text, change in changes.items():
        assert [str(each) for each in differences(before, replace(before, **change))] == [text]  # type: ignore[arg-type]


def test_what_was_asked_for_is_no_loss(film: Path) -> None:
    before = read_facts(str(film))
    deep = replace(before, pictures=replace(before.pictures, pixel_format="yuv420p10le"))
    assert differences(before, deep, Asked(pixel_format=True)) == []
    coded = replace(before, video=replace(before.video, codec="hevc"))
    assert differences(before, coded, Asked(codec=True)) == []
    assert [each.topic for each in differences(before, coded)] == ["codec"]


def test_no_word_where_nothing_is_lost(film: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert copy_through(film, tmp_path / "out.mkv").losses == []
    assert copy_through(film, tmp_path / "hevc.mkv", encode=EncodeOptions("libx265")).losses == []
    assert "lacks" not in caplog.text


def test_losses_are_in_the_report_and_strict_makes_them_an_error(film: Path, tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    command = ["run", str(film), "-o", str(tmp_path / "out.avi"), "--report", str(report), *PLAIN]
    assert CliRunner().invoke(main, command).exit_code == 0
    (job,) = json.loads(report.read_text())["jobs"]
    assert {"subtitle stream 2 (subrip, deu)", "rotation by 90 degrees"} <= set(job["losses"])
    strict = CliRunner().invoke(main, [*command, "--overwrite", "--strict", "-q"])
    assert strict.exit_code == 3
    kept = ["run", str(film), "-o", str(tmp_path / "out.mkv"), "--strict", *PLAIN]
    assert CliRunner().invoke(main, kept).exit_code == 0


def test_a_dry_run_says_what_will_be_lost_and_writes_nothing(film: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    command = ["run", str(film), "-o", str(tmp_path / "out.avi"), "--dry-run"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0
    assert "encoder libx264, pixel format yuv420p" in result.output
    assert "copies audio stream 1 (aac, fra)" in result.output
    assert "not kept: subtitle stream 2 (subrip, deu)" in result.output
    assert CliRunner().invoke(main, [*command, "--strict"]).exit_code == 3
    assert sorted(tmp_path.iterdir()) == before


def test_losses_of_long_files_in_segments_are_named_too(tmp_path: Path) -> None:
    clip = Clip(audio="aac", subtitles="subrip", pts=range(0, 75 * 512, 512)).write(tmp_path / "film.mkv")
    report = tmp_path / "run.json"
    command = ["run", str(clip), "-o", str(tmp_path / "out.avi"), "--segment-seconds", "1", "--report", str(report)]
    assert CliRunner().invoke(main, [*command, *PLAIN]).exit_code == 0
    (job,) = json.loads(report.read_text())["jobs"]
    assert "subtitle stream 2 (subrip, deu)" in job["losses"]


def test_side_data_is_compared_by_kind(tmp_path: Path) -> None:
    source = ffmpeg(
        *PICTURES, *SOUND, *H264, "-c:a", "aac", "-bsf:v",
        "h264_metadata=sei_user_data='086f3693-b7b3-4f2c-9653-21492feee5b8+hello'", tmp_path / "in.mp4",
    )  # fmt: skip
    before = read_facts(str(source))
    assert "SEI_UNREGISTERED" in before.pictures.kinds
    bare = replace(before, pictures=replace(before.pictures, kinds=frozenset()))
    assert [str(each) for each in differences(before, bare)] == ["user data of individual pictures (SEI)"]

"""What an output lacks is found by reading it back, and is named, reported, and on request an error."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from clips import Clip, copy_through
from public_tools import H264, PICTURES, SOUND, ffmpeg, streams
from streamdehaze.cli import main
from streamdehaze.video import EncodeOptions, FileSink, FileSource
from streamdehaze.video.readback.check import ReadBack
from streamdehaze.video.readback.compare import Asked, differences
from streamdehaze.video.readback.facts import read_facts
from streamdehaze.video.writing.passthrough import Passthrough

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


def test_what_was_asked_for_is_not_a_loss(film: Path) -> None:
    before = read_facts(str(film))
    deep = replace(before, pictures=replace(before.pictures, pixel_format="yuv420p10le"))
    assert differences(before, deep, Asked(pixel_format=True)) == []
    coded = replace(before, video=replace(before.video, codec="hevc"))
    assert differences(before, coded, Asked(codec=True)) == []
    assert [each.topic for each in differences(before, coded)] == ["codec"]


def test_nothing_is_reported_where_nothing_is_lost(
    film: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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


@pytest.mark.parametrize("output", ["new/", "new/{stem}/{name}", "new/%05d.png"])
@pytest.mark.parametrize("how", [(), ("--segment-seconds", "1")])
def test_a_dry_run_makes_no_folder_and_the_run_itself_does(
    film: Path, tmp_path: Path, output: str, how: tuple[str, ...]
) -> None:
    command = ["run", str(film), "-o", f"{tmp_path}/{output}", *how]
    result = CliRunner().invoke(main, [*command, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "new").exists()
    result = CliRunner().invoke(main, [*command, *PLAIN])
    assert result.exit_code == 0, result.output
    assert any(path.is_file() for path in (tmp_path / "new").rglob("*"))


def test_a_run_sends_nothing_to_an_address(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["run", str(film), "-o", "rtsp://me:secret@host/x", *PLAIN])
    assert result.exit_code == 1
    assert "'rtsp://host/x' is an address" in result.output
    assert list(tmp_path.glob("rtsp*")) == []


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


def test_packets_first_times_and_fourccs_that_differ_are_found(tmp_path: Path) -> None:
    sounds = ("-map", "0:v", "-map", "1:a", "-map", "1:a", "-c:a", "aac")
    before = read_facts(str(ffmpeg(*PICTURES, *SOUND, *sounds, *H264, tmp_path / "in.mp4")))
    sound, other = before.streams
    late = replace(before.video, begins=Fraction(1))
    changes = {
        "8 of 48 packets of audio stream 1 (aac)": {"streams": (replace(sound, samples=40), other)},
        "fourcc mp4a of audio stream 1 (aac) (now .mp3)": {"streams": (replace(sound, fourcc=".mp3"), other)},
        "sound in step (audio stream 1 (aac) begins +1.000 s against the video)": {
            "streams": (replace(sound, begins=Fraction(1)), other)
        },
        "first time (0.000 s; now 1.000 s)": {"video": late, "streams": tuple(
            replace(each, begins=Fraction(1)) for each in before.streams)},
    }  # fmt: skip
    for text, change in changes.items():
        after = replace(before, **change)  # type: ignore[arg-type]
        assert [str(each) for each in differences(before, after)] == [text]
        if "fourcc" not in text:
            assert differences(before, after, Asked(trimmed=True)) == []
    renamed = replace(before, brand="qt", streams=(replace(sound, fourcc=".mp3"), other))
    assert differences(before, renamed) == []  # MOV calls some codecs by other names


@pytest.mark.parametrize("ending", ["mkv", "ts", "avi", "nut", "flv", "mp4"])
def test_packets_that_are_not_in_the_output_are_named(tmp_path: Path, ending: str) -> None:
    source = ffmpeg(*PICTURES, *SOUND, *H264, "-bf", "0", "-c:a", "aac", tmp_path / f"in.{ending}")
    cut = ffmpeg("-i", source, "-c", "copy", "-t", "0.6", tmp_path / f"cut.{ending}")
    whole, lacking = (counted(path) for path in (source, cut))
    with FileSource(source) as reader:
        sink = FileSink(tmp_path / f"out.{ending}", reader)
        for frame in reader:
            sink.write(frame)
        sink.close()
        assert sink.losses == []
        assert sink._read_back is not None
        sink._read_back.check(cut, 25)
    video, sound = ((before - after, before) for before, after in zip(whole, lacking, strict=True))
    assert f"{video[0]} of {video[1]} frames" in sink.losses
    assert f"{sound[0]} of {sound[1]} packets of audio stream 1 (aac)" in sink.losses


def counted(path: Path) -> list[int]:
    return [int(each["nb_read_packets"]) for each in streams(path)]


@pytest.mark.parametrize(
    ("sound", "ending"),
    [
        ("pcm_s24be", "mov"), ("alac", "mov"), ("libmp3lame", "mov"), ("ac3", "mp4"), ("libopus", "mp4"),
        ("adpcm_ms", "avi"), ("libmp3lame", "mkv"),
    ],
)  # fmt: skip
def test_copied_sound_is_unchanged(tmp_path: Path, sound: str, ending: str) -> None:
    source = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", sound, tmp_path / f"in.{ending}")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []


def test_sound_that_begins_after_the_window_is_not_a_loss(tmp_path: Path) -> None:
    sound = ("-itsoffset", "0.4", *SOUND)
    source = ffmpeg(*PICTURES, *sound, *H264, "-c:a", "aac", tmp_path / "in.mp4")
    out = tmp_path / "out.mp4"
    command = ["run", str(source), "-o", str(out), "--start", "0.6", "--strict", *PLAIN]
    assert CliRunner().invoke(main, command).exit_code == 0


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_recording_that_begins_between_keyframes_is_in_step(tmp_path: Path, ending: str) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=3")
    long = ("-f", "lavfi", "-i", "sine=d=3:r=48000")
    whole = ffmpeg(*video, *long, *H264, "-g", "40", "-sc_threshold", "0", "-c:a", "aac", tmp_path / "whole.ts")
    (tmp_path / "in.ts").write_bytes(whole.read_bytes()[188 * 60 :])
    assert copy_through(tmp_path / "in.ts", tmp_path / f"out.{ending}").losses == []


def test_an_output_that_cannot_be_read_back_is_named(tmp_path: Path) -> None:
    (tmp_path / "out.ts").write_bytes(b"no transport stream")
    with FileSource(Clip().write(tmp_path / "in.mp4")) as source:
        read_back = ReadBack("'out.ts'", source, Asked(), "mpegts", Passthrough(source, "mpegts"))
        read_back.check(tmp_path / "out.ts", 24)
    assert ["what FFmpeg could read back" in loss for loss in read_back.losses] == [True]

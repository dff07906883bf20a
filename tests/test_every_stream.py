"""`--video-stream all`: both cameras of a dash cam, both lenses or all angles, one after the other."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner

from doubles import quick_dehazer, stopping_at
from public_tools import H264, PICTURES, SOUND, ffmpeg, streams
from streamdehaze import dehaze_video, pipeline
from streamdehaze.cli import main
from streamdehaze.errors import ConfigError, SinkError
from streamdehaze.pipeline.preview import preview_video
from streamdehaze.pipeline.streams import passes
from streamdehaze.video import ReadOptions

ALL = ReadOptions(video_stream="all")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Front and rear of a dash cam, with sound between them."""
    rear = ("-f", "lavfi", "-i", "color=gray:s=48x64:r=10:d=1")
    order = ("-map", "0:v", "-map", "1:a", "-map", "2:v", "-disposition:v:1", "default")
    path = tmp_path_factory.mktemp("two") / "two.mp4"
    return ffmpeg(*PICTURES, *SOUND, *rear, *order, *H264, "-c:a", "aac", path)


def brightness(path: Path) -> list[float]:
    """The mean of the first picture of each video."""
    means = []
    with av.open(str(path)) as container:
        for index in range(len(container.streams.video)):
            container.seek(0)
            picture = next(container.decode(video=index))
            means.append(float(picture.to_ndarray(format="gray").mean()))
    return means


def times(path: Path, stream: int) -> list[float]:
    """Presentation times of the packets of a stream, in order."""
    with av.open(str(path)) as container:
        video = container.streams[stream]
        return sorted(float((p.pts or 0) * p.time_base) for p in container.demux(video) if p.size)


@pytest.mark.usefixtures("engine_alone")  # one of them is a test signal
def test_every_video_of_a_file_is_made_clear(two: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with quick_dehazer() as dehazer:
        report = dehaze_video(two, out, dehazer=dehazer, read=ALL)
    before, after = streams(two), streams(out)
    assert [(s["codec_type"], s["nb_read_packets"]) for s in after] == [
        (s["codec_type"], s["nb_read_packets"]) for s in before
    ]
    darker = np.array(brightness(out)) / np.array(brightness(two))  # half, but for what is overexposed
    assert np.all((darker > 0.4) & (darker < 0.7))
    assert report.losses == ()
    assert report.statistics.encode.frames == 35
    assert sorted(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(("before", "after"), [("mp4", "mp4"), ("ts", "ts"), ("ts", "mkv")])
def test_a_window_is_the_same_for_every_video(two: Path, before: str, after: str, tmp_path: Path) -> None:
    source = ffmpeg("-i", two, "-map", "0", "-c", "copy", tmp_path / f"two.{before}") if before != "mp4" else two
    out = tmp_path / f"out.{after}"
    read = ReadOptions(video_stream="all", start=0.32, end=0.72)  # neither is a time of the rear camera's pictures
    with quick_dehazer() as dehazer:
        dehaze_video(source, out, dehazer=dehazer, read=read)
    begin = min(float(each["start_time"]) for each in streams(source)) + 0.32
    was = [[t - begin for t in times(source, index) if begin <= t < begin + 0.4] for index in range(3)]
    now = [times(out, index) for index in range(3)]
    assert [len(each) for each in now] == [len(each) for each in was] == [10, 19, 4]
    moved = np.concatenate(now) - np.concatenate(was)
    assert np.ptp(moved) < 0.002  # all alike, except for the ticks of Matroska
    assert list(tmp_path.glob("out*")) == [out]


def test_work_continues_after_the_streams_that_are_done(two: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "out.mp4")
    front = next(passes(str(two), target, ALL, {}, overwrite=False, resume=True))
    assert front.target != target
    Path(front.target).write_bytes(two.read_bytes())
    again = next(passes(str(two), target, ALL, {}, overwrite=False, resume=True))
    assert (again.source, again.target) == (front.target, target)
    changed = next(passes(str(two), target, ALL, {"codec": "av1"}, overwrite=False, resume=True))
    assert changed.source == str(two)
    assert not Path(front.target).exists()


def test_a_stopped_run_names_the_streams_it_keeps(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped_at_the_rear(*ends: Any, stop: threading.Event, **options: Any) -> object:
        return dehaze_video(*ends, stop=stop, on_frame=stopping_at(26, stop), **options)

    monkeypatch.setattr(pipeline, "dehaze_video", stopped_at_the_rear)
    command = ["run", str(two), "-o", str(tmp_path / "out.mp4"), "--video-stream", "all", "--strength", "0", "-q"]
    said = CliRunner().invoke(main, command).output
    (front,) = tmp_path.iterdir()
    assert f"the video streams done so far are kept in '{front}'; rerun the same command to continue" in said


def test_what_cannot_work_is_refused_before_any_work(two: Path, tmp_path: Path) -> None:
    (tmp_path / "there.mp4").touch()
    with quick_dehazer() as dehazer:
        with pytest.raises(SinkError, match="exists already"):
            dehaze_video(two, tmp_path / "there.mp4", dehazer=dehazer, read=ALL)
        with pytest.raises(ConfigError, match="a pipe is neither"):
            dehaze_video(two, "-", dehazer=dehazer, read=ALL)


def test_a_dry_run_says_what_happens_to_every_stream(two: Path, tmp_path: Path) -> None:
    plan = preview_video(two, tmp_path / "out.mp4", read=ALL).plan
    assert (plan.encoder, plan.copied) == ("libx264", ("audio stream 1 (aac)",))
    command = ["run", str(two), "-o", str(tmp_path / "out.mp4"), "--video-stream", "all", "--report"]
    plain = ["--strength", "0", "--steady", "off", "-q"]
    assert CliRunner().invoke(main, [*command, str(tmp_path / "run.json"), *plain]).exit_code == 0
    assert json.loads((tmp_path / "run.json").read_text())["jobs"][0]["frames_out"] == 35


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, the second with a keyframe every half a second."""
    rear = ("-f", "lavfi", "-i", "color=gray:s=48x64:r=10:d=1")
    order = ("-map", "0:v", "-map", "1:v", "-g:v:1", "5", "-bf:v", "0")
    return ffmpeg(*PICTURES, *rear, *order, *H264, tmp_path_factory.mktemp("apart") / "two.mp4")


@pytest.mark.parametrize("after", ["mp4", "ts", "mkv"])
def test_a_video_that_is_copied_begins_with_its_keyframe_or_it_is_named(
    apart: Path, after: str, tmp_path: Path
) -> None:
    out = tmp_path / f"out.{after}"
    with quick_dehazer() as dehazer:
        report = dehaze_video(apart, out, dehazer=dehazer, read=ReadOptions(video_stream=0, start=0.72))
    with av.open(str(out)) as container:
        rear = container.streams.video[1]
        shown = [float(picture.time) for picture in container.decode(rear)]  # type: ignore[arg-type]
    begins = times(out, 0)[0]
    if after == "mkv":  # which can neither hide pictures nor begin before 0
        assert report.losses == ("the first 2 pictures of video stream 1 (h264), which need some that are cut away",)
        return
    assert report.losses == ()
    within = 0.1 if after == "mp4" else 0.001  # FFmpeg moves a picture to where its edit begins, players only cut it
    assert [time - begins for time in shown if time >= begins] == pytest.approx([0.08, 0.18], abs=within)


def test_a_video_in_mp4s_form_that_avi_refuses_does_not_end_the_job(apart: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.avi"
    with quick_dehazer() as dehazer:
        report = dehaze_video(apart, out, dehazer=dehazer, read=ReadOptions(video_stream=0))
    assert report.losses == ("video stream 1 (h264)",)
    assert [each["nb_read_packets"] for each in streams(out)] == ["25"]


def test_work_that_was_killed_just_before_its_end_is_only_given_its_name(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out.avi", os.replace  # in AVI the second video is missing, so that one pass does all

    def killed(before: Path, after: Path) -> None:
        if after == out:
            raise KeyboardInterrupt
        replace(before, after)

    with quick_dehazer() as dehazer:
        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            dehaze_video(apart, out, dehazer=dehazer, read=ALL)
        monkeypatch.undo()
        dehaze_video(apart, out, dehazer=dehazer, read=ALL)
    assert [each["nb_read_packets"] for each in streams(out)] == ["25"]
    assert list(tmp_path.iterdir()) == [out]

"""Frame rates where no times are kept: the film plays at its own speed, or a message says that it does not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from public_tools import H264, ffmpeg
from streamdehaze.cli import main
from streamdehaze.video.pyav import frame_rate


def film(path: Path, rate: str, *options: str) -> Path:
    """Twelve small pictures at a rate."""
    return ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=96x64:r={rate}", *options, "-frames:v", "12", *H264, path)


def run(source: Path, target: Path, *options: str) -> str:
    """What a run that only copies the pictures reports."""
    done = CliRunner().invoke(
        main, ["run", str(source), "-o", str(target), "--strength", "0", "--steady", "off", "-q", *options]
    )
    return done.output


def rate_of(path: Path) -> Fraction | None:
    with av.open(str(path)) as container:
        return frame_rate(container.streams.video[0])


@pytest.mark.parametrize("extension", ["m2v", "mxf"])
@pytest.mark.parametrize("rate", ["15", "25/2"])
def test_a_rate_that_the_format_does_not_know_is_refused(extension: str, rate: str, tmp_path: Path) -> None:
    target = tmp_path / f"out.{extension}"
    said = run(film(tmp_path / "in.mp4", rate), target)
    assert "are played at one of 23.976, 24, 25, 29.97, 30, 50, 59.94, 60 frames a second, none of which is" in said
    assert "write to .mkv" in said
    assert not target.exists()


@pytest.mark.parametrize("extension", ["m2v", "mxf", "h264", "hevc", "y4m"])
def test_a_rate_in_the_header_is_kept_and_read_back(extension: str, tmp_path: Path) -> None:
    target = tmp_path / f"out.{extension}"
    assert "frame rate" not in run(film(tmp_path / "in.mp4", "30000/1001"), target, "--strict")
    assert rate_of(target) == Fraction(30000, 1001)
    run(target, tmp_path / "again.mp4")
    assert rate_of(tmp_path / "again.mp4") == Fraction(30000, 1001)


@pytest.mark.parametrize("extension", ["mpg", "vob", "ts", "mkv"])
def test_any_rate_survives_where_times_are_kept(extension: str, tmp_path: Path) -> None:
    target = tmp_path / f"out.{extension}"
    run(film(tmp_path / "in.mp4", "15"), target, "--codec", "mpeg2video")
    with av.open(str(target)) as container:
        times = [float(picture.time or 0) for picture in container.decode(video=0)]
    assert times[-1] - times[0] == pytest.approx(11 / 15, abs=0.002)


@pytest.mark.parametrize("extension", ["obu", "mjpeg"])
def test_a_rate_that_the_container_cannot_hold_is_named_with_the_remedy(extension: str, tmp_path: Path) -> None:
    source, target = film(tmp_path / "in.mp4", "15"), tmp_path / f"out.{extension}"
    assert "frame rate 15 (now 25; --rate 15 reads it right)" in run(source, target, "--dry-run")
    assert CliRunner().invoke(main, ["run", str(source), "-o", str(target), "--strict", "-q"]).exit_code == 3
    run(target, tmp_path / "again.mp4", "--rate", "15")
    assert rate_of(tmp_path / "again.mp4") == 15


def test_a_rate_asked_for_overrides_the_one_in_the_header(tmp_path: Path) -> None:
    raw = film(tmp_path / "in.h264", "24")
    run(raw, tmp_path / "out.mp4", "--rate", "50")
    with av.open(str(tmp_path / "out.mp4")) as container:
        video = container.streams.video[0]
        assert (video.duration or 0) * Fraction(video.time_base or 0) == Fraction(12, 50)


@pytest.mark.parametrize("extension", ["h264", "y4m"])
def test_uneven_times_are_named_where_they_are_not_kept(extension: str, tmp_path: Path) -> None:
    uneven = film(tmp_path / "in.mp4", "30", "-vf", "select='not(mod(n,5))+lt(n,6)'", "-vsync", "vfr")
    said = CliRunner().invoke(main, ["run", str(uneven), "-o", str(tmp_path / f"out.{extension}"), "--strength", "0"])
    assert "the times of frames that come unevenly" in said.output

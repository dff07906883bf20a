"""Time code and reel, by which an editor's program finds the shot again, in the part of it that was kept."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clips import copy_through
from public_tools import H264, SOUND, ffmpeg, ffprobe
from streamdehaze.video import FileSource, SegmentFileSink
from streamdehaze.video.timecode import later

NTSC = Fraction(30000, 1001)
PRORES = ("-c:v", "prores_ks", "-c:a", "pcm_s16le")


def shot(path: Path, time_code: str, *more: str, rate: str = "30000/1001") -> Path:
    """A second of video with sound; the time code is that of its first picture."""
    video = ("-f", "lavfi", "-i", f"testsrc2=s=64x48:r={rate}:d=1")
    codec = PRORES if path.suffix in (".mov", ".mxf") else (*H264, "-c:a", "aac")
    codec = ("-c:v", "mpeg2video", *codec[2:]) if path.suffix == ".mxf" else codec
    return ffmpeg(*video, *SOUND, *codec, "-timecode", time_code, *more, path)


def noted(path: Path, key: str = "timecode") -> set[str]:
    """What a file says under a key, wherever it does."""
    found: Any = ffprobe(path, "-show_format", "-show_streams")
    tags = [each.get("tags", {}) for each in (found["format"], *found["streams"])]
    return {value for each in tags for name, value in each.items() if name.lower() == key}


@pytest.mark.parametrize(
    ("begin", "frames", "rate", "end"),
    [
        ("00:00:59;28", 2, NTSC, "00:01:00;02"),  # two numbers are left out
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),  # but not every tenth minute
        ("00:59:59;58", 2, 2 * NTSC, "01:00:00;00"),
        ("00:00:59;58", 2, 2 * NTSC, "00:01:00;04"),
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
        ("00:00:59:29", 1, NTSC, "00:01:00:00"),
        ("09:59:59:23", 1, Fraction(24000, 1001), "10:00:00:00"),
        ("23:59:59:24", 26, Fraction(25), "00:00:01:00"),
        ("23:59:59;29", 1, NTSC, "00:00:00;00"),
        ("one o'clock", 1, NTSC, ""),
    ],
)
def test_frames_are_counted_as_time_code_counts_them(begin: str, frames: int, rate: Fraction, end: str) -> None:
    assert later(begin, frames, rate) == end


@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv", "mxf"])
def test_a_part_of_a_shot_has_the_time_code_of_its_own_first_picture(tmp_path: Path, ending: str) -> None:
    source = shot(tmp_path / f"in.{ending}", "00:00:59;20")
    assert noted(source) == {"00:00:59;20"}
    sink = copy_through(source, tmp_path / f"out.{ending}", window={"start": 0.5})  # which is before frame 15
    assert noted(tmp_path / f"out.{ending}") == {"00:01:00;07"}
    assert sink.losses == []


def test_segments_of_a_part_have_its_time_code(tmp_path: Path) -> None:
    source = shot(tmp_path / "in.mp4", "10:00:00:00", "-g", "5", rate="25")
    with FileSource(source, start=0.2) as frames, SegmentFileSink(tmp_path / "out.mp4", frames, seconds=0.2) as sink:
        sink.take_up({})
        for frame in frames:
            sink.write(frame)
    assert noted(tmp_path / "out.mp4") == {"10:00:00:05"}


def test_a_frame_of_each_field_counts_twice_as_fast(tmp_path: Path) -> None:
    fields = ("-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ildct")
    source = shot(tmp_path / "in.mov", "00:00:59;28", *fields, rate="60000/1001")
    sink = copy_through(source, tmp_path / "out.mov", window={"deinterlace": "fields"})
    assert noted(tmp_path / "out.mov") == {"00:00:59;56"}
    assert sink.losses == []


def test_the_name_of_the_reel_survives_or_is_named(tmp_path: Path) -> None:
    source = shot(tmp_path / "in.mov", "01:00:00:00", "-metadata:s:v", "reel_name=A001C003", rate="24000/1001")
    assert noted(source, "reel_name") == {"A001C003"}
    for ending in ("mov", "mkv"):
        assert copy_through(source, tmp_path / f"out.{ending}").losses == []
        assert noted(tmp_path / f"out.{ending}", "reel_name") == {"A001C003"}
    assert "tag reel_name of video" in copy_through(source, tmp_path / "out.mp4").losses

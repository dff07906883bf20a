"""Options for reading an input, and codecs that editors expect: rates, fields, DV, ProRes 4444, HDR side by side."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from clips import copy_through, video_times
from public_tools import H264, ffmpeg, streams
from streamdehaze.cli import main
from streamdehaze.compare import compare
from streamdehaze.errors import ConfigError, SinkError
from streamdehaze.pipeline.ends import open_sink, open_source
from streamdehaze.video import FileSource
from streamdehaze.video.sidedata import first_field

PLAIN = ["--strength", "0", "--steady", "off", "-q"]


def numbered_pictures(folder: Path, name: str, count: int = 12) -> None:
    for number in range(1, count + 1):
        pixels = np.full((48, 64, 3), number * 10, np.uint8)
        Image.fromarray(pixels).save(folder / name.format(number))


@pytest.mark.parametrize(("typed", "rate"), [("24", "24/1"), ("23.976", "24000/1001"), ("30000/1001", "30000/1001")])
def test_a_sequence_runs_at_the_rate_that_is_asked_for(tmp_path: Path, typed: str, rate: str) -> None:
    numbered_pictures(tmp_path, "f{:04d}.png")
    command = ["run", str(tmp_path / "f%04d.png"), "-o", str(tmp_path / "out.mov"), "--rate", typed]
    assert CliRunner().invoke(main, [*command, *PLAIN]).exit_code == 0
    (stream,) = streams(tmp_path / "out.mov")
    assert (stream["avg_frame_rate"], stream["nb_read_packets"]) == (rate, "12")


@pytest.mark.parametrize(
    ("coding", "ending"),
    [
        (H264, "h264"),
        (("-c:v", "libx265", "-x265-params", "log-level=none"), "hevc"),
        (("-c:v", "libsvtav1", "-preset", "12", "-s", "128x96"), "obu"),
        (("-c:v", "mpeg2video", "-bf", "2"), "m2v"),
        (("-c:v", "mpeg1video"), "m1v"),
        (("-c:v", "mpeg4", "-f", "m4v"), "raw"),
        (("-c:v", "mjpeg"), "mjpeg"),
        (("-c:v", "mjpeg", "-s", "352x288"), "mjpg"),  # whose first picture is all that FFmpeg looks at
    ],
)
def test_a_raw_stream_runs_at_the_rate_that_is_asked_for(tmp_path: Path, coding: tuple[str, ...], ending: str) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1", *coding, tmp_path / f"in.{ending}")
    copy_through(source, tmp_path / "out.mkv", window={"rate": Fraction(50)})
    times = video_times(tmp_path / "out.mkv")
    assert [float(time - times[0]) for time in times] == pytest.approx([n / 50 for n in range(25)], abs=0.001)


def test_a_window_of_a_raw_stream_is_cut_at_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1", "-c:v", "mpeg2video", tmp_path / "in.m2v")
    copy_through(source, tmp_path / "out.mkv", window={"rate": Fraction(50), "start": 0.2, "end": 0.4})
    assert len(video_times(tmp_path / "out.mkv")) == 10


def test_a_rate_for_a_film_with_times_is_refused(tmp_path: Path) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1", *H264, tmp_path / "in.mp4")
    with pytest.raises(ConfigError, match="has times of its own; --rate is for image sequences and raw streams"):
        FileSource(source, rate=Fraction(24))


def test_names_with_hash_signs_are_sequences(tmp_path: Path) -> None:
    numbered_pictures(tmp_path, "shot.{:04d}.png")
    command = ["run", str(tmp_path / "shot.####.png"), "-o", str(tmp_path / "clear.####.png")]
    assert CliRunner().invoke(main, [*command, *PLAIN]).exit_code == 0
    assert (tmp_path / "clear.0012.png").exists()


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("rate", ["25", "30000/1001"])
def test_bob_makes_a_frame_of_each_field(tmp_path: Path, rate: str, ending: str) -> None:
    doubled = Fraction(rate) * 2
    video = ("-f", "lavfi", "-i", f"testsrc2=s=128x96:r={doubled}:d=1")
    fields = ("-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ildct+ilme", "-x264opts", "tff=1")
    source = ffmpeg(*video, *fields, "-c:v", "libx264", tmp_path / f"in.{ending}")
    with FileSource(source) as before, open_source(source, deinterlace="fields") as after:
        assert after.info.average_rate == before.info.average_rate * 2  # type: ignore[operator]
        with open_sink(tmp_path / f"out.{ending}", after) as sink:
            for frame in after:
                sink.write(frame)
        frames = len(list(before))
    times = video_times(tmp_path / f"out.{ending}")
    assert len(times) in (2 * frames, 2 * frames - 1)
    steps = {round(float(later - earlier), 2) for earlier, later in itertools.pairwise(times)}
    assert steps == {0.02}


@pytest.mark.parametrize("ending", ["avi", "mov", "dv", "mkv"])
@pytest.mark.parametrize("standard", ["pal", "ntsc"])
def test_dv_stays_dv_with_its_sound_and_fields(tmp_path: Path, ending: str, standard: str) -> None:
    size, rate = ("720x576", "50") if standard == "pal" else ("720x480", "60000/1001")
    fields = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d=0.2", "-f", "lavfi", "-i", "sine=d=0.2:r=48000")
    making = ("-vf", "tinterlace=interleave_bottom,setfield=bff", "-target", f"{standard}-dv")
    source = ffmpeg(*fields, *making, tmp_path / "clip.dv")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    video, sound = (each["codec_name"] for each in streams(tmp_path / f"out.{ending}") if "codec_name" in each)
    assert (video, sound) == ("dvvideo", "pcm_s16le")
    with av.open(str(tmp_path / f"out.{ending}")) as container:
        assert first_field(next(container.decode(video=0))) == "bottom"


def test_dv_of_other_sizes_is_refused_with_its_own_message(tmp_path: Path) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=640x480:r=25:d=0.1", tmp_path / "in.mp4")
    with pytest.raises(SinkError, match=r"720x576 pictures at 25 a second .* not for 640x480; write to .mov"):
        copy_through(source, tmp_path / "out.dv")


@pytest.mark.parametrize(
    ("pixels", "ending"),
    [
        ("gbrp10le", "dpx"),
        ("rgb48le", "dpx"),
        ("rgba", "tiff"),
        ("bgr24", "bmp"),
        ("rgb24", "png"),
        ("rgba64be", "png"),
    ],
)
def test_rgb_becomes_prores_4444_in_mov(tmp_path: Path, pixels: str, ending: str) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2")
    source = ffmpeg(*video, "-pix_fmt", pixels, "-c:v", ending, "-f", "image2", tmp_path / f"shot.%06d.{ending}")
    with open_source(source) as pictures, open_sink(tmp_path / "out.mov", pictures) as sink:
        for picture in pictures:
            sink.write(picture)
    (stream,) = streams(tmp_path / "out.mov")
    assert (stream["codec_name"], stream["codec_tag_string"]) == ("prores", "ap4h")


def test_a_film_of_png_pictures_keeps_its_codec(tmp_path: Path) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2", "-c:v", "png", tmp_path / "in.mov")
    assert copy_through(source, tmp_path / "out.mov").encoder == "png"


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67", "bt2020-10"])
def test_hdr_side_by_side_keeps_its_colours(tmp_path: Path, transfer: str, caplog: pytest.LogCaptureFixture) -> None:
    colors = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv")
    video = ("-f", "lavfi", "-i", "testsrc2=s=192x144:d=0.2")
    source = ffmpeg(*video, "-c:v", "libx264", *colors, "-pix_fmt", "yuv420p10le", tmp_path / "pq.mkv")
    compare(source, source, tmp_path / "both.mkv")
    assert caplog.messages == []
    (stream,) = streams(tmp_path / "both.mkv")
    found = {key: stream.get(key) for key in ("color_primaries", "color_transfer", "color_space")}
    assert found == {"color_primaries": "bt2020", "color_transfer": transfer, "color_space": "bt2020nc"}

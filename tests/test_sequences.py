"""Numbered pictures are one video on the way in and on the way out."""

from __future__ import annotations

import itertools
import shutil
import threading
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from doubles import quick_dehazer, stopping_at
from public_tools import ffmpeg
from streamdehaze import ReadOptions, dehaze_video, open_sink, open_source
from streamdehaze.errors import Cancelled, SinkError, SourceError
from streamdehaze.pipeline.inputs import plan_jobs
from streamdehaze.pipeline.preview import preview_video
from streamdehaze.video import FileSource, Sink, Source


def pixels(number: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    return np.random.default_rng(number).integers(0, 1 << 16, (23, 41, 3), dtype=np.uint16)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Sixteen-bit frames 7, 8, 9 and 11; number 10 was deleted."""
    (tmp_path / "frames").mkdir()
    for number in (7, 8, 9, 11):
        cv2.imwrite(str(tmp_path / "frames" / f"{number:05d}.png"), pixels(number))
    return tmp_path / "frames"


def passed_through(source: Source, sink: Sink) -> int:
    frames = 0
    for frame in source:
        sink.write(frame)
        frames += 1
    sink.close()
    source.close()
    return frames


def test_a_sequence_becomes_a_sequence_of_the_same_numbers_and_pixels(frames: Path) -> None:
    (job,) = plan_jobs([str(frames / "%05d.png")])
    source = open_source(job.input)
    assert source.info.frame_count == 4
    assert passed_through(source, open_sink(job.output, source)) == 4
    for number in (7, 8, 9, 11):
        written = cv2.imread(str(frames / f"{number:05d}.clear.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(written, pixels(number))
    assert len(list(frames.iterdir())) == 8


def test_ffmpeg_reads_the_sequence(frames: Path, tmp_path: Path) -> None:
    source = open_source(frames / "%05d.png")
    (tmp_path / "out").mkdir()
    passed_through(source, open_sink(tmp_path / "out" / "f%d.png", source))
    pattern, first = str(tmp_path / "out" / "f%d.png"), {"start_number": "7"}
    with av.open(pattern, format="image2", container_options=first) as container:
        before_the_gap = itertools.islice(container.decode(video=0), 3)  # FFmpeg stops at the missing one
        decoded = [frame.to_ndarray(format="bgr48le") for frame in before_the_gap]
    assert np.array_equal(decoded, [pixels(number) for number in (7, 8, 9)])


def test_missing_numbers_are_named(frames: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A render that lacks frames makes a shorter film."""
    open_source(frames / "%05d.png").close()
    assert [record.message.split(": ", 1)[1] for record in caplog.records] == [
        "number 10 is missing; the frames after it follow on without a gap in time"
    ]
    caplog.clear()
    open_source(frames / "%05d.png", ReadOptions(end=0.12)).close()
    assert not caplog.records
    cv2.imwrite(str(frames / "00020.png"), pixels(20))
    open_source(frames / "%05d.png").close()
    assert "9 numbers are missing, 10 first" in caplog.text


def test_times_run_at_25_frames_a_second_and_can_be_cut(frames: Path) -> None:
    with closing(open_source(frames / "%05d.png")) as source:
        assert [(frame.pts, frame.time_base) for frame in source] == [(n, Fraction(1, 25)) for n in range(4)]
    with closing(open_source(frames / "%05d.png", start=0.04, end=0.12)) as source:
        assert [frame.pts for frame in source] == [1, 2]
    with pytest.raises(SourceError, match="between --start and --end"):
        open_source(frames / "%05d.png", start=9.0)


def test_each_picture_keeps_its_own_metadata(frames: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        exif = Image.Exif()
        exif[0x010E] = f"picture {number}"
        Image.fromarray((pixels(number) >> 8).astype(np.uint8)).save(frames / f"p{number}.jpg", exif=exif)
    source = open_source(frames / "p%d.jpg")
    passed_through(source, open_sink(tmp_path / "q%d.jpg", source))
    for number in (1, 2):
        with Image.open(tmp_path / f"q{number}.jpg") as image:
            assert image.getexif()[0x010E] == f"picture {number}"


def test_a_video_becomes_a_sequence_and_back(frames: Path, tmp_path: Path) -> None:
    source = open_source(frames / "%05d.png")
    passed_through(source, open_sink(tmp_path / "video.mkv", source))
    video = open_source(tmp_path / "video.mkv")
    assert isinstance(video, FileSource)
    assert passed_through(video, open_sink(tmp_path / "again_%03d.png", video)) == 4
    names = sorted(path.name for path in tmp_path.glob("again_*"))
    assert names == [f"again_{number:03d}.png" for number in (1, 2, 3, 4)]


def test_what_pictures_lack_of_a_film_is_named(tmp_path: Path) -> None:
    film = ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2", "-f", "lavfi", "-i", "sine=d=0.2", "-c:v", "prores_ks",
        "-c:a", "pcm_s16le", "-timecode", "01:00:00:00", "-metadata", "title=fog", tmp_path / "film.mov",
    )  # fmt: skip
    losses = ("audio stream 1 (pcm_s16le)", "time code 01:00:00:00", "tag title")
    assert preview_video(film, tmp_path / "clear" / "%05d.png").plan.losses == losses
    assert dehaze_video(film, tmp_path / "%05d.png", dehazer=quick_dehazer()).losses == losses


def test_existing_pictures_are_not_replaced(frames: Path) -> None:
    source = open_source(frames / "%05d.png")
    with pytest.raises(SinkError, match="is the input itself"):
        open_sink(frames / "%05d.png", source, overwrite=True)
    (frames / "00042.jpg").write_bytes(b"precious")
    with pytest.raises(SinkError, match=r"00042.jpg' exists already"):
        open_sink(frames / "%05d.jpg", source)


def test_each_picture_gets_its_name_when_it_is_complete_and_stays(frames: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    source = open_source(frames / "%05d.png")
    sink = open_sink(tmp_path / "out" / "%05d.png", source)
    written = []
    for frame in source:
        sink.write(frame)
        written.append(sorted(path.name for path in (tmp_path / "out").iterdir()))
    assert [len(names) for names in written] == [1, 2, 3, 4]
    assert not any(".part" in name for name in written[-1])
    sink.abort()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == written[-1]


@pytest.mark.parametrize("film", [False, True])
def test_stopped_work_on_a_sequence_continues_where_it_was(frames: Path, tmp_path: Path, film: bool) -> None:
    for number in range(1, 81):
        shutil.copy(frames / "00007.png" if number % 2 else frames / "00008.png", tmp_path / f"s.{number:04d}.png")
    hazy = tmp_path / "s.####.png"
    if film:
        source = open_source(hazy)
        passed_through(source, open_sink(tmp_path / "s.mkv", source))
        hazy = tmp_path / "s.mkv"
    whole, parts = tmp_path / "whole.####.png", tmp_path / "c.####.png"
    dehaze_video(hazy, whole, dehazer=quick_dehazer(), segment_seconds=0.4)
    stop = threading.Event()
    stopping = stopping_at(46, stop, lambda: len(list(tmp_path.glob("c.*.png"))) == 45)
    with pytest.raises(Cancelled):
        dehaze_video(hazy, parts, dehazer=quick_dehazer(), segment_seconds=0.4, stop=stop, on_frame=stopping)
    assert len(list(tmp_path.glob("c.*.png"))) == 45
    with pytest.raises(SinkError, match="end was not set, now 2"):
        dehaze_video(hazy, parts, dehazer=quick_dehazer(), segment_seconds=0.4, read=ReadOptions(end=2.0))
    report = dehaze_video(hazy, parts, dehazer=quick_dehazer(), segment_seconds=0.4)
    assert report.statistics.earlier_frames == 40
    assert report.statistics.earlier_frames + report.statistics.encode.frames == 80
    assert not (tmp_path / "c.####.png.part").exists()
    for path in tmp_path.glob("whole.*.png"):
        assert path.read_bytes() == (tmp_path / path.name.replace("whole", "c")).read_bytes()


def test_a_sequence_with_only_number_0_is_written(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(tmp_path / "00000.png")
    source = open_source(tmp_path / "%05d.png")
    assert passed_through(source, open_sink(tmp_path / "clear-%05d.png", source)) == 1
    assert (tmp_path / "clear-00000.png").is_file()


def test_a_damaged_frame_is_named(frames: Path) -> None:
    (frames / "00009.png").write_bytes((frames / "00009.png").read_bytes()[:999])
    with (
        pytest.raises(SourceError, match=r"00009.png' is cut off"),
        closing(open_source(frames / "%05d.png")) as source,
    ):
        list(source)


def test_a_sequence_without_files_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file matches the image sequence"):
        open_source(tmp_path / "%05d.png")


def test_a_picture_is_not_written_as_a_video_nor_a_video_as_a_picture(frames: Path, tmp_path: Path) -> None:
    picture = open_source(frames / "00007.png")
    with pytest.raises(SinkError, match=r"is a picture; give its result an extension such as '.png'"):
        open_sink(tmp_path / "b.mp4", picture)
    with pytest.raises(SinkError, match="holds one picture"):
        open_sink(tmp_path / "b.png", open_source(frames / "%05d.png"))

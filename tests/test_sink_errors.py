"""What cannot be written is refused in one sentence, and nothing half-written is left."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from clips import Clip, copy_through, frames_of, video_times
from streamdehaze import open_sink, open_source
from streamdehaze.cli.outputs import check_reports, refuse_existing
from streamdehaze.durable import require_folders, write_output
from streamdehaze.errors import SinkError
from streamdehaze.video import EncodeOptions, FileSink, FileSource, Sink


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return Clip(audio="aac").write(tmp_path / "in" / "fog.mp4")


def refusal(source: Path, target: Path | str, **options: object) -> str:
    with closing(FileSource(source)) as reader, pytest.raises(SinkError) as caught:
        FileSink(target, reader, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_existing_file_stays_unless_overwriting_is_allowed(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("mine")
    assert "exists already; use --overwrite" in refusal(source, target)
    assert target.read_text() == "mine"
    copy_through(source, target, overwrite=True)
    assert len(video_times(target)) == 24


def test_input_is_never_the_output(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(source)
    assert "is the input itself" in refusal(source, source, overwrite=True)
    assert "is the input itself" in refusal(source, tmp_path / "link.mp4", overwrite=True)


def test_a_missing_folder_is_made_once_there_is_something_to_write(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "out.mp4"
    assert "use .mp4, .mkv" in refusal(source, target.with_suffix(".xyz"))
    assert not target.parent.parent.exists()
    copy_through(source, target)
    assert len(video_times(target)) == 24
    assert "is a file, so" in refusal(source, target / "out.mp4")


def test_folder_as_target(source: Path, tmp_path: Path) -> None:
    assert "is a folder" in refusal(source, tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_device_is_never_replaced(source: Path, tmp_path: Path) -> None:
    """Who is root may replace /dev/null by a film."""
    os.mkfifo(tmp_path / "out.mkv")
    assert "is a device or pipe, which no file may replace" in refusal(source, tmp_path / "out.mkv", overwrite=True)
    assert (tmp_path / "out.mkv").is_fifo()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_reports_are_written_into_pipes_and_through_links(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    refuse_existing(pipe, overwrite=False)
    write_output(pipe, b"report")
    assert os.read(reader, 100) == b"report"
    os.close(reader)
    assert pipe.is_fifo()
    link.symlink_to(tmp_path / "file")
    for content in (b"first", b"second"):
        write_output(link, content)
        assert link.is_symlink()
        assert (tmp_path / "file").read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "pipe"]


@pytest.mark.parametrize("name", ["out.xyz", "out", "out.txt"])
def test_unknown_extension(source: Path, tmp_path: Path, name: str) -> None:
    assert "use .mp4, .mkv" in refusal(source, tmp_path / name)


def test_unknown_container(source: Path, tmp_path: Path) -> None:
    assert "no container format 'mq4'" in refusal(source, tmp_path / "out.mp4", container="mq4")


@pytest.mark.parametrize(("name", "container"), [("out.m3u8", None), ("out.mpd", None), ("out.ts", "segment")])
def test_a_playlist_and_its_many_files_are_left_to_live(
    source: Path, tmp_path: Path, name: str, container: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is not one file" in refusal(source, tmp_path / name, container=container)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="needs root to step down from")
def test_read_only_folder(source: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for folder in [tmp_path, *tmp_path.parents]:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)
    os.seteuid(65534)
    try:
        assert "is not writable" in refusal(source, locked / "out.mp4")
        for paths in ([locked / "haze.csv"], [Path("-"), tmp_path.parents[-1] / "haze.json"]):
            with pytest.raises(SinkError, match=r"the folder '.*' is not writable"):
                check_reports(*paths)  # and not after hours of work
        require_folders(Path("-"), Path(os.devnull))
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small tmpfs")
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_full_disk(tmp_path: Path, ending: str) -> None:
    source = Clip(size=(128, 96), pts=range(0, 60 * 512, 512)).write(tmp_path / "in.mp4")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a tmpfs here")
    try:
        with pytest.raises(SinkError, match="No space left"):
            copy_through(source, disk / f"out.{ending}", encode=EncodeOptions(crf=1))
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_nothing_is_written_before_the_first_frame_nor_without_one(source: Path, tmp_path: Path) -> None:
    with closing(FileSource(source)) as reader:
        sink = FileSink(tmp_path / "out.mp4", reader)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in"]
        with pytest.raises(SinkError, match="no frame reached"):
            sink.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in"]


def test_the_final_name_appears_only_when_complete(source: Path, tmp_path: Path) -> None:
    with closing(FileSource(source)) as reader:
        sink = FileSink(tmp_path / "out.mp4", reader)
        for frame in reader:
            sink.write(frame)
            assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out.part.mp4"]
        sink.close()
        sink.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out.mp4"]


def test_abort_leaves_nothing_and_an_old_file_as_it_was(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("old")
    with closing(FileSource(source)) as reader:
        sink = FileSink(tmp_path / "out.mp4", reader, overwrite=True)
        sink.write(next(iter(reader)))
        sink.abort()
        sink.abort()
    assert (tmp_path / "out.mp4").read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out.mp4"]
    with pytest.raises(SinkError, match="finished already"):
        sink.write(frames_of(source)[0])


def test_error_inside_a_with_block_leaves_nothing(source: Path, tmp_path: Path) -> None:
    reader = FileSource(source)
    with pytest.raises(ZeroDivisionError), FileSink(tmp_path / "out.mp4", reader) as sink:  # noqa: PT012
        sink.write(next(iter(reader)))
        _ = 1 / 0
    reader.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in"]


@pytest.mark.parametrize("name", ["out.mkv", "out.png"])
def test_a_block_publishes_any_kind_of_file_and_an_error_in_it_leaves_nothing(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with open_source(Clip(pts=[0]).write(tmp_path / "in.mp4")) as reader:
        frame = next(iter(reader))
        with pytest.raises(ZeroDivisionError), open_sink(folder / name, reader) as sink:  # noqa: PT012
            sink.write(frame)
            assert all(".part" in path.name for path in folder.iterdir())
            _ = 1 / 0
        assert list(folder.iterdir()) == []
        with open_sink(folder / name, reader) as sink:
            sink.write(frame)
    assert [".part" in path.name for path in folder.iterdir()] == [False]


def test_partial_file_of_a_killed_run_is_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out.part.mp4").write_bytes(b"\0" * 100_000)
    copy_through(source, tmp_path / "out.mp4")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out.mp4"]
    assert len(video_times(tmp_path / "out.mp4")) == 24


def test_changing_size_is_scaled_back_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = [Clip(size=size, options={"bf": "0"}).write(tmp_path / f"{size[0]}.h264") for size in ((64, 48), (96, 64))]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with caplog.at_level(logging.WARNING):
        sink = copy_through(joined, tmp_path / "out.mkv")
    frames = frames_of(tmp_path / "out.mkv")
    assert [(frame.width, frame.height) for frame in frames] == [(64, 48)] * 48
    assert sink.frames == 48
    assert caplog.text.count("change from 64x48 yuv420p to 96x64 yuv420p") == 1


def test_changing_format_keeps_the_first_one(tmp_path: Path) -> None:
    parts = [
        Clip(pixel_format=name, options={"bf": "0"}).write(tmp_path / f"{name}.h264") for name in ("yuv420p", "yuv444p")
    ]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    copy_through(joined, tmp_path / "out.mkv")
    assert {frame.pixel_format.name for frame in frames_of(tmp_path / "out.mkv")} == {"yuv420p"}


def test_open_source_and_sink_make_a_working_pair(source: Path, tmp_path: Path) -> None:
    reader = open_source(source, start=0.2)
    sink = open_sink(tmp_path / "out.mkv", reader, encode=EncodeOptions(codec="ffv1"))
    assert isinstance(sink, Sink)
    for frame in reader:
        sink.write(frame.with_planes(tuple(np.zeros_like(plane) for plane in frame.planes)))
    sink.close()
    reader.close()
    assert video_times(tmp_path / "out.mkv")[0] == Fraction(0)
    assert all(int(frame.planes[0].max()) == 0 for frame in frames_of(tmp_path / "out.mkv"))


@pytest.mark.skipif(sys.platform == "win32", reason="there, nothing keeps two programs from writing one file")
@pytest.mark.parametrize("name", ["out.mp4", "out.png"])
def test_two_runs_do_not_write_over_each_other(source: Path, tmp_path: Path, name: str) -> None:
    """The same command started twice: neither file would be whole, and both would call it done."""
    photo = tmp_path / "in" / "photo.png"
    cv2.imwrite(str(photo), np.full((48, 64, 3), 90, np.uint8))
    path = photo if name.endswith("png") else source
    with open_source(path) as reader:
        frames = list(reader)
    with open_source(path) as reader:
        first, second = (open_sink(tmp_path / name, reader) for _ in range(2))
        first.write(frames[0])
        with pytest.raises(SinkError, match="another run is writing"):
            second.write(frames[0])
        for frame in frames[1:]:
            first.write(frame)
        late = open_sink(tmp_path / name, reader)
        first.close()
        content = (tmp_path / name).read_bytes()
        late.write(frames[0])
        with pytest.raises(SinkError, match="exists already"):
            late.close()
    assert (tmp_path / name).read_bytes() == content
    assert not list(tmp_path.glob("*.part.*"))

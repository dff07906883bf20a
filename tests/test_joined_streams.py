"""Transport and program streams joined byte by byte, or with a clock that was reset: the whole film, in sync."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from pathlib import Path

import pytest

from clips import copy_through, other_packets, video_times
from public_tools import H264, ffmpeg
from streamdehaze.video import FileSource, SegmentFileSink
from waiting import PATIENCE_SECONDS

PARTS = {
    "ts": ("-c:v", "libx264", "-g", "12", "-c:a", "aac"),
    "m2ts": ("-c:v", "libx264", "-g", "12", "-c:a", "ac3"),
    "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "hevc.ts": ("-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "aac"),
}


def part(path: Path, coding: tuple[str, ...], *, seconds: int = 2, later: int = 0) -> Path:
    video = ("-f", "lavfi", "-i", f"testsrc2=s=64x48:r=25:d={seconds}")
    sound = ("-f", "lavfi", "-i", f"sine=d={seconds}:r=48000")
    return ffmpeg(*video, *sound, *coding, "-output_ts_offset", str(later), path)


def joined(folder: Path, *parts: Path) -> Path:
    whole = folder / f"joined{parts[0].suffix}"
    whole.write_bytes(b"".join(each.read_bytes() for each in parts))
    return whole


def assert_in_step(path: Path, seconds: float) -> None:
    """Pictures and sound both last this long, in sync and without jumps."""
    times = [float(time) for time in video_times(path)]
    assert times[-1] - times[0] == pytest.approx(seconds, abs=0.3)
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert min(steps) > 0.02
    assert max(steps) < 0.2
    (sound,) = (packets for name, packets in other_packets(path).items() if "audio" in name)
    stamps = [float(packet[0]) for packet in sound]
    assert stamps[-1] - stamps[0] == pytest.approx(seconds, abs=0.3)
    gaps = [after - before for before, after in itertools.pairwise(stamps)]
    assert max(gaps) < 0.2
    assert stamps[0] == pytest.approx(times[0], abs=0.1)


@pytest.mark.parametrize("kind", list(PARTS))
def test_parts_joined_byte_by_byte_follow_each_other(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = part(tmp_path / f"one.{kind}", PARTS[kind])
    copy_through(joined(tmp_path, one, one, one), tmp_path / "out.mkv")
    assert_in_step(tmp_path / "out.mkv", 6)
    assert caplog.text.count("its clock goes back") == 1


@pytest.mark.parametrize("kind", ["ts", "mpg"])
def test_the_length_of_a_joined_stream_is_not_a_loss(tmp_path: Path, kind: str) -> None:
    """FFmpeg takes the length of a joined stream's last part for that of the whole."""
    one = part(tmp_path / f"one.{kind}", PARTS[kind])
    assert copy_through(joined(tmp_path, one, one), tmp_path / f"out.{kind}").losses == []


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("kind", ["ts", "mpg"])
def test_a_stream_whose_clock_started_long_ago_begins_at_zero(tmp_path: Path, kind: str, ending: str) -> None:
    """Otherwise a player would show nothing for eight hours."""
    source = part(tmp_path / f"late.{kind}", (*PARTS[kind][:-1], "mp2"), later=30_000)
    copy_through(source, tmp_path / f"out.{ending}")
    first = video_times(tmp_path / f"out.{ending}")[0]
    (sound,) = (packets for name, packets in other_packets(tmp_path / f"out.{ending}").items() if "audio" in name)
    assert min(first, sound[0][0]) == 0
    assert max(first, sound[0][0]) < 0.1


def test_a_recorder_that_resets_its_clock_is_followed(tmp_path: Path) -> None:
    late, early = (part(tmp_path / f"{later}.ts", PARTS["ts"], later=later) for later in (50, 3))
    copy_through(joined(tmp_path, late, early), tmp_path / "out.mp4")
    assert_in_step(tmp_path / "out.mp4", 4)


@pytest.mark.parametrize(("start", "end"), [(0.5, 1.5), (2.5, 5.0), (4.5, 5.5)])
def test_a_window_is_taken_on_the_common_clock(tmp_path: Path, start: float, end: float) -> None:
    one = part(tmp_path / "one.ts", PARTS["ts"])
    source = joined(tmp_path, one, one, one)
    copy_through(source, tmp_path / "out.mkv", window={"start": start, "end": end})
    assert_in_step(tmp_path / "out.mkv", end - start)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in its file system")
@pytest.mark.parametrize("kind", ["ts", "mpg", "hevc.ts"])
def test_a_joined_stream_is_followed_through_a_pipe(tmp_path: Path, kind: str) -> None:
    one = part(tmp_path / f"one.{kind}", PARTS[kind])
    content, pipe = joined(tmp_path, one, one).read_bytes(), tmp_path / f"pipe.{kind}"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    copy_through(pipe, tmp_path / "out.mkv")
    writer.join(PATIENCE_SECONDS)
    assert len(video_times(tmp_path / "out.mkv")) == 100
    assert_in_step(tmp_path / "out.mkv", 4)


def test_segments_of_a_joined_stream_join(tmp_path: Path) -> None:
    one = part(tmp_path / "one.ts", PARTS["ts"])
    with (
        FileSource(joined(tmp_path, one, one)) as frames,
        SegmentFileSink(tmp_path / "out.mkv", frames, seconds=1) as sink,
    ):
        sink.take_up({})
        for frame in frames:
            sink.write(frame)
    assert len(video_times(tmp_path / "out.mkv")) == 100
    assert_in_step(tmp_path / "out.mkv", 4)


def test_a_leap_forward_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (part(tmp_path / f"{later}.ts", PARTS["ts"], later=later) for later in (0, 100))
    copy_through(joined(tmp_path, first, second), tmp_path / "out.mkv")
    assert "its clock jumps from" in caplog.text
    times = video_times(tmp_path / "out.mkv")
    assert float(times[-1] - times[0]) == pytest.approx(102, abs=0.5)


def test_a_single_wrong_time_stamp_moves_nothing_after_it(tmp_path: Path) -> None:
    import av

    from streamdehaze.video.reading.times.continuity import Continuity

    source = part(tmp_path / "one.ts", PARTS["ts"])
    with av.open(str(source)) as container:
        continuity = Continuity(container, lambda *_: None)
        for number, packet in enumerate(container.demux(video=0)):
            if packet.dts is None:
                continue
            right = packet.dts
            if number == 20:
                packet.dts -= 90000
                packet.pts -= 90000
            continuity.place(packet)
            assert number == 20 or packet.dts == right


def test_ordinary_streams_stay_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=3", *H264, "-bf", "3", tmp_path / "in.ts")
    copy_through(source, tmp_path / "out.ts")
    assert "clock" not in caplog.text
    assert len(video_times(tmp_path / "out.ts")) == 75

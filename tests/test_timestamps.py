"""Times of pictures survive as exact integers, in every container and with every kind of start."""

from __future__ import annotations

import dataclasses
import logging
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clips import Clip, copy_through, frames_of, other_packets, video_ticks, video_times
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.frame import Frame, PixelFormat, VideoInfo
from streamdehaze.video import EncodeOptions, FileSink, FileSource

TICKS = {"mkv": (1, 1000), "mp4": (1, 12800), "mov": (1, 600), "webm": (1, 1000), "avi": (1, 25), "ts": (1, 90000)}
AUDIO = {"webm": "libopus", "avi": "pcm_s16le"}
REORDERING = {"bf": "2", "g": "12"}


def clip(ending: str, kind: str) -> Clip:
    """Thirty pictures in a container, timed in one of five ways."""
    time_base = Fraction(*TICKS[ending])
    step = Fraction(1, 25) / time_base
    regular = [int(step * number) for number in range(30)]
    uneven = [int(pts + number * 7 % 5 * step / 10) for number, pts in enumerate(regular)]
    pts = {
        "cfr": regular,
        "vfr": regular if ending == "avi" else uneven,
        "late start": [int(value + 5 * step) for value in regular],
        "reordered": regular,
        "negative start": [int(value - 3 * step) for value in regular],
    }[kind]
    options = {"bf": "0"} if kind == "cfr" or ending == "avi" else REORDERING
    container_options = {"video_track_timescale": "600"} if ending == "mov" else {}
    if kind == "negative start":
        container_options["avoid_negative_ts"] = "disabled"
    if ending == "webm":
        options = {"cpu-used": "8"}
    return Clip(
        codec="libvpx-vp9" if ending == "webm" else "libx264",
        time_base=time_base,
        pts=pts,
        options=options,
        container_options=container_options,
        audio=AUDIO.get(ending, "aac"),
    )


def test_rate_and_time_base_are_fractions(tmp_path: Path) -> None:
    """PyAV 19 has its own type of number for them, which cannot do everything that a Fraction can."""
    with closing(FileSource(Clip().write(tmp_path / "in.mp4"))) as source:
        frame = next(iter(source))
        found = (frame.time_base, source.info.time_base, source.info.average_rate)
    assert {type(value) for value in found} == {Fraction}


@pytest.mark.parametrize("kind", ["cfr", "vfr", "late start", "reordered", "negative start"])
@pytest.mark.parametrize("ending", list(TICKS))
def test_times_and_packets_survive_unchanged(tmp_path: Path, ending: str, kind: str) -> None:
    source = clip(ending, kind).write(tmp_path / f"in.{ending}")
    sink = copy_through(source, tmp_path / f"out.{ending}")
    time_base, ticks = video_ticks(source)
    assert video_ticks(tmp_path / f"out.{ending}") == (time_base, ticks)
    assert sink.frames == len(ticks) >= 27
    assert other_packets(tmp_path / f"out.{ending}") == other_packets(source)
    assert sink.losses == []


@pytest.mark.parametrize("ending", ["mkv", "mov", "ts"])
def test_vfr_of_another_container_keeps_its_seconds(tmp_path: Path, ending: str) -> None:
    source = clip("mp4", "vfr").write(tmp_path / "in.mp4")
    copy_through(source, tmp_path / f"out.{ending}")
    before, after = video_times(source), video_times(tmp_path / f"out.{ending}")
    offsets = {"ts": after[0] - before[0]}  # a transport stream cannot hold the sound before 0
    tick = Fraction(*TICKS[ending]) if ending != "mov" else 0
    assert len(after) == len(before)
    assert all(abs(b + offsets.get(ending, 0) - a) <= tick for a, b in zip(after, before, strict=True))


def test_times_before_zero_shift_all_streams_alike_in_mp4(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = clip("webm", "negative start").write(tmp_path / "in.webm")
    copy_through(source, tmp_path / "out.mp4")
    assert video_times(tmp_path / "out.mp4") == [Fraction(40 * number, 1000) for number in range(30)]
    (before,), (after,) = other_packets(source).values(), other_packets(tmp_path / "out.mp4").values()
    assert abs(after[0][0] - before[0][0] - Fraction(120, 1000)) < Fraction(1, 1000)
    assert "instead of -0.120 s" in caplog.text


def test_source_hands_out_integers_of_the_stream(tmp_path: Path) -> None:
    source = clip("mp4", "vfr").write(tmp_path / "in.mp4")
    with_source = FileSource(source)
    frames = list(with_source)
    with_source.close()
    assert with_source.info.time_base == frames[0].time_base == Fraction(1, 12800)
    assert [frame.pts for frame in frames] == video_ticks(source)[1]
    assert with_source.info.frame_count == len(frames)
    with pytest.raises(RuntimeError):
        next(iter(with_source))


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_window_cuts_all_streams_alike(tmp_path: Path, ending: str) -> None:
    time_base = Fraction(*TICKS[ending])
    step = int(Fraction(1, 25) / time_base)
    made = Clip(
        time_base=time_base, pts=range(0, 150 * step, step), options={"g": "40", "bf": "2"}, audio="aac",
        subtitles={"mkv": "subrip", "mp4": "mov_text"}.get(ending),
    )  # fmt: skip
    source = made.write(tmp_path / f"in.{ending}")
    copy_through(source, tmp_path / f"out.{ending}", window={"start": 2.02, "end": 3.5})
    before, after = video_times(source), video_times(tmp_path / f"out.{ending}")
    with av.open(str(source)) as container:
        starts = [s.start_time * s.time_base for s in container.streams if s.start_time is not None]
    origin = min(starts)
    first, last = origin + Fraction("2.02"), origin + Fraction("3.5")
    kept = [time for time in before if first <= time < last]
    assert len(after) == len(kept) >= 36
    lag = after[0] - kept[0]
    assert [time - lag for time in after] == kept
    sound_before = other_packets(source)["1 audio aac"]
    sound_after = other_packets(tmp_path / f"out.{ending}")["1 audio aac"]
    expected = [packet for packet in sound_before if first <= packet[0] < last]
    assert [packet[2] for packet in sound_after] == [packet[2] for packet in expected]
    assert all(abs(b[0] - lag - a[0]) <= Fraction(1, 900) for b, a in zip(sound_after, expected, strict=True))
    assert 0 <= after[0] <= Fraction(1, 10)


def test_window_starts_at_zero_in_the_result(tmp_path: Path) -> None:
    source = Clip(pts=range(0, 100 * 512, 512)).write(tmp_path / "in.mp4")
    with closing(FileSource(source, start=1.0, end=2.0)) as window:
        frames = list(window)
    assert [frame.pts for frame in frames] == [512 * number for number in range(25)]
    assert window.info.duration_seconds == pytest.approx(1.0)


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 1.0), (None, 0.0)])
def test_an_empty_window_is_refused(tmp_path: Path, start: float | None, end: float | None) -> None:
    source = Clip().write(tmp_path / "in.mp4")
    with pytest.raises(ConfigError, match=r"--(start|end)"):
        FileSource(source, start=start, end=end)


def test_window_after_the_end_says_so(tmp_path: Path) -> None:
    source = Clip().write(tmp_path / "in.mp4")
    with pytest.raises(SourceError, match="no frames between"):
        frames_of(source, start=50.0)


def test_window_cuts_subtitles_that_reach_out_of_it(tmp_path: Path) -> None:
    source = Clip(pts=range(0, 100 * 512, 512), subtitles="subrip").write(tmp_path / "in.mkv")
    with av.open(str(source)) as container:
        (first, second) = [(p.pts, p.duration) for p in container.demux(subtitles=0) if p.size]
    assert (first, second) == ((100, 200), (400, 200))
    copy_through(source, tmp_path / "out.mkv", window={"start": 0.2, "end": 0.52})
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [(p.pts, p.duration) for p in container.demux(subtitles=0) if p.size] == [(0, 100), (200, 120)]


def test_window_cuts_chapters(tmp_path: Path) -> None:
    millisecond = Fraction(1, 1000)
    chapters = [
        {"id": n, "start": n * 1000, "end": (n + 1) * 1000, "time_base": millisecond, "metadata": {"title": str(n)}}
        for n in range(4)
    ]
    source = Clip(pts=range(0, 100 * 512, 512), chapters=chapters).write(tmp_path / "in.mp4")
    with closing(FileSource(source, start=1.5, end=2.5)) as window:
        cut = window.chapters
    times = [(c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"]) for c in cut]
    assert times == [(0, Fraction(1, 2), "1"), (Fraction(1, 2), 1, "2")]


def test_deinterlacing_keeps_count_and_times(tmp_path: Path) -> None:
    options = {"flags": "+ildct+ilme", "bf": "0"}
    made = Clip(codec="mpeg2video", options=options, time_base=Fraction(1, 25), pts=range(24), rate=25)
    source = made.write(tmp_path / "in.mkv")
    plain = [(frame.pts, frame.nbytes) for frame in frames_of(source)]
    woven = frames_of(source, deinterlace=True)
    assert [frame.pts for frame in woven] == [pts for pts, _ in plain]
    assert not woven[0].opaque.interlaced_frame


def test_pictures_of_the_same_time_are_moved_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Stammering:
        info = VideoInfo(16, 16, "yuv420p", Fraction(25), Fraction(1, 25), None, None, "ffv1")

        def __iter__(self):  # type: ignore[no-untyped-def]
            pixel_format = PixelFormat.parse("yuv420p")
            sizes = [(16, 16), (8, 8), (8, 8)]
            for pts in (0, 1, 1, 1, 5):
                planes = tuple(np.full(size, 90, np.uint8) for size in sizes)
                yield Frame(planes, 16, 16, pixel_format, pts=pts, time_base=Fraction(1, 25))

        def close(self) -> None: ...

    with caplog.at_level(logging.WARNING), FileSink(tmp_path / "out.mkv", Stammering()) as sink:
        for frame in Stammering():
            sink.write(frame)
    assert video_times(tmp_path / "out.mkv") == [Fraction(n, 25) for n in (0, 1, 2, 3, 5)]
    assert caplog.text.count("moved forward") == 1


@pytest.mark.parametrize(("codec", "ending"), [("mpeg4", "mkv"), ("mpeg2video", "ts"), ("mpeg4", "mp4")])
def test_old_codecs_that_count_frames_keep_uneven_times(tmp_path: Path, codec: str, ending: str) -> None:
    source = clip(ending, "vfr").write(tmp_path / f"in.{ending}")
    copy_through(source, tmp_path / f"out.{ending}", encode=EncodeOptions(codec=codec))
    assert video_ticks(tmp_path / f"out.{ending}") == video_ticks(source)


def test_uneven_times_fall_into_slots_of_avi(tmp_path: Path) -> None:
    uneven = [512 * (number + number // 10) for number in range(60)]
    source = Clip(pts=uneven, audio="aac").write(tmp_path / "in.mp4")
    copy_through(source, tmp_path / "out.avi")
    after = [frame.pts * frame.time_base for frame in frames_of(tmp_path / "out.avi")]
    before = video_times(source)
    assert len(after) == len(before)
    assert all(abs(new - old) <= Fraction(1, 25) for new, old in zip(after, before, strict=True))


def test_interlaced_pictures_go_into_encoders_without_fields(tmp_path: Path) -> None:
    made = Clip(codec="mpeg2video", options={"flags": "+ildct+ilme"}, time_base=Fraction(1, 25), pts=range(24))
    copy_through(made.write(tmp_path / "in.mkv"), tmp_path / "out.wmv")
    assert len(video_times(tmp_path / "out.wmv")) == 24


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_sound_that_starts_between_milliseconds_keeps_its_start(tmp_path: Path, ending: str) -> None:
    fine = {"movie_timescale": "192000"}
    source = Clip(audio="aac", audio_start=12345, container_options=fine).write(tmp_path / f"in.{ending}")
    copy_through(source, tmp_path / f"out.{ending}")
    assert other_packets(tmp_path / f"out.{ending}") == other_packets(source)


def test_an_avi_is_as_long_as_its_pictures(tmp_path: Path) -> None:
    """FFmpeg's AVI writer counts the last picture's duration in whole pictures."""
    source = Clip(time_base=Fraction(1, 12800)).write(tmp_path / "in.mp4")
    copy_through(source, tmp_path / "out.avi")
    with av.open(str(tmp_path / "out.avi")) as container:
        assert container.streams.video[0].frames == 24


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_durations_of_pictures_survive(tmp_path: Path, ending: str) -> None:
    time_base = Fraction(*TICKS[ending])
    step = int(Fraction(1, 25) / time_base)
    pts = [0, step, 4 * step, 5 * step]
    source = Clip(time_base=time_base, pts=pts, last_duration=3 * step, options={"bf": "0"})
    copy_through(source.write(tmp_path / f"in.{ending}"), tmp_path / f"out.{ending}")
    durations = []
    for name in (f"in.{ending}", f"out.{ending}"):
        with av.open(str(tmp_path / name)) as container:
            durations.append([packet.duration for packet in container.demux(video=0) if packet.size])
    assert durations[0] == durations[1]
    assert durations[0][-1] == 3 * step


@pytest.mark.parametrize("rate", [Fraction(1, 10**9), Fraction(10**9)])
def test_rates_that_no_encoder_can_express_are_no_obstacle(tmp_path: Path, rate: Fraction) -> None:
    """A damaged duration makes an average rate of next to nothing, or of millions of pictures a second."""
    source = clip("mp4", "vfr").write(tmp_path / "in.mp4")

    class Misled(FileSource):
        @property
        def info(self) -> VideoInfo:
            return dataclasses.replace(super().info, average_rate=rate)

    reader = Misled(source)
    with FileSink(tmp_path / "out.mp4", reader) as sink:
        for frame in reader:
            sink.write(frame)
    reader.close()
    assert video_ticks(tmp_path / "out.mp4") == video_ticks(source)

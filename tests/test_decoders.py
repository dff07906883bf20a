"""Several decoders of H.264 side by side give what one gives: pictures, times, and what they say of damage."""

from __future__ import annotations

import functools
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

from clips import Clip, copy_through, other_packets, video_ticks
from doubles import plain_dehazer
from streamdehaze import dehaze_video
from streamdehaze.errors import Cancelled, SourceError
from streamdehaze.pipeline import job
from streamdehaze.video import FileSource
from streamdehaze.video.reading import file
from streamdehaze.video.reading.decoding import groups
from streamdehaze.video.reading.decoding.decoder import Decoder
from streamdehaze.video.reading.decoding.groups import GroupDecoder
from streamdehaze.video.reading.demuxer import Demuxer

KINDS = {
    "reordered": {"g": "30"},
    "plain": {"g": "30", "bf": "0"},
    "deep": {"g": "40", "bf": "4", "x264-params": "b-pyramid=normal:b-adapt=0"},
    "sliced": {"g": "25", "slices": "4"},
    "intra": {"g": "1"},
    "long": {"g": "250"},
    "open": {"g": "30", "x264-params": "open-gop=1"},
    "interlaced": {"g": "30", "x264-params": "interlaced=1"},
}
APART = frozenset({"reordered", "plain", "deep", "sliced", "intra"})
"""Kinds whose groups are decoded side by side."""


def film(folder: Path, kind: str, ending: str, **facts: Any) -> Path:
    facts = {"size": (96, 64), "pts": range(0, 100 * 512, 512), "options": KINDS[kind], **facts}
    return Clip(**facts).write(folder / f"{kind}.{ending}")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A film of a kind in a container, made once."""
    folder = tmp_path_factory.mktemp("films")
    return functools.cache(functools.partial(film, folder))


@dataclass
class Reading:
    frames: list[tuple[Any, ...]]
    pictures: list[bytes]
    damaged: int
    error: str

    @property
    def report(self) -> tuple[Any, ...]:
        return self.frames, self.damaged, self.error


def reading(path: Path, decoders: int, ahead: int = 100, **options: Any) -> Reading:
    """What a source gives with a number of decoders that may be ahead by a number of pictures."""
    found = Reading([], [], 0, "")
    try:
        with FileSource(path, **options) as source, pytest.MonkeyPatch.context() as patched:
            source.decoders = decoders
            patched.setattr(groups, "_most_ahead", lambda *_: ahead)
            for frame in source:
                found.frames.append((frame.pts, frame.duration, frame.color, source.damaged))
                widths = [frame.pixel_format.plane_size(index, frame.width, 1)[0] for index in range(3)]
                planes = zip(frame.planes, widths, strict=True)
                found.pictures.append(b"".join(plane[:, :width].tobytes() for plane, width in planes))
            found.damaged = source.damaged
    except SourceError as error:
        found.error = str(error)
    return found


@pytest.fixture
def drains(monkeypatch: pytest.MonkeyPatch) -> list[Decoder]:
    """The decoders, each as often as it was emptied at the end of a group."""
    found: list[Decoder] = []
    drain = Decoder.drain

    def counted(self: Decoder) -> list[av.VideoFrame]:
        found.append(self)
        return drain(self)

    monkeypatch.setattr(Decoder, "drain", counted)
    return found


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "h264", "avi"])
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_and_times_are_those_of_one_decoder(
    films: Callable[[str, str], Path], kind: str, ending: str, drains: list[Decoder]
) -> None:
    path = films(kind, ending)
    one = reading(path, 1)
    assert len(one.frames) == 100
    assert not drains
    for decoders, ahead in ((2, 1), (2, 100), (3, 7)):
        drains.clear()
        assert reading(path, decoders, ahead) == one
        apart = len(set(drains)) == decoders
        assert apart or kind not in APART


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("kind", ["reordered", "open", "interlaced"])
@pytest.mark.parametrize(
    "options",
    [{"start": 1.3, "end": 3.6}, {"at": 2}, {"deinterlace": "fields"}, {"start": 1.3, "keep_clock": True}],
)
def test_part_of_a_film_is_that_of_one_decoder(tmp_path: Path, kind: str, ending: str, options: dict[str, Any]) -> None:
    path = film(tmp_path, kind, ending)
    assert reading(path, 2, 9, **options) == reading(path, 1, **options) != Reading([], [], 0, "")


@pytest.mark.parametrize("on_damage", ["keep", "skip", "stop"])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "h264"])
@pytest.mark.parametrize("kind", ["reordered", "sliced", "interlaced"])
def test_damage_is_found_where_one_decoder_finds_it(
    tmp_path: Path, films: Callable[[str, str], Path], kind: str, ending: str, on_damage: str
) -> None:
    content = films(kind, ending).read_bytes()
    bad, found = tmp_path / f"bad.{ending}", 0
    for seed in range(4):
        chance, spoilt = random.Random(seed), bytearray(content)
        for _ in range(1 + 2 * seed):
            place = chance.randrange(len(content) // 10, len(content) * 9 // 10)
            spoilt[place : place + 32] = chance.randbytes(32)
        bad.write_bytes(spoilt if seed else content[: len(content) * 2 // 3])
        one, several = reading(bad, 1, on_damage=on_damage), reading(bad, 2 + seed % 2, 30, on_damage=on_damage)
        assert several.report == one.report
        # FFmpeg conceals damage with what lies in its memory, so that it may look a little different.
        differing = [before != after for before, after in zip(one.pictures, several.pictures, strict=True)]
        assert sum(differing) <= 40 * (one.damaged + (on_damage == "stop"))
        found += one.damaged + bool(one.error)
    assert found


@pytest.mark.parametrize("fate", ["lost", "cut", "spoilt"])
@pytest.mark.parametrize("kind", ["reordered", "sliced"])
def test_after_a_damaged_keyframe_one_decoder_goes_on(tmp_path: Path, kind: str, fate: str) -> None:
    source, bad = film(tmp_path, kind, "mkv"), tmp_path / "bad.mkv"
    keyframes = 0
    with av.open(source) as before, av.open(bad, "w") as after:
        video = before.streams.video[0]
        copy = after.add_stream_from_template(video, opaque=True)
        for packet in before.demux(video):
            keyframes += packet.is_keyframe
            if packet.is_keyframe and keyframes == 3:
                content = bytearray(bytes(packet))
                content[len(content) // 2 :] = b"" if fate == "cut" else random.Random(1).randbytes(len(content) // 2)
                spoilt: Any = av.Packet(bytes(content))
                spoilt.pts, spoilt.dts, spoilt.time_base = packet.pts, packet.dts, packet.time_base
                spoilt.is_keyframe = True
                packet = spoilt
                if fate == "lost":
                    continue
            packet.stream = copy
            if packet.size:
                after.mux(packet)
    one = reading(bad, 1)
    assert one.damaged or fate == "lost"
    for decoders in (2, 3):
        several = reading(bad, decoders)
        assert several.report == one.report
        assert [several.pictures[0], *several.pictures[-20:]] == [one.pictures[0], *one.pictures[-20:]]


def test_every_reading_of_damage_reports_the_same(tmp_path: Path, films: Callable[[str, str], Path]) -> None:
    content, chance = bytearray(films("sliced", "mkv").read_bytes()), random.Random(3)
    for _ in range(7):
        place = chance.randrange(len(content) // 10, len(content) * 9 // 10)
        content[place : place + 32] = chance.randbytes(32)
    bad = tmp_path / "bad.mkv"
    bad.write_bytes(content)
    one = reading(bad, 1)
    assert one.damaged
    assert all(reading(bad, 2 + number % 2, 1 + number).report == one.report for number in range(12))


def test_other_streams_come_with_the_pictures(tmp_path: Path) -> None:
    path = film(tmp_path, "reordered", "mkv", audio="aac", subtitles="subrip")
    window = {"start": 0.5, "end": 4.1}
    with FileSource(path, **window) as one, FileSource(path, **window) as two:
        two.decoders = 2
        waiting = []
        for source in (one, two):
            source.collect(source.others)
            waiting.append([(frame.pts, len(source.packets)) for frame in source])
    assert waiting[0] == waiting[1]
    copy_through(path, tmp_path / "one.mkv", window=window)
    assert len(other_packets(tmp_path / "one.mkv")) == 2


@pytest.mark.parametrize("sizes", [((64, 48), (96, 64)), ((64, 48), (64, 48))])
def test_a_film_whose_parameters_change_is_that_of_one_decoder(
    tmp_path: Path, sizes: tuple[tuple[int, int], ...]
) -> None:
    options = ({"g": "30"}, {"g": "30", "bf": "0", "refs": "4"})
    parts = [
        film(tmp_path, "plain", f"{number}.h264", size=size, options=choice)
        for number, (size, choice) in enumerate(zip(sizes, options, strict=True))
    ]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in [*parts, *parts]))
    one = reading(joined, 1)
    assert len(one.frames) == 400
    assert reading(joined, 2) == reading(joined, 3, 5) == one


def test_no_more_pictures_wait_than_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[GroupDecoder] = []

    def kept(*given: Any) -> GroupDecoder:
        made.append(GroupDecoder(*given))
        return made[0]

    monkeypatch.setattr(file, "GroupDecoder", kept)
    monkeypatch.setattr(groups, "_most_ahead", lambda *_: 6)
    most = 0
    with FileSource(film(tmp_path, "plain", "mp4")) as source:
        source.decoders = 2
        for number, _ in enumerate(source):
            time.sleep(0.01 if number % 10 == 0 else 0)
            most = max(most, made[0]._ready)
    assert 1 < most <= 6 + 2 + 1  # of the group that is handed out, and that which shows how the next one begins


@pytest.mark.parametrize("read", [0, 1, 50])
def test_no_thread_is_left_where_reading_ends_early(tmp_path: Path, read: int) -> None:
    before = set(threading.enumerate())
    with FileSource(film(tmp_path, "plain", "mp4")) as source:
        source.decoders = 3
        frames = iter(source)
        for _ in range(read):
            next(frames)
        del frames
    assert set(threading.enumerate()) <= before


def test_what_fails_in_a_decoder_reaches_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path, "plain", "mp4")
    decode, calls = Decoder.decode, iter(range(1000))

    def failing(self: Decoder, packet: Any) -> Any:
        if next(calls) == 70:
            raise MemoryError("no room")
        return decode(self, packet)

    monkeypatch.setattr(Decoder, "decode", failing)
    with FileSource(path) as source:
        source.decoders = 2
        with pytest.raises(MemoryError, match="no room"):
            list(source)


@pytest.mark.parametrize("kind", ["reordered", "plain"])
@pytest.mark.parametrize("read", [59, 61, 62, 70])
def test_a_failure_of_reading_comes_after_the_pictures_before_it(
    films: Callable[[str, str], Path], kind: str, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = Demuxer.packets

    def failing(self: Demuxer) -> Iterator[Any]:
        yield from itertools.islice(packets(self), read)  # the third group begins with packet 60
        raise SourceError("gone")

    monkeypatch.setattr(Demuxer, "packets", failing)
    one = reading(films(kind, "mp4"), 1)
    assert one.error == "gone"
    assert reading(films(kind, "mp4"), 2) == reading(films(kind, "mp4"), 3) == one


def test_waiting_for_a_picture_ends_with_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, decode = threading.Event(), Decoder.decode

    def held(self: Decoder, packet: Any) -> Any:
        stop.set()
        time.sleep(0.3)
        return decode(self, packet)

    monkeypatch.setattr(Decoder, "decode", held)
    with FileSource(film(tmp_path, "plain", "mp4"), stop=stop) as source:
        source.decoders = 2
        with pytest.raises(Cancelled):
            list(source)


def test_what_cannot_be_opened_again_is_decoded_by_one(tmp_path: Path) -> None:
    path = film(tmp_path, "plain", "mkv")
    with open(path, "rb") as stream, FileSource(stream) as source:
        source.decoders = 2
        piped = [(frame.pts, frame.planes[0].tobytes()) for frame in source]
    with FileSource(path) as source:
        source.decoders = 2
        frames = iter(source)
        first = next(frames)
        path.unlink()
        rest = [first, *frames]
    assert [(frame.pts, frame.planes[0].tobytes()) for frame in rest] == piped


@pytest.mark.parametrize(("cores", "limit", "expected"), [(8, None, 2), (2, None, 1), (8, 8 << 30, 1)])
def test_a_run_takes_two_where_cores_and_memory_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, limit: int | None, expected: int
) -> None:
    made: list[int] = []

    def counted(*given: Any) -> GroupDecoder:
        decoder = GroupDecoder(*given)
        made.append(decoder.decoders)
        return decoder

    monkeypatch.setattr(file, "GroupDecoder", counted)
    monkeypatch.setattr(job, "usable_cores", lambda: cores)
    monkeypatch.setattr(job, "_LARGE_PIXELS", 96 * 64)
    path, target = film(tmp_path, "reordered", "mp4"), tmp_path / "out.mkv"
    report = dehaze_video(path, target, dehazer=plain_dehazer(), memory_limit=limit)
    assert report.damaged == 0
    assert len(video_ticks(target)[1]) == 100
    assert made == ([expected] if expected > 1 else [])

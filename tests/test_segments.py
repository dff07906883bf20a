"""What segments rely on: cuts that only depend on the frames since the last one, and files that lose nothing."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clips import Clip
from streamdehaze.durable import file_sha256
from streamdehaze.frame import ColorSpec, Frame, PixelFormat
from streamdehaze.video import FileSource
from streamdehaze.video.packets import EncodedPacket, PacketFile, read_packets
from streamdehaze.video.resume.cut import Cut, Cutter, frame_hash
from streamdehaze.video.resume.source import Continued

TICK = Fraction(1, 90000)
TIMES = st.none() | st.integers(-(1 << 62), 1 << 62)


def frames(keyframes: list[bool]) -> list[Frame]:
    made = []
    for number, is_key in enumerate(keyframes):
        picture = av.VideoFrame(2, 2, "gray")
        picture.key_frame = is_key
        plane = np.full((2, 2), number % 256, np.uint8)
        made.append(Frame((plane,), 2, 2, PixelFormat.parse("gray"), ColorSpec(), pts=number, opaque=picture))
    return made


def packet_of(data: bytes) -> EncodedPacket:
    return EncodedPacket(data, None, None, 0, TICK, False)


def cuts(cutter: Cutter, shown: list[Frame]) -> list[Cut]:
    return [mark for frame in shown for mark in cutter.before(frame) if isinstance(mark, Cut)]


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 9))
def test_work_resumed_at_a_cut_is_cut_at_the_same_places(keyframes: list[bool], length: int) -> None:
    shown = frames(keyframes)
    whole = cuts(Cutter(length), shown)
    for number, cut in enumerate(whole):
        assert cuts(Cutter(length, cut), shown[cut.frames :]) == whole[number + 1 :]
    bounds = [0, *(cut.frames for cut in whole), len(shown)]
    assert all(length <= b - a <= 2 * length for a, b in itertools.pairwise(bounds[:-1]))
    assert len(shown) - bounds[-2] <= 2 * length
    assert all(keyframes[cut.frames] or cut.frames - before == 2 * length
               for before, cut in zip(bounds, whole, strict=False))  # fmt: skip


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.lists(st.tuples(TIMES, TIMES, st.integers(0, 1 << 40), st.binary(max_size=50), st.booleans()), max_size=12))
def test_packets_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, facts: list[Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "a.packets"
    path.unlink(missing_ok=True)
    file = PacketFile(path)
    packets = [EncodedPacket(data, pts, dts, length, TICK, is_key) for pts, dts, length, data, is_key in facts]
    file.write(packets)
    assert not path.exists()
    assert file.finish() == file_sha256(path)
    assert path.stat().st_size == file.size_bytes
    assert list(read_packets(path, TICK)) == packets


def test_a_truncated_packet_is_not_read(tmp_path: Path) -> None:
    file = PacketFile(tmp_path / "a.packets")
    file.write([packet_of(b"x" * 100)])
    file.finish()
    content = (tmp_path / "a.packets").read_bytes()
    for size in (1, 32, 33, 132):
        (tmp_path / "a.packets").write_bytes(content[:size])
        with pytest.raises(ValueError, match="cut off"):
            list(read_packets(tmp_path / "a.packets", TICK))


def test_an_aborted_file_leaves_nothing(tmp_path: Path) -> None:
    file = PacketFile(tmp_path / "a.packets")
    file.write([packet_of(b"x")])
    file.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("number", [1, 13, 50, 99])
def test_reading_continues_after_any_frame(tmp_path: Path, ending: str, number: int) -> None:
    time_base = {"mp4": Fraction(1, 12800), "mkv": Fraction(1, 1000), "ts": Fraction(1, 90000)}[ending]
    step = int(Fraction(1, 25) / time_base)
    made = Clip(time_base=time_base, pts=range(0, 100 * step, step), options={"g": "12", "bf": "2"})
    source = FileSource(made.write(tmp_path / f"in.{ending}"))
    everything = list(source)
    last = everything[number - 1]
    rest = list(Continued(source, Cut(number, last.pts, frame_hash(last))))
    source.close()
    assert [(f.pts, frame_hash(f)) for f in rest] == [(f.pts, frame_hash(f)) for f in everything[number:]]

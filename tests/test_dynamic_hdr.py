"""Dynamic HDR: HDR10+ and single-layer Dolby Vision stay with their pictures in HEVC, the rest is named or refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import pytest

from clips import copy_through
from public_tools import PICTURES, ffmpeg
from streamdehaze.errors import SourceError
from streamdehaze.video import EncodeOptions, FileSource, SegmentFileSink
from streamdehaze.video.reading.hdr import dolby_vision_profile
from streamdehaze.video.sidedata import side_data
from streamdehaze.video.syntax.mp4 import add_video_boxes
from streamdehaze.video.syntax.sei import PictureNotes, with_user_data

PQ = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-pix_fmt", "yuv420p10le")
QUIET = EncodeOptions(preset="ultrafast")


def hdr10_plus(average: int) -> bytes:
    """The payload of a message for one window and nine percentiles (SMPTE ST 2094-40)."""
    fields = [(1, 8), (1, 2), (400, 27), (0, 1), *[(1000, 17)] * 3, (average, 17), (9, 4)]
    fields += [field for percent in range(9) for field in ((percent * 10, 7), (percent * 100, 17))]
    fields += [(0, 10), (0, 1), (0, 1), (0, 1)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    return bytes.fromhex("b5003c000104") + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(
        -(-len(bits) // 8), "big"
    )


def rpu(number: int) -> bytes:
    """A unit that looks like one of Dolby Vision; FFmpeg passes it on without understanding it."""
    return b"\x7c\x01\x19" + bytes([number + 1, 9]) * 8


def film(folder: Path, *, dolby_vision: int | None = None, ending: str = "mp4") -> Path:
    """Twelve HEVC pictures with B-frames; the n-th shown has HDR10+ of average brightness n, and an RPU."""
    plain = ffmpeg(
        *PICTURES, "-frames:v", "12", *PQ, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
        "log-level=error:bframes=2", folder / "plain.mkv",
    )  # fmt: skip
    with av.open(str(plain)) as read, av.open(str(folder / f"in.{ending}"), "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if not packet.size:
                continue
            shown = round(packet.pts * packet.time_base * 25)
            units = _start_codes(bytes(packet))
            hdr = PictureNotes((hdr10_plus(shown),), (rpu(shown),) if dolby_vision is not None else ())
            marked = av.Packet(_lengths(with_user_data(units, "hevc", [], hdr)))
            marked.pts, marked.dts, marked.duration = packet.pts, packet.dts, packet.duration
            marked.time_base, marked.is_keyframe, marked.stream = packet.time_base, packet.is_keyframe, copy
            written.mux(marked)
    path = folder / f"in.{ending}"
    if dolby_vision is not None and ending == "mp4":
        config = bytes([1, 0, dolby_vision << 1, 0x0D]) + bytes([16]) + bytes(19)
        assert add_video_boxes(path, (32).to_bytes(4, "big") + b"dvvC" + config)
    return path


def _start_codes(packet: bytes) -> bytes:
    found, at = b"", 0
    while at < len(packet):
        size = int.from_bytes(packet[at : at + 4], "big")
        found += b"\0\0\0\1" + packet[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def _lengths(units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units.split(b"\0\0\0\1")[1:])


def found(path: Path, kind: str) -> list[bytes]:
    """Side data of one kind, of the pictures in the order they are shown."""
    with av.open(str(path)) as container:
        data = [side_data(picture) for picture in container.decode(video=0)]
    return [next((b"".join(each[k]) for k in each if k.name == kind), b"") for each in data]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_hdr10_plus_stays_with_its_picture(tmp_path: Path, ending: str) -> None:
    source = film(tmp_path)
    assert len(set(found(source, "DYNAMIC_HDR_PLUS"))) == 12
    assert copy_through(source, tmp_path / f"out.{ending}", encode=QUIET).losses == []
    assert found(tmp_path / f"out.{ending}", "DYNAMIC_HDR_PLUS") == found(source, "DYNAMIC_HDR_PLUS")


def test_hdr10_plus_stays_in_segments_and_windows(tmp_path: Path) -> None:
    source = film(tmp_path, ending="mkv")
    with FileSource(source, start=0.2) as frames, SegmentFileSink(tmp_path / "out.mkv", frames, seconds=0.1) as sink:
        sink.take_up({})
        for frame in frames:
            sink.write(frame)
    assert found(tmp_path / "out.mkv", "DYNAMIC_HDR_PLUS") == found(source, "DYNAMIC_HDR_PLUS")[5:]


def test_hdr10_plus_is_named_where_the_encoder_writes_none(tmp_path: Path) -> None:
    lost = copy_through(film(tmp_path), tmp_path / "out.mkv", encode=EncodeOptions("ffv1")).losses
    assert lost == ["HDR10+"]


def test_hdr10_plus_goes_from_hevc_to_av1_and_back(tmp_path: Path) -> None:
    source, fast = film(tmp_path), EncodeOptions("av1", preset="12")
    copy_through(source, tmp_path / "one.mkv", encode=fast)
    copy_through(tmp_path / "one.mkv", tmp_path / "two.mp4", encode=fast)
    assert copy_through(tmp_path / "two.mp4", tmp_path / "out.mp4", encode=EncodeOptions("libx265")).losses == []
    for name in ("one.mkv", "two.mp4", "out.mp4"):
        assert found(tmp_path / name, "DYNAMIC_HDR_PLUS") == found(source, "DYNAMIC_HDR_PLUS")


def test_dolby_vision_of_one_layer_stays_in_mp4_and_is_named_elsewhere(tmp_path: Path) -> None:
    source = film(tmp_path, dolby_vision=8)
    assert copy_through(source, tmp_path / "out.mp4", encode=QUIET).losses == []
    assert dolby_vision_profile(tmp_path / "out.mp4") == 8
    assert found(tmp_path / "out.mp4", "DOVI_RPU_BUFFER") == found(source, "DOVI_RPU_BUFFER") != [b""] * 12
    shown = subprocess.run(["ffprobe", tmp_path / "out.mp4"], capture_output=True, text=True, check=True).stderr
    assert "DOVI configuration record" in shown
    assert copy_through(source, tmp_path / "out.mkv", encode=QUIET).losses == ["Dolby Vision"]


@pytest.mark.parametrize("profile", [4, 7])
def test_dolby_vision_of_two_layers_is_named(tmp_path: Path, profile: int) -> None:
    source = film(tmp_path, dolby_vision=profile)
    assert copy_through(source, tmp_path / "out.mp4", encode=QUIET).losses == ["Dolby Vision"]
    assert dolby_vision_profile(tmp_path / "out.mp4") is None


def test_dolby_vision_in_colours_of_its_own_is_refused(tmp_path: Path) -> None:
    source = film(tmp_path, dolby_vision=5)
    with pytest.raises(SourceError, match="Dolby Vision of profile 5"):
        FileSource(source)
    config = bytes([1, 0, 5 << 1, 0x0D]) + bytes(20)
    head = b"\x41\xe7\x84dvcC\x41\xed\x98" + config
    (tmp_path / "in.mkv").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(40) + head)
    assert dolby_vision_profile(tmp_path / "in.mkv") == 5

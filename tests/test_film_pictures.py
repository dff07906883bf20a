"""DPX and OpenEXR, read and written: depth, scene light, headers with time code and camera, frame numbers."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from clips import copy_photo
from doubles import EngineDouble, plain_dehazer
from public_tools import ffmpeg, ffprobe
from streamdehaze import dehaze_video
from streamdehaze.errors import SourceError
from streamdehaze.video import FileSink, SequenceSource
from streamdehaze.video.picture.film import read_header
from streamdehaze.video.picture.source import PictureSource

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:d=0.04")
TAGS = {b"owner": b"studio", b"timeCode": struct.pack("<II", 0x01020304, 0), b"aVeryLongNameOfSomeRenderersOwn": b"x"}
KINDS = {b"owner": b"string", b"timeCode": b"timecode", b"aVeryLongNameOfSomeRenderersOwn": b"string"}


def exr(path: Path, kind: str, brightest: float = 1.0) -> Path:
    """An EXR of the test picture, whose light of 1 becomes `brightest`."""
    ffmpeg(*PICTURE, "-vf", "format=gbrpf32le", "-c:v", "exr", "-format", kind, path)
    if brightest != 1.0:
        pixels = samples(path) * brightest
        context = av.CodecContext.create("exr", "w")
        context.width, context.height, context.pix_fmt = 64, 48, "gbrpf32le"
        context.time_base, context.options = 1, {"format": kind}
        picture = av.VideoFrame(64, 48, "gbrpf32le")
        for plane, values in zip(picture.planes, pixels, strict=True):
            np.frombuffer(memoryview(plane), np.float32).reshape(48, -1)[:, :64] = values
        path.write_bytes(b"".join(bytes(packet) for packet in context.encode(picture)))
    return path


def samples(path: Path) -> npt.NDArray[np.float64]:
    """The samples of each plane, as FFmpeg decodes them."""
    with av.open(f"file:{path}", format="image2") as container:
        picture = next(container.decode(video=0))
    kind = {"gbrpf16le": np.float16, "gbrpf32le": np.float32}.get(picture.format.name, np.uint16)
    planes = [np.frombuffer(plane, kind).reshape(48, -1)[:, :64] for plane in picture.planes]
    return np.stack(planes).astype(np.float64)


def tagged(path: Path) -> Path:
    """An EXR with attributes of a camera and a renderer."""
    data = path.read_bytes()
    chunks = 48 if b"zip" not in data else -(-48 // 16)
    more = b"".join(n + b"\0" + KINDS[n] + b"\0" + struct.pack("<I", len(v)) + v for n, v in TAGS.items())
    at = 8
    while data[at]:
        value = data.index(b"\0", data.index(b"\0", at) + 1) + 1
        at = value + 4 + int.from_bytes(data[value : value + 4], "little")
    offsets = struct.unpack_from(f"<{chunks}Q", data, at + 1)
    moved = struct.pack(f"<{chunks}Q", *(offset + len(more) for offset in offsets))
    path.write_bytes(data[:at] + more + b"\0" + moved + data[at + 1 + 8 * chunks :])
    return path


@pytest.mark.parametrize("pixels", ["gbrp10le", "gbrp12le", "rgb24", "rgb48le", "gray16be"])
def test_dpx_stays_bit_identical(tmp_path: Path, pixels: str) -> None:
    source = ffmpeg(*PICTURE, "-pix_fmt", pixels, tmp_path / "a.dpx")
    assert copy_photo(source, tmp_path / "b.dpx") == []
    assert np.array_equal(samples(source), samples(tmp_path / "b.dpx"))
    before, after = (ffprobe(path, "-show_streams")["streams"][0] for path in (source, tmp_path / "b.dpx"))
    assert before["pix_fmt"][:-2] == after["pix_fmt"][:-2]  # whatever the order of bytes


def scanned(path: Path, order: str = ">", *, names: bool = True) -> Path:
    """A DPX with the headers of a scanner: a time code, and who made it."""
    data = bytearray(ffmpeg(*PICTURE, "-pix_fmt", {">": "gbrp10be", "<": "gbrp10le"}[order], path).read_bytes())
    data[160:166] = b"camera" if names else data[160:166]
    data[1664:1664] = b"\xff" * 384
    data[1920:1924] = struct.pack(f"{order}I", 0x01020344)  # SMPTE time code, of 29.97 frames a second
    struct.pack_into(f"{order}I", data, 4, 2048)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_dpx_keeps_time_code_and_the_names_in_its_header(tmp_path: Path, order: str) -> None:
    source = scanned(tmp_path / "a.dpx", order)
    assert copy_photo(source, tmp_path / "b.dpx") == []
    after = (tmp_path / "b.dpx").read_bytes()
    assert after[160:166] == b"camera"
    assert after[1920:1924] == struct.pack(f"{order}I", 0x01020344)
    assert np.array_equal(samples(source), samples(tmp_path / "b.dpx"))
    assert copy_photo(source, tmp_path / "b.exr") == ["what the DPX header says of time code, camera and film"]


@pytest.mark.parametrize("order", ["be", "le"])
def test_pixels_of_a_dpx_are_not_taken_for_its_film_header(tmp_path: Path, order: str) -> None:
    """FFmpeg writes none, and puts the pixels in its place."""
    source = ffmpeg(*PICTURE, "-pix_fmt", f"gbrp10{order}", tmp_path / "a.dpx")
    assert copy_photo(source, tmp_path / "b.dpx") == []
    assert len((tmp_path / "b.dpx").read_bytes()) == len(source.read_bytes())
    assert copy_photo(source, tmp_path / "b.exr") == []  # nor is there anything to lose


@pytest.mark.parametrize("ending", ["mov", "mkv", "mxf"])
@pytest.mark.parametrize("kind", ["dpx", "exr"])
def test_a_film_made_of_pictures_has_their_time_code(tmp_path: Path, kind: str, ending: str) -> None:
    if kind == "dpx":
        scanned(tmp_path / "a.0001.dpx", names=False)
        found, rest = "01:02:03;04", "what the DPX header says of camera and film"
    else:
        tagged(exr(tmp_path / "a.0001.exr", "half"))
        found, rest = "01:02:03:04", "what the EXR header says of camera and film"
    source = SequenceSource(tmp_path / f"a.%04d.{kind}", rate=Fraction(30000, 1001))
    target = tmp_path / f"out.{ending}"
    with FileSink(target, source) as sink:
        for frame in source:
            sink.write(frame)
    probed = ffprobe(target, "-show_streams", "-show_format")
    tags = {**probed["format"].get("tags", {}), **probed["streams"][0].get("tags", {})}
    assert {key.lower(): value for key, value in tags.items()}["timecode"] == found
    assert rest in sink.losses


def test_what_a_film_loses_of_pictures_is_named_and_in_the_report(tmp_path: Path) -> None:
    scanned(tmp_path / "a.0001.dpx")
    report = dehaze_video(tmp_path / "a.%04d.dpx", tmp_path / "out.mp4", dehazer=plain_dehazer(engine=EngineDouble()))
    assert report.losses == (
        "what the DPX header says of time code, camera and film", "pixel format gbrp10le (now yuv444p10le)",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["half", "float"])
def test_exr_keeps_light_above_white(tmp_path: Path, kind: str) -> None:
    source = exr(tmp_path / "a.exr", kind, brightest=20.0)
    assert copy_photo(source, tmp_path / "b.exr") == []
    before, after = samples(source), samples(tmp_path / "b.exr")
    assert before.max() == pytest.approx(20)
    bright = before > 0.001
    assert after[bright] == pytest.approx(before[bright], rel=1e-12 if kind == "half" else 1e-3)
    assert np.abs(after - before)[~bright].max() < 1e-5


def test_exr_keeps_its_attributes_and_names_what_is_lost(tmp_path: Path) -> None:
    source = tagged(exr(tmp_path / "a.exr", "half"))
    assert copy_photo(source, tmp_path / "b.exr") == []
    data = (tmp_path / "b.exr").read_bytes()
    assert all(name + b"\0" + KINDS[name] in data and value in data for name, value in TAGS.items())
    assert samples(tmp_path / "b.exr") == pytest.approx(samples(source), abs=1e-5)
    assert copy_photo(source, tmp_path / "b.png") == ["what the EXR header says of time code, camera and film"]
    source.write_bytes(source.read_bytes().replace(b"B\0\x01", b"Z\0\x01", 1))
    assert read_header(source)[1] == ("channels Z",)


def test_a_display_picture_becomes_light(tmp_path: Path) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "color=0x808080:s=64x48:d=0.04", "-pix_fmt", "rgb24", tmp_path / "a.png")
    copy_photo(source, tmp_path / "b.exr")
    assert samples(tmp_path / "b.exr") == pytest.approx(0.2159, abs=0.003)


def test_a_sequence_keeps_its_numbers_and_is_dehazed_by_its_light(tmp_path: Path) -> None:
    for number in (1001, 1003):
        exr(tmp_path / f"shot.{number}.exr", "half", brightest=4.0)
    engine = EngineDouble()
    with plain_dehazer(engine=engine) as dehazer:
        dehaze_video(tmp_path / "shot.####.exr", tmp_path / "clear.####.exr", dehazer=dehazer)
    assert sorted(path.name for path in tmp_path.glob("clear*")) == ["clear.1001.exr", "clear.1003.exr"]
    clear, hazy = (samples(tmp_path / f"{name}.1001.exr") for name in ("clear", "shot"))
    assert 0 < clear.mean() < hazy.mean()


@pytest.mark.parametrize("name", ["a.dpx", "a.exr"])
def test_damaged_ones_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x76\x2f\x31\x01" + bytes(40))
    with pytest.raises(SourceError, match=f"{name}' is damaged"):
        PictureSource(tmp_path / name)

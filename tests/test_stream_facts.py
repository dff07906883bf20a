"""Facts inside the encoded stream that other software reads: clock, field order, user data; and keys of metadata."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from clips import Clip, copy_through
from public_tools import H264, PICTURES, SOUND, ffmpeg, ffprobe
from streamdehaze.video import EncodeOptions, FileSource, SegmentFileSink
from streamdehaze.video.planes import frame_from_av
from streamdehaze.video.reading.times.timeline import TICK
from streamdehaze.video.sidedata import display_matrix, kinds_of, user_data
from streamdehaze.video.syntax.sei import PictureNotes, with_user_data
from streamdehaze.video.writing.encoding.encode import StreamSetup, VideoEncoder
from streamdehaze.video.writing.encoding.encoding import Encoding

STAMP = bytes.fromhex("086f3693b7b34f2c965321492feee5b8") + b"hello\0"
STAMPED = ("-bsf:v", "h264_metadata=sei_user_data='086f3693-b7b3-4f2c-9653-21492feee5b8+hello'")


def clock(path: Path) -> tuple[int, int, int]:
    """num_units_in_tick, time_scale and fixed_frame_rate_flag of the first sequence parameter set."""
    command = ["ffmpeg", "-v", "trace", "-i", path, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"]
    traced = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    names = ("num_units_in_tick", "time_scale", "fixed_frame_rate_flag")
    units, scale, fixed = (int(re.search(rf"\b{name}\b.*= (\d+)", traced)[1]) for name in names)  # type: ignore[index]
    return units, scale, fixed


def cut_through(source: Path, target: Path) -> Path:
    """Write every frame of a file into segments of half a second, and join these."""
    with FileSource(source) as frames, SegmentFileSink(target, frames, seconds=0.5) as sink:
        sink.take_up({})
        for frame in frames:
            sink.write(frame)
    return target


@pytest.mark.parametrize("rate", ["25", "30000/1001", "24000/1001", "50", "12"])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_the_clock_of_a_constant_rate_is_twice_the_rate(tmp_path: Path, rate: str, ending: str) -> None:
    video = ("-f", "lavfi", "-i", f"testsrc2=s=64x48:r={rate}:d=2")
    source = ffmpeg(*video, *H264, tmp_path / f"in.{ending}")
    copy_through(source, tmp_path / f"out.{ending}")
    units, scale, fixed = clock(tmp_path / f"out.{ending}")
    assert Fraction(scale, units) == 2 * Fraction(rate)
    assert fixed == 1
    assert units == (1001 if "1001" in rate else 1)


def test_the_clock_is_the_same_in_segments(tmp_path: Path) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=30000/1001:d=2", *H264, "-g", "10", tmp_path / "in.mp4")
    assert clock(cut_through(source, tmp_path / "out.mp4")) == (1001, 60000, 1)


def test_a_variable_rate_is_not_called_fixed(tmp_path: Path) -> None:
    steps = [0, 512, 1024, 3072, 3584, 6000, 9000, 9512, 10024, 15000, 15100, 20000]
    source = Clip(pts=steps).write(tmp_path / "in.mp4")
    copy_through(source, tmp_path / "out.mp4")
    units, scale, fixed = clock(tmp_path / "out.mp4")
    assert fixed == 0
    assert Fraction(scale, units) < 200


def test_a_camera_has_no_fixed_rate(tmp_path: Path) -> None:
    """Its frames come at any time, and `max_fps` drops some."""
    times = [0, 3600, 7200, 18000, 21600, 45000]
    frames = [frame_from_av(av.VideoFrame(64, 48, "yuv420p"), pts=pts, time_base=TICK) for pts in times]
    encoder = VideoEncoder(StreamSetup.live(frames[0], Encoding.for_viewers("libx264", "live")))
    packets = [packet for frame in frames for packet in encoder.encode(frame)]
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets] == times  # each at once
    (tmp_path / "out.h264").write_bytes(b"".join(map(bytes, packets)))
    assert clock(tmp_path / "out.h264") == (1, 50, 0)
    # With a keyframe, as the bytes of another picture may be taken for MP3.
    (tmp_path / "header.h264").write_bytes(encoder.header + bytes(packets[0]))
    assert clock(tmp_path / "header.h264") == (1, 50, 0)
    with av.open(str(tmp_path / "out.h264")) as container:
        assert len(list(container.decode(video=0))) == 6


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_hevc_and_h264_say_the_rate_and_every_packet_its_duration(tmp_path: Path, codec: str) -> None:
    source = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=30000/1001:d=1", *H264, tmp_path / "in.mp4")
    copy_through(source, tmp_path / "out.mkv", encode=EncodeOptions(codec))
    (stream,) = ffprobe(tmp_path / "out.mkv", "-show_streams")["streams"]
    assert stream["r_frame_rate"] == "30000/1001"
    packets = ffprobe(tmp_path / "out.mkv", "-show_packets")["packets"]
    assert {packet["duration"] for packet in packets} <= {33, 34}


@pytest.mark.parametrize(
    ("order", "making"),
    [
        ("bottom", ("-c:v", "dvvideo", "-s", "720x480", "-pix_fmt", "yuv411p")),
        ("bottom", ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "0", "-field_order", "bt")),
        ("top", ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1", "-field_order", "tb")),
        ("bottom", ("-c:v", "libx264", "-x264opts", "bff=1", "-flags", "+ildct+ilme")),
        ("top", ("-c:v", "libx264", "-x264opts", "tff=1", "-flags", "+ildct+ilme")),
    ],
)
@pytest.mark.parametrize("ending", ["mkv", "mov"])
def test_the_field_that_is_shown_first_stays_the_first(
    tmp_path: Path, order: str, making: tuple[str, ...], ending: str
) -> None:
    fields = f"tinterlace=interleave_{order},setfield={'bff' if order == 'bottom' else 'tff'}"
    video = ("-f", "lavfi", "-i", "testsrc2=s=128x96:r=60000/1001:d=0.4")
    source = ffmpeg(*video, "-vf", fields, *making, tmp_path / "in.avi")
    copy_through(source, tmp_path / f"out.{ending}", encode=EncodeOptions("libx264"))
    read = ffprobe(tmp_path / f"out.{ending}", "-show_frames", "-show_streams")
    assert {frame["top_field_first"] for frame in read["frames"]} == {int(order == "top")}
    assert read["streams"][0]["field_order"] in ({"tt", "tb"} if order == "top" else {"bb", "bt"})


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_user_data_of_pictures_survives_without_the_settings_of_the_old_encoder(
    tmp_path: Path, codec: str, ending: str
) -> None:
    source = ffmpeg(*PICTURES, *H264, "-g", "5", tmp_path / "bare.mp4")
    source = ffmpeg("-i", source, "-c", "copy", *STAMPED, tmp_path / "in.mp4")
    copy_through(source, tmp_path / f"out.{ending}", encode=EncodeOptions(codec))
    with av.open(str(source)) as before, av.open(str(tmp_path / f"out.{ending}")) as after:
        stamps = [user_data(picture) for picture in before.decode(video=0)]
        assert [user_data(picture) for picture in after.decode(video=0)] == stamps
    assert [STAMP] in stamps
    content = (tmp_path / f"out.{ending}").read_bytes()
    assert content.count(bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")) <= 1


def test_user_data_of_pictures_survives_in_segments(tmp_path: Path) -> None:
    source = ffmpeg(*PICTURES, *H264, "-g", "5", tmp_path / "bare.mp4")
    source = ffmpeg("-i", source, "-c", "copy", *STAMPED, tmp_path / "in.mp4")
    with av.open(str(cut_through(source, tmp_path / "out.mp4"))) as after:
        assert sum(bool(user_data(picture)) for picture in after.decode(video=0)) >= 1


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_user_data_with_zeros_looks_like_no_start_code(codec: str) -> None:
    slice_unit = b"\0\0\0\1" + (b"\x65" if codec == "h264" else b"\x26\x01") + b"picture"
    whole = with_user_data(slice_unit, codec, [bytes(16) + b"\0\0\1\0\0\0" + bytes(range(256))])
    assert whole.endswith(slice_unit)
    assert whole.count(b"\0\0\1") == 2
    assert with_user_data(b"\0\0\0\5abcde", codec, [bytes(16)]) == b"\0\0\0\5abcde"


def test_a_kind_of_data_without_a_name_hides_no_other(tmp_path: Path) -> None:
    """FFmpeg attaches EXIF to the pictures of Motion JPEG; PyAV has no name for it, and then shows no data at all."""
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6  # turned by a quarter
    Image.new("RGB", (64, 48)).save(tmp_path / "turned.jpg", exif=exif)
    source = ffmpeg("-i", tmp_path / "turned.jpg", "-c", "copy", tmp_path / "in.mkv")
    with av.open(str(source)) as container:
        picture = next(container.decode(video=0))
    assert display_matrix(picture) is not None
    assert "DISPLAYMATRIX" in kinds_of(picture)
    assert copy_through(source, tmp_path / "out.mkv").losses == ["EXIF"]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert display_matrix(next(container.decode(video=0))) == display_matrix(picture)


PHONE = {
    "com.apple.quicktime.location.ISO6709": "+48.1000+011.5000/",
    "com.apple.quicktime.creationdate": "2019-04-24T22:24:00+0200",
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 6",
    "com.apple.quicktime.software": "10.3.1",
}
ANDROID = {"com.android.version": "13", "com.android.capture.fps": "30.0", "location": "+48.1000+011.5000/"}
DRONE = {"comment": "DJI", "location": "+48.1000+011.5000/", "model": "FC3170"}


@pytest.mark.parametrize("keys", [PHONE, ANDROID, DRONE], ids=["Apple", "Android", "drone"])
@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv"])
def test_place_date_and_camera_survive(tmp_path: Path, keys: dict[str, str], ending: str) -> None:
    given = [text for key, value in keys.items() for text in ("-metadata", f"{key}={value}")]
    making = ("-movflags", "use_metadata_tags", "-metadata", "creation_time=2019-04-24T20:24:00Z")
    source = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "aac", *given, *making, tmp_path / "in.mov")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    tags = {k.lower(): v for k, v in ffprobe(tmp_path / f"out.{ending}", "-show_format")["format"]["tags"].items()}
    for key, value in keys.items():
        assert tags[key.lower()] == value
    assert tags["creation_time"].startswith("2019-04-24T20:24:00")


@pytest.mark.skipif(not hasattr(VideoCodecContext, "field_order"), reason="PyAV 17 does not say the field order")
def test_what_a_container_says_of_fields_against_its_pictures_is_named(tmp_path: Path) -> None:
    """FFmpeg's MXF writer has no place for the field order of DV, so its reader says that the top field comes first."""
    video = ("-f", "lavfi", "-i", "testsrc2=s=720x480:r=60000/1001:d=0.2", "-vf", "tinterlace=interleave_bottom")
    source = ffmpeg(*video, "-target", "ntsc-dv", tmp_path / "in.dv")
    losses = copy_through(source, tmp_path / "out.mxf").losses
    assert "field order as the container states it (bottom field first; now top field first)" in losses


def test_the_fields_of_prores_are_named_where_it_becomes_dnxhr(tmp_path: Path) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=50:d=0.08", "-vf", "tinterlace=interleave_top,setfield=tff")
    source = ffmpeg(*video, "-c:v", "prores_ks", "-flags", "+ildct", tmp_path / "in.mov")
    losses = copy_through(source, tmp_path / "out.mov", encode=EncodeOptions("dnxhd")).losses
    assert losses == ["field order (top field first; now progressive)"]


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_the_title_of_a_stream_survives(tmp_path: Path, ending: str) -> None:
    titles = ("-metadata:s:v", "title=Bridge", "-metadata:s:a", "title=Harbour")
    source = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "aac", *titles, tmp_path / "in.mp4")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []


def test_keys_that_a_container_drops_are_named_one_by_one(tmp_path: Path) -> None:
    keys = ("title=Fog", "com.apple.quicktime.make=Apple", "com.apple.quicktime.model=iPhone")
    given = [word for key in keys for word in ("-metadata", key)]
    source = ffmpeg(*PICTURES, *H264, *given, "-movflags", "use_metadata_tags", tmp_path / "in.mov")
    lost = ["tags com.apple.quicktime.make, com.apple.quicktime.model"]
    assert copy_through(source, tmp_path / "out.ts").losses == lost  # where the title is the channel's name
    assert copy_through(source, tmp_path / "out.avi").losses == lost


@pytest.mark.parametrize(
    ("making", "codec"),
    [
        (("-c:v", "libx264", "-x264-params", "chromaloc=2"), "libx264"),
        (("-c:v", "libx265", "-x265-params", "log-level=none:chromaloc=2"), "libx265"),
        (("-c:v", "libx265", "-x265-params", "log-level=none:chromaloc=2"), "libsvtav1"),
        (("-c:v", "libx264", "-x264-params", "chromaloc=1"), "libx265"),
    ],
)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_the_location_of_chroma_survives(tmp_path: Path, making: tuple[str, ...], codec: str, ending: str) -> None:
    """UHD films have it at the top left of the luma samples, other films at the left, and JPEG in the centre."""
    source = ffmpeg(*PICTURES, "-frames:v", "3", *making, "-pix_fmt", "yuv420p", tmp_path / f"in.{ending}")
    assert copy_through(source, tmp_path / f"out.{ending}", encode=EncodeOptions(codec)).losses == []
    before, after = (ffprobe(tmp_path / f"{name}.{ending}", "-show_streams")["streams"][0] for name in ("in", "out"))
    assert after["chroma_location"] == before["chroma_location"] != "left"


@pytest.mark.parametrize(("codec", "location"), [("mjpeg", "center"), ("mpeg1video", "center"), ("dvvideo", "topleft")])
def test_the_location_that_a_codec_prescribes_is_said_in_another(tmp_path: Path, codec: str, location: str) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    film = ("-f", "lavfi", "-i", "testsrc2=s=720x576:r=25:d=0.12", "-c:v", codec, "-pix_fmt", pixels)
    source = ffmpeg(*film, tmp_path / "in.mkv")
    assert copy_through(source, tmp_path / "out.mkv", encode=EncodeOptions("libx264")).losses == []
    (after,) = ffprobe(tmp_path / "out.mkv", "-show_streams")["streams"]
    assert after["chroma_location"] == location


def test_a_changed_location_of_chroma_is_named(tmp_path: Path) -> None:
    center = ("-c:v", "libx264", "-x264-params", "chromaloc=1")  # which AV1 cannot express
    source = ffmpeg(*PICTURES, "-frames:v", "3", *center, tmp_path / "in.mp4")
    lost = copy_through(source, tmp_path / "out.mp4", encode=EncodeOptions("libsvtav1")).losses
    assert lost == ["chroma location (center; now unspecified)"]


def grainy(folder: Path, codec: str) -> Path:
    """A grey film that asks for strong grain in each picture (ITU-T H.264, D.1.21; H.265, D.2.20)."""
    plain = ffmpeg("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=0.4", "-c:v", codec, folder / "plain.ts")
    fields = [(0, 1), (0, 2), (0, 1), (0, 2), (2, 4), (1, 1), (0, 1), (0, 1), (0, 8), (2, 3), (0, 8), (255, 8)]
    numbers = (120, 8, 8)  # strength, and two cut-off frequencies, as signed Exp-Golomb codes
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "".join("0" * ((2 * each).bit_length() - 1) + f"{2 * each:b}" for each in numbers)
    bits += "1"  # H.264: only this picture; HEVC: until further notice
    payload = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    units: Literal["h264", "hevc"] = "h264" if codec == "libx264" else "hevc"
    with av.open(str(plain)) as read, av.open(str(folder / "in.ts"), "w") as written:
        copy = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                marked = av.Packet(with_user_data(bytes(packet), units, [], PictureNotes(film_grain=(payload,))))
                marked.pts, marked.dts, marked.time_base = packet.pts, packet.dts, packet.time_base
                marked.is_keyframe, marked.stream = packet.is_keyframe, copy
                written.mux(marked)
    return folder / "in.ts"


def noise(path: Path, *, drawn: bool) -> float:
    """How much the luma of the pictures varies, with or without their film grain applied."""
    with av.open(str(path)) as container:
        if not drawn:
            container.streams.video[0].codec_context.options = {"export_side_data": "film_grain"}
        return max(float(np.asarray(picture.to_ndarray())[:48].std()) for picture in container.decode(video=0))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_film_grain_stays_a_parameter_and_is_not_applied_twice(tmp_path: Path, codec: str) -> None:
    source = grainy(tmp_path, codec)
    assert noise(source, drawn=True) > 4 > 1 > noise(source, drawn=False)
    assert copy_through(source, tmp_path / "out.mkv").losses == []
    assert noise(tmp_path / "out.mkv", drawn=False) < 1
    assert noise(tmp_path / "out.mkv", drawn=True) == pytest.approx(noise(source, drawn=True), rel=0.3)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_film_grain_is_named_where_the_output_cannot_ask_for_it(tmp_path: Path, codec: str) -> None:
    lost = copy_through(grainy(tmp_path, codec), tmp_path / "out.mkv", encode=EncodeOptions("ffv1")).losses
    assert lost == ["film grain parameters (the grain itself is in the pictures now)"]
    assert noise(tmp_path / "out.mkv", drawn=False) > 4


def test_film_grain_of_av1_is_named(tmp_path: Path) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=0.4", "-vf", "noise=alls=20:allf=t")
    grainy = ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "film-grain=30")
    plain = ffmpeg(*video, *grainy[:4], tmp_path / "plain.mkv")
    source = ffmpeg(*video, *grainy, tmp_path / "in.mkv")
    ffv1 = EncodeOptions("ffv1")
    assert copy_through(plain, tmp_path / "a.mkv", encode=ffv1).losses == []
    lost = ["film grain parameters (the grain itself is in the pictures now)"]
    assert copy_through(source, tmp_path / "b.mkv", encode=ffv1).losses == lost
    assert copy_through(source, tmp_path / "c.mkv").losses == lost
    estimated = EncodeOptions(preset="12", options={"svtav1-params": "film-grain=30"})
    assert copy_through(source, tmp_path / "d.mkv", encode=estimated).losses == []

"""Files as cameras of eight makers write them, rebuilt with public tools: everything in them is kept or named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from clips import Clip, copy_through, other_packets
from public_tools import H264, PICTURES, SOUND, ffmpeg, ffprobe, streams
from streamdehaze.video.readback.boxes import camera_boxes
from streamdehaze.video.syntax.mp4 import index_of

NTSC = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=30000/1001:d=1")
AAC = ("-c:a", "aac")


def box(kind: bytes, payload: bytes) -> bytes:
    return (len(payload) + 8).to_bytes(4, "big") + kind + payload


def with_track(path: Path, kind: bytes, name: str) -> Path:
    """A film whose time code track is turned into one of another kind, such as cameras use for telemetry."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tmcd")
    while at >= 0:
        in_handler, in_entry = data[at - 12 : at - 8] == b"hdlr", data[at - 16 : at - 12] == b"stsd"
        data[at : at + 4] = b"meta" if in_handler else kind if in_entry else b"free"
        at = data.find(b"tmcd", at + 4)
    data = data.replace(b"TimeCodeHandler", name.encode().ljust(15))
    path.write_bytes(data)
    return path


def with_boxes(path: Path, inside: bytes = b"", after: bytes = b"") -> Path:
    """A film with boxes in its index, which is at the end, and after it."""
    found = index_of(path)
    assert found is not None
    start, index = found
    assert start + len(index) == path.stat().st_size
    whole = (len(index) + len(inside)).to_bytes(4, "big") + index[4:] + inside
    path.write_bytes(path.read_bytes()[:start] + whole + after)
    return path


def film(path: Path, *more: str) -> Path:
    """Video, sound and a time code track."""
    return ffmpeg(*NTSC, *SOUND, "-map", "0:v", "-map", "1:a", *H264, *AAC, "-timecode", "01:02:03;04", *more, path)


def tags_of(track: Path) -> list[str]:
    return [each["codec_tag_string"] for each in streams(track)]


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_gopro_telemetry_is_kept_and_its_repair_track_is_named(tmp_path: Path, ending: str) -> None:
    source = with_track(film(tmp_path / f"GX01.{ending}"), b"gpmd", "GoPro MET")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    assert tags_of(tmp_path / f"out.{ending}") == tags_of(source) == ["avc1", "mp4a", "gpmd"]
    hashed = ("-show_data_hash", "md5", "-select_streams", "d", "-show_packets")
    before, after = (ffprobe(path, *hashed)["packets"] for path in (source, tmp_path / f"out.{ending}"))
    assert [each["data_hash"] for each in before] == [each["data_hash"] for each in after]
    repair = with_track(film(tmp_path / f"GX02.{ending}"), b"fdsc", "GoPro SOS")
    assert copy_through(repair, tmp_path / f"out2.{ending}").losses == ["data stream 2 (GoPro SOS, unknown codec, eng)"]


def test_gopro_settings_in_boxes_are_named(tmp_path: Path) -> None:
    settings = box(b"udta", box(b"FIRM", b"H21.01") + box(b"LENS", b"LAJ9") + box(b"GPMF", bytes(12)))
    source = with_boxes(film(tmp_path / "GX03.mp4"), settings)
    assert copy_through(source, tmp_path / "out.mp4").losses == [
        "boxes FIRM, GPMF, LENS (for programs of the camera's maker)"
    ]


@pytest.mark.parametrize(("kind", "name"), [(b"djmd", "DJI meta"), (b"dbgi", "DJI dbgi")])
def test_dji_flight_data_is_named_and_its_subtitles_are_kept(tmp_path: Path, kind: bytes, name: str) -> None:
    (tmp_path / "f.srt").write_text("1\n00:00:00,000 --> 00:00:00,900\n[latitude: 48.1] [longitude: 11.5]\n\n")
    source = ffmpeg(
        *NTSC, "-i", tmp_path / "f.srt", "-map", "0:v", "-map", "1:s", *H264, "-c:s", "mov_text", "-timecode",
        "00:00:00:00", "-metadata", "creation_time=2026-05-01T10:00:00Z", tmp_path / "DJI_0001.MP4",
    )  # fmt: skip
    source = with_track(source, kind, name)
    assert copy_through(source, tmp_path / "out.mp4").losses == [f"data stream 2 ({name}, unknown codec, eng)"]
    assert [each["codec_name"] for each in streams(tmp_path / "out.mp4")] == ["h264", "mov_text"]
    assert ffprobe(tmp_path / "out.mp4", "-show_format")["format"]["tags"]["creation_time"].startswith("2026-05-01T10")


@pytest.mark.parametrize("name", ["mebx", "rtmd"])
def test_tracks_of_iphones_and_sony_cameras_are_named(tmp_path: Path, name: str) -> None:
    source = with_track(film(tmp_path / "IMG_0001.MOV"), name.encode(), "Core Media Meta")
    assert copy_through(source, tmp_path / "out.mov").losses == ["data stream 2 (Core Media Meta, unknown codec, eng)"]


def test_an_iphone_keeps_place_date_rotation_and_hdr(tmp_path: Path) -> None:
    keys = {"location.ISO6709": "+48.1000+011.5000+510.000/", "make": "Apple", "model": "iPhone 15 Pro",
            "creationdate": "2026-05-01T12:00:00+0200"}  # fmt: skip
    tags = [word for key, value in keys.items() for word in ("-metadata", f"com.apple.quicktime.{key}={value}")]
    hlg = ("-color_primaries", "bt2020", "-color_trc", "arib-std-b67", "-colorspace", "bt2020nc")
    upright = ffmpeg(
        *NTSC, *SOUND, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-pix_fmt",
        "yuv420p10le", "-tag:v", "hvc1", *hlg, *AAC, *tags, "-movflags", "use_metadata_tags", tmp_path / "upright.mov",
    )  # fmt: skip
    source = ffmpeg("-i", upright, "-c", "copy", "-metadata:s:v", "rotate=90", "-movflags", "use_metadata_tags",
                    tmp_path / "IMG_0002.MOV")  # fmt: skip
    assert copy_through(source, tmp_path / "out.mov").losses == []
    after = ffprobe(tmp_path / "out.mov", "-show_format")["format"]["tags"]
    assert {key: after[f"com.apple.quicktime.{key}"] for key in keys} == keys
    before, video = streams(source)[0], streams(tmp_path / "out.mov")[0]
    same = ("codec_tag_string", "pix_fmt", "color_transfer", "color_primaries", "side_data_list")
    assert [video.get(key) for key in same] == [before.get(key) for key in same]


def test_an_android_phone_keeps_uneven_times_place_and_rotation(tmp_path: Path) -> None:
    uneven = ("-vf", "select='not(mod(n\\,7))+lt(mod(n\\,11)\\,4)'", "-fps_mode", "vfr")
    upright = ffmpeg(
        *NTSC, *SOUND, *uneven, *H264, *AAC, "-metadata", "location=+48.1000+011.5000/", "-metadata",
        "com.android.version=15", "-movflags", "use_metadata_tags", tmp_path / "upright.mp4",
    )  # fmt: skip
    source = ffmpeg("-i", upright, "-c", "copy", "-metadata:s:v", "rotate=270", "-movflags", "use_metadata_tags",
                    tmp_path / "PXL.mp4")  # fmt: skip
    assert copy_through(source, tmp_path / "out.mp4").losses == []
    times = [[packet["pts"] for packet in ffprobe(path, "-select_streams", "v", "-show_packets")["packets"]]
             for path in (source, tmp_path / "out.mp4")]  # fmt: skip
    assert sorted(times[0]) == sorted(times[1])
    tags = ffprobe(tmp_path / "out.mp4", "-show_format")["format"]["tags"]
    assert (tags["com.android.version"], tags["location"]) == ("15", "+48.1000+011.5000/")


def test_sony_avchd_keeps_fields_dates_and_dolby_digital(tmp_path: Path) -> None:
    """The date is in user data of the pictures (MDPM)."""
    modified = "h264_metadata=sei_user_data='17ee8c60-f84d-11d9-8cd6-0800200c9a66+MDPM'"
    interlaced = ("-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ildct+ilme", "-x264opts", "tff=1")
    fields = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=50:d=1")
    made = ffmpeg(*fields, *SOUND, *interlaced, *H264, "-c:a", "ac3", tmp_path / "made.mkv")
    source = ffmpeg("-i", made, "-c", "copy", "-bsf:v", modified, tmp_path / "00000.m2ts")
    assert copy_through(source, tmp_path / "out.m2ts").losses == []
    assert b"MDPM" in (tmp_path / "out.m2ts").read_bytes()
    video, sound = streams(tmp_path / "out.m2ts")
    assert (video["field_order"], sound["codec_name"]) == ("tt", "ac3")


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_flir_cameras_keep_their_time_code_and_g711(tmp_path: Path, codec: str) -> None:
    gray = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=9:d=1,format=yuvj420p")
    source = ffmpeg(*gray, *SOUND, "-c:v", codec, "-c:a", "pcm_mulaw", "-ar", "8000", tmp_path / "FLIR.mov")
    assert copy_through(source, tmp_path / "out.mov").losses == []
    assert [each["codec_name"] for each in streams(tmp_path / "out.mov")] == [codec.removeprefix("lib").replace(
        "x264", "h264"), "pcm_mulaw"]  # fmt: skip


@pytest.mark.parametrize("in_step", [True, False], ids=["synchronous", "asynchronous"])
def test_a_drone_keeps_klv_in_its_transport_stream(tmp_path: Path, in_step: bool) -> None:
    """Position and attitude next to the pictures of military cameras, with times or without (MISB ST 1402)."""
    source = Clip(time_base=Fraction(1, 90000), pts=range(0, 90000, 3600), data="klv", audio="aac")
    path = source.write(tmp_path / "in.ts")
    content = bytearray(path.read_bytes())
    for at in range(0, 0 if in_step else len(content), 188):  # headers of private data lose their times
        head = content.find(b"\0\0\1\xbd", at, at + 188)
        if head >= 0:
            content[head + 7] &= 0x3F
            content[head + 9 : head + 9 + content[head + 8]] = b"\xff" * content[head + 8]
    path.write_bytes(content)
    assert copy_through(path, tmp_path / "out.ts").losses == []
    was, now = (
        {name: [each[2] for each in packets] for name, packets in other_packets(each).items()}
        for each in (path, tmp_path / "out.ts")
    )
    assert was == now
    assert sum("data" in name for name in now) == 1


@pytest.mark.parametrize(
    ("inside", "after", "lost"),
    [
        (box(b"gps ", bytes(24)), b"", ["box gps (for programs of the camera's maker)"]),
        (b"", box(b"uuid", b"PROF" + bytes(30)), ["box uuid (for programs of the camera's maker)"]),
        (b"", b"8db42d694ccc418790edff439fe026bf" * 40, ["1280 bytes after the film"]),
        (box(b"udta", box(b"\xa9xyz", b"\0\x12\x15\xc7+48.1000+011.5000/")), bytes(16), []),
    ],
    ids=["dash cam", "Sony XAVC", "Insta360", "plain"],
)
def test_what_only_the_camera_can_read_is_named(tmp_path: Path, inside: bytes, after: bytes, lost: list[str]) -> None:
    source = with_boxes(ffmpeg(*PICTURES, *SOUND, *H264, *AAC, tmp_path / "in.mp4"), inside, after)
    assert camera_boxes(source) == lost
    assert [each for each in copy_through(source, tmp_path / "out.mp4").losses if "tag" not in each] == lost

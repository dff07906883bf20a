"""No stream is lost, nor does one of them end the whole job: sound, data and second pictures of real recorders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clips import Clip, copy_through, other_packets, video_times
from public_tools import H264, PICTURES, SOUND, ffmpeg, ffprobe, streams
from streamdehaze.errors import SourceError
from streamdehaze.video import FileSink, FileSource


def counted(path: Path) -> list[tuple[str, str]]:
    return [(each.get("codec_name", "?"), each["nb_read_packets"]) for each in streams(path)]


@pytest.mark.parametrize(
    ("sound", "ending"),
    [
        (("-c:a", "adpcm_ima_wav"), "avi"),
        (("-c:a", "adpcm_ms"), "avi"),
        (("-c:a", "pcm_u8", "-ar", "8000"), "avi"),
        (("-c:a", "libmp3lame"), "avi"),
        (("-c:a", "pcm_alaw", "-ar", "8000"), "mkv"),
        (("-c:a", "pcm_mulaw", "-ar", "8000"), "mkv"),
        (("-c:a", "adpcm_ima_wav"), "mkv"),
        (("-c:a", "wmav2"), "mkv"),
        (("-c:a", "g726", "-ac", "1", "-ar", "8000"), "mkv"),
        (("-c:a", "adpcm_ima_qt"), "mov"),
        (("-c:a", "pcm_mulaw"), "mov"),
    ],
)  # fmt: skip
def test_sound_of_cameras_is_copied_into_the_same_container(
    tmp_path: Path, sound: tuple[str, ...], ending: str
) -> None:
    source = ffmpeg(*PICTURES, *SOUND, "-c:v", "mjpeg", *sound, tmp_path / f"in.{ending}")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    before, after = counted(source), counted(tmp_path / f"out.{ending}")
    assert after[0] == before[0]
    assert after[1][0] == before[1][0]
    assert abs(int(after[1][1]) - int(before[1][1])) <= 1


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav"])
def test_sound_that_the_container_refuses_with_its_first_block_is_left_out(tmp_path: Path, codec: str) -> None:
    """FFmpeg encodes both into MOV, but only copies one of them."""
    source = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", codec, tmp_path / "in.mov")
    losses = copy_through(source, tmp_path / "out.mov").losses
    kept = counted(tmp_path / "out.mov")
    assert kept[0] == ("h264", "25")
    assert [loss.partition(";")[0] for loss in losses] == [f"audio stream 1 ({codec})"] * (len(kept) == 1)


@pytest.mark.parametrize("ending", ["mov", "mp4"])
def test_sound_that_the_container_refuses_is_left_out_from_a_pipe_too(tmp_path: Path, ending: str) -> None:
    source = ffmpeg(*PICTURES, *SOUND, "-c:v", "mjpeg", "-c:a", "adpcm_ms", tmp_path / "in.avi")
    with open(source, "rb") as pipe, FileSource(pipe) as reader, FileSink(tmp_path / f"out.{ending}", reader) as sink:
        for frame in reader:
            sink.write(frame)
    assert counted(tmp_path / f"out.{ending}") == [("mjpeg", "25")]
    assert [loss.partition(";")[0] for loss in sink.losses] == ["audio stream 1 (adpcm_ms)"]


@pytest.mark.parametrize("codec", ["adpcm_ima_wav", "adpcm_ms"])
def test_sound_in_blocks_keeps_its_speed_in_avi(tmp_path: Path, codec: str, caplog: pytest.LogCaptureFixture) -> None:
    """FFmpeg times it by the bit rate in the header, which is often nominal: `-c copy` makes 1.5 s of each."""
    source = ffmpeg(*PICTURES, *SOUND, "-c:v", "mjpeg", "-c:a", codec, tmp_path / "in.avi")
    copy_through(source, tmp_path / "out.avi")
    ends = []
    for path in (source, tmp_path / "out.avi"):
        (packets,) = (found for name, found in other_packets(path).items() if "audio" in name)
        ends.append(float(packets[-1][0]))
    assert ends[1] == pytest.approx(ends[0], rel=0.01)
    assert caplog.messages == []


@pytest.mark.parametrize("ending", ["ts", "mkv", "mp4", "mov", "flv"])
def test_sound_that_begins_late_in_a_transport_stream_is_copied(tmp_path: Path, ending: str) -> None:
    late = ("-itsoffset", "9", "-f", "lavfi", "-i", "sine=d=1:r=48000")
    video = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=10")
    source = ffmpeg(*video, *late, *H264, "-c:a", "aac", "-f", "mpegts", tmp_path / "late.ts")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    assert counted(tmp_path / f"out.{ending}")[1] == counted(source)[1] != ("aac", "0")


@pytest.mark.parametrize("ending", ["mkv", "ts", "avi", "flv", "nut"])
def test_what_an_edit_list_cuts_away_stays_away_without_edit_lists(tmp_path: Path, ending: str) -> None:
    whole = ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=4", "-f", "lavfi", "-i", "sine=d=4:r=48000", *H264, "-g", "100",
        "-c:a", "aac", tmp_path / "whole.mp4",
    )  # fmt: skip
    trimmed = ffmpeg("-ss", "2", "-i", whole, "-c", "copy", tmp_path / "trimmed.mp4")
    packets = ffprobe(trimmed, "-select_streams", "a", "-show_packets")["packets"]
    shown = [packet for packet in packets if "D" not in packet["flags"]]
    assert 0 < len(shown) < len(packets)
    copy_through(trimmed, tmp_path / f"out.{ending}")
    (_, (_, sound)) = counted(tmp_path / f"out.{ending}")
    assert abs(int(sound) - len(shown)) <= 1


@pytest.mark.parametrize("ending", ["mkv", "ts"])
def test_second_pictures_that_an_edit_list_cuts_away_stay_away_too(tmp_path: Path, ending: str) -> None:
    rear = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=2")
    both = ("-map", "0:v", "-map", "1:v", *H264, "-bf", "0", "-g", "30")
    whole = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=2", *rear, *both, tmp_path / "whole.mp4")
    trimmed = ffmpeg("-ss", "1", "-i", whole, "-map", "0", "-c", "copy", tmp_path / "trimmed.mp4")
    sink = copy_through(trimmed, tmp_path / f"out.{ending}")
    assert counted(tmp_path / f"out.{ending}") == [("h264", "25"), ("h264", "25")]
    assert sink.losses == ["the first 5 pictures of video stream 1 (h264), which need some that are cut away"]


def two_cameras(folder: Path) -> Path:
    """Front and rear of a dash cam, both marked as default."""
    other = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1")
    both = ("-map", "0:v", "-map", "1:v", "-disposition:v:0", "default", "-disposition:v:1", "default")
    return ffmpeg(*PICTURES, *other, *both, *H264, folder / "two.mp4")


def test_a_second_film_in_a_file_is_named_and_can_be_chosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = two_cameras(tmp_path)
    copy_through(source, tmp_path / "out.mp4")
    assert "video stream 1 is copied as it is; --video-stream 1 works on it instead, all on every one" in caplog.text
    with FileSource(source) as first, FileSource(source, video_stream=1) as second:
        assert (first.video.index, second.video.index) == (0, 1)
        assert not np.array_equal(next(iter(first)).planes[0], next(iter(second)).planes[0])
    copy_through(source, tmp_path / "rear.mp4", window={"video_stream": 1})
    assert counted(tmp_path / "rear.mp4") == counted(source)
    with pytest.raises(SourceError, match="has no video stream 7; --video-stream can be 0, 1"):
        FileSource(source, video_stream=7)


@pytest.mark.parametrize("ending", ["wmv", "asf", "mxf", "avi", "nut"])
def test_pictures_of_containers_without_their_times_come_in_order(tmp_path: Path, ending: str) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=2")
    source = ffmpeg(*video, "-c:v", "libx264", "-bf", "3", tmp_path / f"in.{ending}")
    copy_through(source, tmp_path / "out.mkv")
    times = video_times(tmp_path / "out.mkv")
    assert [round(float(time - times[0]) * 25) for time in times] == list(range(50))


@pytest.mark.parametrize("codec", ["dnxhd", "mpeg2video", "h264"])
def test_sound_next_to_every_codec_survives_in_mxf(tmp_path: Path, codec: str) -> None:
    coding = {"dnxhd": ("dnxhd", "-profile:v", "dnxhr_hq", "-pix_fmt", "yuv422p"), "h264": ("libx264",)}
    video = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=0.4")
    source = ffmpeg(
        *video, *SOUND, "-c:v", *coding.get(codec, (codec,)), "-c:a", "pcm_s16le", "-shortest", tmp_path / "in.mxf"
    )
    assert copy_through(source, tmp_path / "out.mxf").losses == []
    assert [name for name, _ in counted(tmp_path / "out.mxf")] == [codec, "pcm_s16le"]


@pytest.mark.parametrize("scheme", ["cenc-aes-ctr", "cbcs", "cbc1", "cens"])
def test_encrypted_films_are_refused_as_encrypted(tmp_path: Path, scheme: str) -> None:
    key = ("-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")
    plain = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "aac", tmp_path / "in.mp4")
    locked = ffmpeg("-i", plain, "-c", "copy", "-encryption_scheme", "cenc-aes-ctr", *key, tmp_path / "locked.mp4")
    if scheme != "cenc-aes-ctr":
        locked.write_bytes(locked.read_bytes().replace(b"cenc", scheme.encode()))
    with pytest.raises(SourceError, match="is encrypted; decrypt it first"):
        copy_through(locked, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("codec", "ending", "options"),
    [
        (("libx264",), "mp4", ("-movflags", "frag_keyframe+empty_moov")),
        (("libx265", "-x265-params", "log-level=none"), "mp4", ()),
        (("libx264",), "mov", ()),
    ],
    ids=["fragments", "hevc", "mov"],
)
def test_other_encrypted_films_are_refused_as_well(
    tmp_path: Path, codec: tuple[str, ...], ending: str, options: tuple[str, ...]
) -> None:
    key = ("-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")
    plain = ffmpeg(*PICTURES, *SOUND, "-c:v", *codec, "-c:a", "aac", tmp_path / "in.mp4")
    locking = ("-encryption_scheme", "cenc-aes-ctr", *key, *options)
    locked = ffmpeg("-i", plain, "-c", "copy", *locking, tmp_path / f"locked.{ending}")
    with pytest.raises(SourceError, match="is encrypted; decrypt it first"):
        copy_through(locked, tmp_path / "out.mp4")


@pytest.mark.parametrize("stamp_bytes", [0, 4])
def test_a_scrambled_transport_stream_is_refused_as_encrypted(tmp_path: Path, stamp_bytes: int) -> None:
    source = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "aac", tmp_path / "in.ts")
    content, random = bytearray(source.read_bytes()), np.random.default_rng(1)
    for at in range(0, len(content), 188):
        if (content[at + 1] & 31) << 8 | content[at + 2] in (256, 257):  # pictures and sound, not the tables
            content[at + 3] |= 0x80
            start = at + 4 + (content[at + 4] + 1 if content[at + 3] & 0x20 else 0)
            content[start : at + 188] = random.bytes(at + 188 - start)
    packets = (bytes(content[at : at + 188]) for at in range(0, len(content), 188))
    source.write_bytes(b"".join(bytes(stamp_bytes) + packet for packet in packets))  # with stamps, as in .m2ts files
    with pytest.raises(SourceError, match="is encrypted; decrypt it first"):
        copy_through(source, tmp_path / "out.mkv")


def test_a_film_most_of_which_is_damaged_is_an_error(tmp_path: Path) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=4")
    source = ffmpeg(*video, *H264, "-g", "4", tmp_path / "in.ts")
    content, random = bytearray(source.read_bytes()), np.random.default_rng(1)
    for at in range(3000, len(content) - 188, 376):
        content[at + 60 : at + 120] = random.bytes(60)
    source.write_bytes(content)
    with pytest.raises(SourceError, match=r"frames are damaged, too many for a film; --on-damage skip"):
        copy_through(source, tmp_path / "out.mkv")
    with FileSource(source, on_damage="skip") as rest:
        assert len(list(rest)) > 0


def test_data_tracks_of_cameras_are_copied_or_named(tmp_path: Path) -> None:
    """A telemetry track of an unknown kind: MP4 would lose its description, so it is left out and named."""
    made = ffmpeg(*PICTURES, *H264, "-metadata:s:v", "timecode=01:02:03:04", tmp_path / "in.mov")
    content = made.read_bytes()
    made.write_bytes(content.replace(b"tmcd", b"mebx"))
    sink = copy_through(made, tmp_path / "out.mov")
    assert sink.losses == ["data stream 1 (TimeCodeHandler, unknown codec, eng)"]


def test_subtitles_without_a_decoder_are_kept(tmp_path: Path) -> None:
    """TTML, which FFmpeg reads and writes but cannot decode."""
    source = Clip(subtitles="ttml").write(tmp_path / "in.mp4")
    assert copy_through(source, tmp_path / "out.mp4").losses == []
    assert [each["codec_tag_string"] for each in streams(tmp_path / "out.mp4")] == ["avc1", "stpp"]
    hashed = ("-select_streams", "1", "-show_data_hash", "md5", "-show_entries", "packet=pts_time,data_hash")
    packets = [ffprobe(path, *hashed)["packets"] for path in (source, tmp_path / "out.mp4")]
    assert packets[1] == packets[0] != []


@pytest.mark.parametrize("ending", ["avi", "mkv", "mov", "mp4", "nut", "ts"])
def test_a_second_video_of_an_unknown_codec_is_named(tmp_path: Path, ending: str) -> None:
    """AVI would store its packets as if they were raw pictures."""
    content = two_cameras(tmp_path).read_bytes()
    at = content.rindex(b"avc1")
    source = tmp_path / "unknown.mp4"
    source.write_bytes(content[:at] + b"zzzz" + content[at + 4 :])
    assert copy_through(source, tmp_path / f"out.{ending}").losses == ["video stream 1 (VideoHandler, unknown codec)"]
    assert [each["codec_name"] for each in streams(tmp_path / f"out.{ending}")] == ["h264"]


def test_pictures_continue_where_the_container_refuses_sound_in_the_middle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with DTS that turns into another codec, or a changed block size; here it is a packet that no muxer takes."""
    from streamdehaze.video.writing import passthrough

    source = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "aac", tmp_path / "in.mp4")
    repair = passthrough.Passthrough._repair

    def harmed(self: passthrough.Passthrough, packet: object, index: int, kind: str) -> None:
        repair(self, packet, index, kind)  # type: ignore[arg-type]
        if self.written[index] == 10:
            packet.dts = -(10**9)  # type: ignore[attr-defined]

    monkeypatch.setattr(passthrough.Passthrough, "_repair", harmed)
    copy_through(source, tmp_path / "out.mkv")
    assert counted(tmp_path / "out.mkv") == [("h264", "25"), ("aac", "10")]
    assert "audio stream 1 (aac)" in caplog.text

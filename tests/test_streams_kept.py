"""No stream is lost, nor the whole job lost because of one: sound, data and second pictures of real recorders."""

from __future__ import annotations

from pathlib import Path

import pytest

from clips import copy_through
from public_tools import H264, PICTURES, SOUND, ffmpeg, ffprobe, streams


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


@pytest.mark.parametrize("ending", ["ts", "mkv", "mp4"])
def test_sound_that_begins_late_in_a_transport_stream_is_copied(tmp_path: Path, ending: str) -> None:
    late = ("-itsoffset", "9", "-f", "lavfi", "-i", "sine=d=1:r=48000")
    video = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=10")
    source = ffmpeg(*video, *late, *H264, "-c:a", "aac", "-f", "mpegts", tmp_path / "late.ts")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    assert counted(tmp_path / f"out.{ending}")[1] == counted(source)[1] != ("aac", "0")


@pytest.mark.parametrize("ending", ["mkv", "ts", "avi"])
def test_what_an_edit_list_cut_away_stays_away_where_there_are_none(tmp_path: Path, ending: str) -> None:
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


def test_pictures_go_on_where_the_container_refuses_sound_in_the_middle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As DTS that turns into another codec, or a changed block size: here by a packet that no muxer takes."""
    from streamdehaze.video.writing import passthrough

    source = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "aac", tmp_path / "in.mp4")
    repair = passthrough.Passthrough._repair

    def harmed(self: passthrough.Passthrough, packet: object, index: int, kind: str) -> None:
        repair(self, packet, index, kind)  # type: ignore[arg-type]
        if self.copied.get(index, 0) == 10:
            packet.dts = -(10**9)  # type: ignore[attr-defined]

    monkeypatch.setattr(passthrough.Passthrough, "_repair", harmed)
    copy_through(source, tmp_path / "out.mkv")
    assert counted(tmp_path / "out.mkv") == [("h264", "25"), ("aac", "10")]
    assert "audio stream 1 (aac)" in caplog.text

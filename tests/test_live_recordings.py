"""Recordings of cameras can be played: codecs fit containers, playlists continue, old files make room."""

from __future__ import annotations

import os
import time
from pathlib import Path

import av
import pytest

from doubles import quick_dehazer
from public_tools import ffprobe
from streamdehaze.errors import ConfigError
from streamdehaze.live import LivePipeline
from streamdehaze.live.config import check_config
from streamdehaze.live.writing.retention import Retention
from streamdehaze.video.writing.target import LiveTarget
from test_live_pipeline import looping
from waiting import wait_until


def probe(path: Path) -> dict[str, str]:
    """Codec, tag and number of frames that can be decoded."""
    entries = "stream=codec_name,codec_tag_string,nb_read_frames"
    found: dict[str, str] = ffprobe(path, "-select_streams", "v", "-count_frames", "-show_entries", entries)["streams"][
        0
    ]
    return found


def record(tmp_path: Path, frames: int, **options: object) -> None:
    config = looping(tmp_path, max_fps=12, **options)
    with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
        camera = pipeline.cameras["gate"]
        wait_until(lambda: camera.status().counters.frames_out >= frames, f"{frames} frames")
        wait_until(lambda: all(sink.packets > frames / 2 for sink in camera.status().sinks), "they are written")


@pytest.mark.parametrize(
    ("codec", "to", "place"),
    [
        ("libvpx-vp9", "x.ts", "MPEG-TS"),
        ("libsvtav1", "udp://127.0.0.1:9", "MPEG-TS"),
        ("libvpx-vp9", "srt://127.0.0.1:9", "MPEG-TS"),
        ("libvpx", "rtmp://127.0.0.1/a/b", "RTMP"),
        ("libvpx", "hls/", "HLS"),
        ("libvpx", "x.mp4", "MP4"),
        ("ffv1", "rtsp://127.0.0.1/a", "RTSP"),
    ],
)
def test_a_codec_that_cannot_be_played_there_is_refused(codec: str, to: str, place: str) -> None:
    with pytest.raises(ConfigError, match=rf"cameras\.toml: camera 'gate'.*players cannot read .* in {place}"):
        check_config({"camera": [{"name": "gate", "url": "rtsp://h/s", "codec": codec, "to": [to]}]}, "cameras.toml")


def test_an_unknown_encoder_is_refused_with_similar_ones() -> None:
    with pytest.raises(ConfigError, match=r"there is no encoder 'libx256' here; near it: .*libx265"):
        check_config({"camera": [{"name": "g", "url": "a.mp4", "codec": "libx256", "to": ["a.mkv"]}]}, "cameras.toml")


@pytest.mark.parametrize(
    ("codec", "name", "tag"), [("libx265", "hevc", "hvc1"), ("libsvtav1", "av1", "av01"), ("libvpx-vp9", "vp9", "vp09")]
)
def test_codecs_that_transport_streams_cannot_carry_are_fragments_in_playlists(
    tmp_path: Path, codec: str, name: str, tag: str
) -> None:
    record(tmp_path, 50, codec=codec, to=(str(tmp_path / "hls") + "/",))
    playlist = tmp_path / "hls" / "index.m3u8"
    assert '#EXT-X-MAP:URI="init.mp4"' in playlist.read_text()
    found = probe(playlist)
    assert (found["codec_name"], found["codec_tag_string"]) == (name, tag)
    assert int(found["nb_read_frames"]) > 20


def test_h264_stays_in_transport_streams(tmp_path: Path) -> None:
    record(tmp_path, 40, to=(str(tmp_path / "hls") + "/", str(tmp_path / "x.ts")))
    assert probe(tmp_path / "hls" / "index.m3u8")["codec_name"] == "h264"
    assert "#EXT-X-MAP" not in (tmp_path / "hls" / "index.m3u8").read_text()


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_playlist_continues_after_a_restart(tmp_path: Path, codec: str) -> None:
    playlist = tmp_path / "hls" / "index.m3u8"
    numbers, names = [], []
    for _ in range(2):
        record(tmp_path, 90, codec=codec, to=(str(playlist),))
        text = playlist.read_text().replace("#EXT-X-ENDLIST", "")
        playlist.write_text(text)  # as after kill -9
        numbers.append(int(text.partition("#EXT-X-MEDIA-SEQUENCE:")[2].split()[0]))
        names.append([line for line in text.splitlines() if line and not line.startswith("#")])
    assert numbers[1] >= numbers[0]
    assert "#EXT-X-DISCONTINUITY" in text
    new = [name for name in names[1] if name not in names[0]]
    assert new
    assert not {name for name in new if name in names[0]}
    assert text.count("#EXT-X-PROGRAM-DATE-TIME") == len(names[1])


def test_a_playlist_that_is_continued_again_and_again_leaves_nothing_that_it_does_not_name(tmp_path: Path) -> None:
    target = LiveTarget.of(f"{tmp_path}/hls/", "gate")
    notes = [tmp_path / "hls" / name for name in ("index2026.ts", "indexes.ts", "other1795983711.ts", "index.txt")]
    for _ in range(5):
        output = target.open()
        for note in notes:
            note.touch()
        stream = output.container.add_stream("libx264", rate=5, options={"g": "10", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(110):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = number
            for packet in stream.encode(picture):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
        output.close()
    named = (tmp_path / "hls" / "index.m3u8").read_text().split()
    left = {path.name for path in (tmp_path / "hls").iterdir()} - {*named, "index.m3u8"}
    assert len(left - {note.name for note in notes}) <= 1  # of the last run, for players that are late
    assert all(note.exists() for note in notes)


def test_another_codec_starts_another_playlist_with_unused_numbers(tmp_path: Path) -> None:
    playlist = tmp_path / "hls" / "index.m3u8"
    record(tmp_path, 30, to=(str(playlist),))
    before = int(time.time())
    record(tmp_path, 30, codec="libx265", to=(str(playlist),))
    text = playlist.read_text()
    assert ".ts" not in text
    assert int(text.partition("#EXT-X-MEDIA-SEQUENCE:")[2].split()[0]) >= before
    assert probe(playlist)["codec_name"] == "hevc"


def write(path: Path, size: int, hours_ago: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - 3600 * hours_ago,) * 2)
    return path


def test_the_oldest_recordings_make_room_and_nothing_else_does(tmp_path: Path) -> None:
    mine = [write(tmp_path / f"gate-20261128-0{hour}0000+0100.mkv", 100, 9 - hour) for hour in range(5)]
    numbered = write(tmp_path / "gate-20261128-040000+0100-2.mkv", 100, 4.5)
    others = [
        write(tmp_path / "gate-notes.mkv", 100, 99),
        write(tmp_path / "harbour-20261128-010000+0100.mkv", 100, 99),
        write(tmp_path / "sub" / "gate-20261128-010000+0100.mkv", 100, 99),
    ]
    retention = Retention(str(tmp_path / "gate-%Y%m%d-%H%M%S%z.mkv"), None, 350)
    retention.enforce()
    assert [path.exists() for path in mine] == [False, False, False, True, True]
    assert numbered.exists()
    retention = Retention(retention.pattern, 4.7, None)
    retention.enforce(current=mine[4])
    assert [path.exists() for path in mine] == [False, False, False, False, True], "the current one is never deleted"
    assert all(path.exists() for path in others)
    assert retention.deleted_files == 1


def test_folders_named_by_date_go_with_their_files(tmp_path: Path) -> None:
    old = write(tmp_path / "2026" / "11" / "27" / "gate-235000.mkv", 10, 30)
    new = write(tmp_path / "2026" / "11" / "28" / "gate-101000.mkv", 10, 1)
    Retention(str(tmp_path / "%Y" / "%m" / "%d" / "gate-%H%M%S.mkv"), 24, None).enforce()
    assert new.exists()
    assert not old.parent.exists()


def test_a_camera_keeps_as_much_as_it_may_and_counts_the_rest(tmp_path: Path) -> None:
    config = looping(tmp_path, to=(str(tmp_path / "out" / "gate.ts"),), segment_seconds=2, keep_bytes=40_000)
    with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
        camera = pipeline.cameras["gate"]
        wait_until(lambda: camera.status().sinks[0].deleted >= 2, "old files are deleted")
        current = camera.status().sinks[0].file
        assert Path(current).exists(), "the one being written is shown"
    assert len(list((tmp_path / "out").glob("*.ts"))) < 8

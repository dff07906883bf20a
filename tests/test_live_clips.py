"""Clips of an event: they begin before they were requested, and get their name once they are complete."""

from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from clips import Clip
from doubles import quick_dehazer
from live_feed import web_page
from public_tools import ffprobe
from streamdehaze.errors import ConfigError
from streamdehaze.live import CameraConfig, LivePipeline
from streamdehaze.live.config import check_config
from streamdehaze.live.writing.clips import ClipRecorder
from streamdehaze.live.writing.retention import Retention
from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.writing.target import LiveTarget
from waiting import wait_until


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two seconds with sound."""
    path = tmp_path_factory.mktemp("clips") / "film.mp4"
    return str(Clip(pts=tuple(512 * n for n in range(50)), audio="aac").write(path))


def test_a_clip_begins_before_it_was_asked_for_and_is_published_whole(film: str, tmp_path: Path) -> None:
    config = CameraConfig(name="gate", url=film, realtime=True, loop=True, clips=f"{tmp_path}/{{name}}.mkv")
    with LivePipeline([config], dehazer=quick_dehazer()) as pipeline, web_page(pipeline) as server:
        path = "api/cameras/gate/clips"
        gate = pipeline.cameras["gate"]
        wait_until(lambda: gate.status().counters.frames_out > 75, "three seconds")
        for wrong, reason in (("before_seconds", "and the camera's clip_seconds (30)"), ("after_seconds", "0 and 600")):
            refusal = httpx.post(server.url + path, json={wrong: 601})
            assert (refusal.status_code, reason in refusal.json()["error"]) == (409, True)
        asked = httpx.post(server.url + path, json={"before_seconds": 2, "after_seconds": 1})
        assert (asked.status_code, asked.json()["state"]) == (202, "recording")
        file = Path(asked.json()["file"])
        assert file.match("gate-*.mkv")
        second = httpx.post(server.url + path, json={"before_seconds": 2, "after_seconds": 300}).json()
        assert not Path(second["file"]).exists(), "it gets its name once it is complete"
        wait_until(lambda: gate.clips[0].state == "finished", "it is written")
        known = httpx.get(server.url + path).json()["clips"]
        assert [clip["state"] for clip in known] == ["finished", "recording"]
        (listed,) = httpx.get(server.url + path).json()["files"]
        assert listed["name"] == file.name, "one that is still being written is not offered"
        assert listed["bytes"] == file.stat().st_size
        download = httpx.get(server.url + listed["path"].removeprefix("/"))
        assert download.content == file.read_bytes()
        assert download.headers["content-disposition"].startswith("attachment; ")
        for other in ("film.mp4", "../film.mp4", "%2e%2e/film.mp4", f"/{file}", "gate.part.mkv", ""):
            assert httpx.get(f"{server.url}cameras/gate/clips/{other}").status_code == 404, other
    other = Path(second["file"])
    assert other != file
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, other.name]), "the end publishes all"
    for each in (file, other):
        found = ffprobe(each, "-count_frames", "-show_entries", "stream=codec_type,nb_read_frames")["streams"]
        frames = {stream["codec_type"]: int(stream["nb_read_frames"]) for stream in found}
        assert frames["video"] >= 60
        assert frames["audio"] > 10


def test_the_oldest_clips_make_room(tmp_path: Path) -> None:
    names = ["gate-20260102-000000+0000.mkv", "gate-20260103-000000+0000.mkv", "yard-20260101-000000+0000.mkv"]
    for day, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * 1000)
        os.utime(tmp_path / name, (86400 * day, 86400 * day))
    target = LiveTarget.of(str(tmp_path / "{name}.mkv"), "gate")
    recorder = ClipRecorder(target, "gate", 10.0, lambda: None, Retention(target.address.full, keep_bytes=1500))
    assert [file.name for file in recorder.files()] == names[1::-1], "the newest first, and none of another camera"
    recorder.start()
    wait_until(lambda: not (tmp_path / names[0]).exists(), "the oldest one is deleted")
    recorder.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == names[1:]


def test_a_camera_without_clips_refuses_with_a_message_and_so_does_a_target_that_is_not_a_file(film: str) -> None:
    pipeline = LivePipeline([CameraConfig(name="gate", url=film)], dehazer=quick_dehazer())
    with pytest.raises(ConfigError, match="'gate' keeps no clips; name a file for them with clips"):
        pipeline.cameras["gate"].record_clip(1, 1)
    camera = {"name": "gate", "url": film}
    refused = ("clips/", "name a file, such as"), ("rtsp://h/x", "name a file"), ("a.avi", "nothing is sent to 'a.avi'")
    for clips, reason in refused:
        with pytest.raises(ConfigError, match=f"camera 'gate', clips: .*{reason}"):
            check_config({"camera": [{**camera, "clips": clips}]}, "cameras.toml")
    with pytest.raises(ConfigError, match="players cannot read vp9"):
        check_config({"camera": [{**camera, "clips": "a.ts", "codec": "libvpx-vp9"}]}, "cameras.toml")


def test_what_is_kept_for_clips_is_bounded_in_time_and_memory(tmp_path: Path) -> None:
    video = SimpleNamespace(stream=SimpleNamespace(type="video"))
    target = LiveTarget.of(str(tmp_path / "x.mkv"), "gate")
    recorder = ClipRecorder(target, "gate", 10.0, lambda: None, Retention(target.address.full))
    began = time.monotonic()

    def feed(first: int, count: int, size: int) -> None:
        for second in range(first, first + count):
            for key in (True, False):
                arrival = began + second + 0.5 * (not key)
                recorder.offer(EncodedPacket(b"x" * size, 0, 0, 0, Fraction(1), key, video, arrival))

    feed(0, 100, 1000)
    assert 10 * 2000 <= recorder.kept_bytes <= 12 * 2000
    feed(100, 10, 8 << 20)
    assert recorder.kept_bytes <= 64 << 20

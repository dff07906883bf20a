"""Cameras that speak HTTP: MJPEG in bursts and at wrong rates, playlists, and files that these must not name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from changing_camera import JpegCamera, jpeg
from clips import Clip
from doubles import quick_dehazer
from rtsp_camera import free_port
from streamdehaze.frame import Frame
from streamdehaze.live import CameraConfig, CameraState, LivePipeline
from streamdehaze.video.reading import open as reading_module
from waiting import wait_until
from web_server import serving

PICTURE = jpeg((64, 48))


@contextmanager
def watching(url: str, **options: object) -> Iterator[tuple[LivePipeline, list[Frame]]]:
    seen: list[Frame] = []
    config = CameraConfig.model_validate({"name": "gate", "url": url, **options})
    with LivePipeline(
        [config],
        dehazer=quick_dehazer(),
        on_frame=lambda camera, hazy, clear: seen.append(clear),
    ) as pipeline:
        yield pipeline, seen


def test_a_camera_that_sends_in_bursts_loses_nothing() -> None:
    with (
        JpegCamera(lambda number: PICTURE, lambda number: 0.5 if number % 6 == 0 else 0.0) as camera,
        watching(camera.url, latency_budget=600.0, buffer_frames=1000) as (pipeline, seen),
    ):
        wait_until(lambda: len(seen) > 10, "the first bursts")
        before = pipeline.cameras["gate"].status().counters.dropped
        wait_until(lambda: len(seen) > 40, "more bursts")
        assert pipeline.cameras["gate"].status().counters.dropped == before
        assert pipeline.cameras["gate"].status().counters.reconnects == 0


def test_a_camera_that_does_not_keep_the_rate_it_claims_is_timed_by_arrival() -> None:
    # FFmpeg takes MJPEG for 25 frames a second
    with JpegCamera(lambda number: PICTURE, 0.15) as camera, watching(camera.url) as (_, seen):
        wait_until(lambda: len(seen) > 60, "nine seconds of frames")
    times = [float(frame.pts * frame.time_base) for frame in seen if frame.pts is not None]
    assert len(times) == len(seen)
    assert all(after > before for before, after in pairwise(times))
    assert median(np.diff(times)) == pytest.approx(median(np.diff(camera.sent)), abs=0.04)


def test_a_playlist_is_a_camera_too(tmp_path: Path) -> None:
    film = Clip(pts=tuple(512 * n for n in range(50))).write(tmp_path / "film.mp4")
    web = tmp_path / "web"
    sender = CameraConfig(name="sender", url=str(film), realtime=True, loop=True, to=(f"{web}/",))
    with LivePipeline([sender], dehazer=quick_dehazer()), serving(web) as url:
        wait_until((web / "index.m3u8").exists, "the playlist")
        with watching(f"{url}/index.m3u8", latency_budget=5.0) as (pipeline, seen):
            wait_until(lambda: len(seen) > 60, "more than the first segments")
            assert pipeline.cameras["gate"].status().codec == "h264"


def test_a_playlist_cannot_name_files_of_this_machine(tmp_path: Path) -> None:
    secret = Clip(pts=tuple(512 * n for n in range(25))).write(tmp_path / "secret.ts")
    web = tmp_path / "web"
    web.mkdir()
    (web / "index.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    )
    with (
        serving(web) as url,
        watching(f"{url}/index.m3u8", open_seconds=3.0) as (pipeline, seen),
    ):
        camera = pipeline.cameras["gate"]
        refused = (CameraState.BACKING_OFF, CameraState.FAILED)
        wait_until(lambda: camera.machine.state in refused, "it is refused")
        assert not seen


def test_what_this_ffmpeg_cannot_do_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_module, "_NETWORK", f"{reading_module._NETWORK},mmsh2")  # which no FFmpeg has
    with watching(f"mmsh2://127.0.0.1:{free_port()}/x") as (pipeline, _):
        camera = pipeline.cameras["gate"]
        wait_until(lambda: camera.machine.state is CameraState.FAILED, "it is refused")
        assert "this FFmpeg cannot do mmsh2" in camera.status().message
        assert "'pip install --no-binary av av' takes the system's FFmpeg" in camera.status().message

"""What is reported as healthy is: frames become clear, pictures are current, and a dead camera says since when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from changing_camera import JpegCamera, jpeg
from doubles import EngineDouble, plain_dehazer, quick_dehazer
from live_feed import RenderedPipeline, web_page
from streamdehaze.live import CameraConfig, CameraState, LivePipeline
from streamdehaze.live.state import StateMachine
from test_live_pipeline import looping
from waiting import PATIENCE_SECONDS, wait_until

httpx = pytest.importorskip("httpx")


@pytest.fixture
def served() -> Iterator[tuple[RenderedPipeline, Any]]:
    with (
        RenderedPipeline("gate") as pipeline,
        web_page(pipeline) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client,
    ):
        yield pipeline, client


def test_a_camera_whose_frames_do_not_become_clear_is_not_running(tmp_path: Path) -> None:
    stuck, free = threading.Event(), threading.Event()

    def before(engine: EngineDouble) -> None:
        if stuck.is_set():
            free.wait(PATIENCE_SECONDS)

    dehazer = plain_dehazer(engine=EngineDouble(before=before))
    with LivePipeline([looping(tmp_path)], dehazer=dehazer) as pipeline:
        gate = pipeline.cameras["gate"]
        wait_until(lambda: gate.machine.state is CameraState.RUNNING, "it runs")
        assert gate.status().down_since is None
        with web_page(pipeline) as server, httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
            assert client.get("/readyz").status_code == 200
            began = time.time()
            stuck.set()
            wait_until(lambda: gate.machine.state is CameraState.UNCLEAR, "the state says so")
            assert "frames arrive, but none has become clear for" in gate.machine.message
            assert (client.get("/readyz").status_code, client.get("/readyz").text) == (503, "0 of 1 cameras running\n")
            camera = client.get("/api/cameras").json()["cameras"][0]
            assert (camera["state"], camera["fps_in"] > 0) == ("unclear", True)
            assert camera["down_since"] >= began - 1
            wait_until(lambda: client.get("/cameras/gate/snapshot?side=hazy").status_code == 200, "hazy ones are seen")
            assert client.get("/cameras/gate/snapshot?side=hazy").headers["X-Frame"] == "hazy"
            assert client.get("/cameras/gate/snapshot").status_code == 503
            free.set()
            wait_until(lambda: gate.machine.state is CameraState.RUNNING, "it recovers")
            assert client.get("/readyz").status_code == 200
            assert "streamdehaze_down_seconds" in client.get("/metrics").text


def test_hazy_frames_are_not_a_sign_of_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LivePipeline([looping(tmp_path)], dehazer=quick_dehazer()) as pipeline:
        gate = pipeline.cameras["gate"]
        wait_until(lambda: gate.machine.state is CameraState.RUNNING, "it runs")
        monkeypatch.setattr(gate.stream, "look", lambda *_: 1 / 0)
        wait_until(lambda: gate.machine.state is CameraState.UNCLEAR, "the state says so")
        assert "its frames cannot be dehazed: ZeroDivisionError" in gate.machine.message


def test_haze_that_is_left_on_purpose_is_healthy(tmp_path: Path) -> None:
    with LivePipeline([looping(tmp_path, enabled=False)], dehazer=quick_dehazer()) as pipeline:
        gate = pipeline.cameras["gate"]
        wait_until(lambda: gate.status().counters.frames_out > 150, "six seconds")
        assert gate.machine.state is CameraState.RUNNING


def test_the_snapshot_of_a_dead_camera_is_refused_and_never_dated_now(
    served: tuple[RenderedPipeline, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, client = served
    wait_until(lambda: pipeline.cameras["gate"].view.latest, "pictures")
    now = time.time()
    wait_until(lambda: pipeline.cameras["gate"].view.latest.taken_at > now, "a new picture")  # type: ignore[union-attr]
    alive = client.get("/cameras/gate/snapshot")
    assert alive.status_code == 200
    assert parsedate_to_datetime(alive.headers["Last-Modified"]).timestamp() >= int(now), "a live one is current"
    assert float(alive.headers["X-Frame-Age"]) >= 0
    pipeline._stop.set()
    wait_until(lambda: not any(thread.is_alive() for thread in pipeline._threads), "the film ends")
    pipeline.cameras["gate"].machine.to(CameraState.BACKING_OFF, "nothing listens at rtsp://u:hunter2@h/s")
    taken = pipeline.cameras["gate"].view.latest.taken_at  # type: ignore[union-attr]
    monkeypatch.setattr("streamdehaze.live.view.FRESH_SECONDS", 1.0)
    wait_until(lambda: time.time() > taken + 1.2, "another second begins")
    for side in ("clear", "hazy", "both"):
        dead = client.get(f"/cameras/gate/snapshot?side={side}")
        assert dead.status_code == 503
        assert "nothing listens at rtsp://h/s" in dead.json()["error"]
        stale = client.get(f"/cameras/gate/snapshot?side={side}&stale=1")
        assert stale.status_code == 200
        assert float(stale.headers["X-Frame-Age"]) > 1
        assert abs(parsedate_to_datetime(stale.headers["Last-Modified"]).timestamp() - taken) < 1
        assert time.strftime("%Y%m%d-%H%M%SZ", time.gmtime(taken)) in stale.headers["Content-Disposition"]


def test_every_picture_of_a_stream_has_its_time(served: tuple[RenderedPipeline, Any]) -> None:
    _, client = served
    with client.stream("GET", "/cameras/gate/stream?side=clear&width=320") as answer:
        head = next(part for part in answer.iter_bytes() if b"X-Frame-Time" in part)
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n\r\n")[0].split(b"\r\n") if b": " in line)
    assert abs(float(lines[b"X-Frame-Time"]) - time.time()) < PATIENCE_SECONDS
    assert lines[b"X-Frame"] == b"clear"
    assert lines[b"Last-Modified"].endswith(b" GMT")


def test_down_since_outlives_the_changes_between_connecting_and_waiting() -> None:
    machine = StateMachine()
    first = machine.down_since
    assert first is not None
    machine.to(CameraState.RUNNING)
    assert (machine.down_since, machine.down_seconds) == (None, 0.0)
    machine.to(CameraState.BACKING_OFF)
    down = machine.down_since
    for _ in range(3):
        time.sleep(0.05)
        machine.to(CameraState.CONNECTING)
        machine.to(CameraState.BACKING_OFF)
    assert machine.down_since == down
    since_the_last_change = machine.seconds
    assert machine.down_seconds - since_the_last_change > 0.14  # three times 0.05


def test_a_camera_of_one_frame_in_six_seconds_is_healthy() -> None:
    picture = jpeg((160, 120))
    with JpegCamera(lambda number: picture, seconds=6.0) as camera:
        config = CameraConfig(name="slow", url=camera.url, stall_seconds=20)
        states: list[CameraState] = []
        with LivePipeline([config], dehazer=quick_dehazer(), on_state=lambda c, state, _: states.append(state)) as p:
            wait_until(lambda: p.cameras["slow"].status().counters.frames_out >= 3, "three frames")
        assert CameraState.UNCLEAR not in states
        assert CameraState.STALLED not in states

"""Unusual cameras: snapshots only, very slow, coming and going, and addresses as VLC writes them."""

from __future__ import annotations

import itertools
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from changing_camera import JpegCamera, jpeg
from doubles import quick_dehazer
from streamdehaze.address import Address
from streamdehaze.engine.build.cache import EngineCache
from streamdehaze.errors import EngineError
from streamdehaze.live import CameraConfig, CameraState, LivePipeline
from streamdehaze.live.config import LiveConfig
from streamdehaze.live.reading.reception import Reception
from streamdehaze.live.reading.supervisor import Supervisor
from streamdehaze.live.retry import Retry
from streamdehaze.live.state import StateMachine
from streamdehaze.live.status import CameraCounters
from streamdehaze.video.fault import Fault
from streamdehaze.video.reading.open import _has_cuda
from waiting import PATIENCE_SECONDS, wait_until
from web_server import give, serving


@contextmanager
def snapshots(path: str) -> Iterator[str]:
    """A camera that gives one picture at a time, a different one each time."""
    shades = itertools.count(40, 10)
    with serving(lambda request: give(request, jpeg((160, 120), next(shades) % 200), "image/jpeg")) as url:
        yield f"{url}/{path}"


@pytest.mark.parametrize("path", ["snap.jpg", "cgi-bin/snapshot.cgi?channel=1", "onvif-http/snapshot?Profile_1"])
def test_a_camera_that_gives_one_picture_at_a_time_is_polled(path: str) -> None:
    states: list[CameraState] = []
    means: list[float] = []
    with snapshots(path) as url:
        config = CameraConfig(name="gate", url=url, snapshot_seconds=0.1)
        with LivePipeline(
            [config],
            dehazer=quick_dehazer(),
            on_state=lambda camera, state, message: states.append(state),
            on_frame=lambda camera, hazy, clear: means.append(float(np.mean(hazy.planes[0]))),
        ) as pipeline:
            wait_until(lambda: len(means) >= 6, "six pictures")
            counters = pipeline.cameras["gate"].status().counters
    assert counters.reconnects == 0
    assert states[0] is CameraState.RUNNING
    assert len({round(mean) for mean in means}) > 3, "each is a different one"


def test_a_camera_that_is_too_slow_for_a_timeout_is_reported_with_that_timeout(
    caplog: pytest.LogCaptureFixture,
) -> None:
    picture = jpeg((160, 120))
    with (
        caplog.at_level(logging.WARNING),
        JpegCamera(lambda number: picture, seconds=4.0) as camera,
        LivePipeline(
            [CameraConfig(name="slow", url=camera.url, stall_seconds=1.5)], dehazer=quick_dehazer()
        ) as pipeline,
    ):
        gate = pipeline.cameras["slow"]
        wait_until(lambda: gate.machine.message, "it is torn down")
        message = gate.machine.message
    assert message == f"no frame came from {camera.url} for 1.5 s; raise stall_seconds if it is that slow"


def test_a_recurring_fault_is_counted_instead_of_repeated(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    retry = Retry("gate", (0.1, 1.0), (1.0, 9.0), "seed", clock=lambda: now)
    with caplog.at_level(logging.WARNING):
        for _ in range(120):  # half an hour, every 15 seconds
            retry.after(Fault("silent", "no frame came"))
            retry.back("rtsp://h/s")
            now += 15
    lines = [record.getMessage() for record in caplog.records]
    assert sum("no frame came" in line for line in lines) < 8
    assert any(re.search(r"no frame came \(\d\d times in ten minutes\); trying again", line) for line in lines)
    caplog.clear()
    retry.after(Fault("refused", "nothing listens"))
    assert len(caplog.records) == 1, "a different fault is logged"


def test_frames_that_are_cleared_only_now_and_then_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []
    picture = jpeg((64, 48))

    def slow() -> str:
        asked.append("the engine is too slow" if len(asked) % 2 else "")
        return asked[-1]

    with caplog.at_level(logging.WARNING), JpegCamera(lambda number: picture) as camera:
        config = CameraConfig(name="gate", url=camera.url)
        counters, machine = CameraCounters(), StateMachine()
        reception = Reception(config, counters, on_frame=lambda frame, arrival, connection: None)
        supervisor = Supervisor(config, reception, machine, counters, slow)
        supervisor.start()
        wait_until(lambda: len(asked) > 40, "it has changed often")
        supervisor.stop()
        supervisor.join(PATIENCE_SECONDS)
    lines = [record.getMessage() for record in caplog.records if record.name == "streamdehaze.live"]
    assert lines == 3 * ["gate: the engine is too slow", "gate: its frames leave clear again"]


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("udp://@:5004", "udp://0.0.0.0:5004"),
        ("udp://@239.1.2.3:5004", "udp://239.1.2.3:5004"),
        ("file:///film%20a.mp4", "/film a.mp4"),
        ("file://localhost/film.mp4", "/film.mp4"),
    ],
)
def test_addresses_as_other_players_write_them(url: str, full: str) -> None:
    assert Address.of(url).full == full


@contextmanager
def announced_by_file(folder: Path) -> Iterator[Path]:
    """A sender of RTP, and the SDP file that says where it sends."""
    stop, port = threading.Event(), free_udp_ports()
    path = folder / "gate.sdp"
    path.write_text(
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=gate\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1\n"
    )

    def send() -> None:
        with av.open(f"rtp://127.0.0.1:{port}", "w", format="rtp") as output:
            video = output.add_stream("libx264", 25, {"tune": "zerolatency", "g": "5"})
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
            for number in itertools.count():
                if stop.wait(0.04):
                    return
                shade = np.full((64, 96, 3), number % 200, np.uint8)
                picture = av.VideoFrame.from_ndarray(shade)
                picture.pts, picture.time_base = number, Fraction(1, 25)
                output.mux(video.encode(picture))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield path
    finally:
        stop.set()
        thread.join()


def free_udp_ports() -> int:
    """A free even port whose successor, for RTCP, is free as well."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as first, socket.socket(type=socket.SOCK_DGRAM) as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with suppress(OSError):
                second.bind(("127.0.0.1", port + 1))
                if port % 2 == 0:
                    return port


def test_a_stream_that_a_file_announces_is_a_camera(tmp_path: Path) -> None:
    with announced_by_file(tmp_path) as path:
        config = CameraConfig(name="gate", url=str(path))
        with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
            wait_until(lambda: pipeline.cameras["gate"].status().counters.frames_out >= 10, "ten frames")


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[1] / "docs" / "operators.md").read_text(encoding="utf-8")
    missing = [key for key in (*CameraConfig.model_fields, *LiveConfig.model_fields) if f"`{key}`" not in text]
    assert missing in ([], ["camera"])


def test_hwaccel_decodes_a_camera_or_says_why_not() -> None:
    picture = jpeg((160, 120))
    with JpegCamera(lambda number: picture, seconds=0.1) as camera:
        for hwaccel in ("auto", "none"):
            config = CameraConfig.model_validate({"name": "gate", "url": camera.url, "hwaccel": hwaccel})
            with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
                wait_until(lambda: pipeline.cameras["gate"].status().counters.frames_out > 3, "frames")
        if _has_cuda():
            pytest.skip("there is a CUDA device here")
        config = CameraConfig(name="gate", url=camera.url, hwaccel="cuda")
        with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
            gate = pipeline.cameras["gate"]
            wait_until(lambda: gate.machine.state is CameraState.FAILED, "it says so")
            assert "cannot be decoded with hwaccel cuda on this machine; use auto or none" in gate.machine.message


def test_a_folder_of_engines_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o755)
    EngineCache(folder)
    folder.chmod(0o777)
    with pytest.raises(EngineError, match=r"the engine folder .* is writable by everyone; chmod o-w"):
        EngineCache(folder)
    if os.geteuid() == 0:
        folder.chmod(0o755)
        os.chown(folder, 12345, -1)
        with pytest.raises(EngineError, match="belongs to another user"):
            EngineCache(folder)

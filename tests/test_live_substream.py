"""A camera with a main stream and a substream: the main one is recorded, the substream is shown."""

from __future__ import annotations

from pathlib import Path

import cv2
import httpx
import numpy as np

from changing_camera import JpegCamera, jpeg
from clips import Clip
from doubles import quick_dehazer
from live_feed import web_page
from public_tools import ffprobe
from streamdehaze.live import CameraConfig, CameraState, LivePipeline
from waiting import wait_until


def test_the_low_stream_is_shown_and_the_main_one_recorded_and_shown_while_the_low_one_is_down(tmp_path: Path) -> None:
    film = Clip(size=(320, 240), pts=tuple(512 * n for n in range(50))).write(tmp_path / "main.mp4")
    low = jpeg((64, 48))
    with JpegCamera(lambda number: low, 0.1) as camera:
        config = CameraConfig(
            name="gate",
            url=str(film),
            sub_url=camera.url.replace("//", "//admin:hush@"),
            realtime=True,
            loop=True,
            to=(str(tmp_path / "gate.mkv"),),
        )
        assert "hush" not in repr(config)
        with LivePipeline([config], dehazer=quick_dehazer()) as pipeline, web_page(pipeline) as server:
            gate = pipeline.cameras["gate"]

            def width() -> int:
                pair = gate.view.latest
                return 0 if pair is None else pair.clear.width

            wait_until(lambda: gate.status().sub_state is CameraState.RUNNING and width() == 64, "the low stream")
            gate.set_strength(0.5)
            assert gate.status().width == 320
            snapshot = httpx.get(server.url + "cameras/gate/snapshot").content
            assert cv2.imdecode(np.frombuffer(snapshot, np.uint8), cv2.IMREAD_COLOR).shape == (240, 320, 3)
            camera.close()
            wait_until(lambda: gate.status().sub_state is not CameraState.RUNNING and width() == 320, "the main stream")
            assert gate.status().state is CameraState.RUNNING
            (described,) = httpx.get(server.url + "api/cameras").json()["cameras"]
            assert described["sub_state"] != "running"
    (recording,) = tmp_path.glob("gate-*.mkv")
    assert ffprobe(recording, "-show_entries", "stream=width")["streams"][0]["width"] == 320

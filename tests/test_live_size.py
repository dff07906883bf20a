"""Pictures whose size changes or is huge: streams keep their size, and memory stays bounded."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from PIL import Image

from changing_camera import JpegCamera, jpeg
from doubles import quick_dehazer
from rtsp_camera import RtspCamera, needs_rtsp_server
from streamdehaze.frame import Frame, PixelFormat
from streamdehaze.live import CameraConfig, CameraState, LivePipeline
from streamdehaze.live.writing.size import StreamSize
from waiting import wait_until


def frame(width: int, height: int) -> Frame:
    planes = (np.full((height, width), 200, np.uint8), *[np.full((height // 2, width // 2), 90, np.uint8)] * 2)
    return Frame(planes, width, height, PixelFormat.parse("yuv420p"))


@pytest.mark.parametrize(("change", "files"), [("settled", 1), ("first", 1), ("follow", 3)])
def test_a_camera_that_alternates_between_sizes_is_recorded_in_one_file(
    tmp_path: Path, change: str, files: int
) -> None:
    made = [jpeg((320, 240)), jpeg((320, 180))]
    with JpegCamera(lambda number: made[number // 10 % 2], seconds=0.1) as camera:
        config = CameraConfig.model_validate(
            {"name": "gate", "url": camera.url, "to": (str(tmp_path / "gate.mkv"),), "size_change": change}
        )
        with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
            wait_until(lambda: pipeline.cameras["gate"].status().counters.frames_out >= 45, "some changes")
    written = sorted(tmp_path.glob("*.mkv"))
    assert len(written) == 1 if files == 1 else len(written) >= files
    with av.open(str(written[0])) as container:
        pictures = list(container.decode(video=0))
    assert {(picture.width, picture.height) for picture in pictures} == {(320, 240)}
    if files == 1:
        luma = pictures[15].to_ndarray()[:240]
        assert luma[:20].max() < 30, "black above the wider picture"
        assert luma[60:180].mean() > luma[:20].mean() + 20, "which is in the middle"


@needs_rtsp_server
def test_a_server_gets_a_camera_that_alternates_between_sizes_in_one_connection(tmp_path: Path) -> None:
    taken = tmp_path / "taken.mkv"

    def sizes() -> list[tuple[int, int]]:
        with av.open(str(taken)) as container:
            return [(picture.width, picture.height) for picture in container.decode(video=0)]

    made = [jpeg((320, 240)), jpeg((320, 180))]
    with RtspCamera(record=taken) as server, JpegCamera(lambda number: made[number // 5 % 2], seconds=0.05) as camera:
        config = CameraConfig(name="gate", url=camera.url, to=(server.url,))
        with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
            wait_until(lambda: pipeline.cameras["gate"].status().sinks[0].packets > 30, "some changes were sent")
            wait_until(lambda: len(sizes()) > 20, "and taken")
            assert pipeline.cameras["gate"].status().sinks[0].reconnects == 0
    assert set(sizes()) == {(320, 240)}


def test_a_size_that_lasts_becomes_that_of_the_stream() -> None:
    now = [0.0]
    size = StreamSize("settled", lambda: now[0])
    assert size.is_new(frame(640, 480))
    changes = []
    for now[0] in range(1, 30):
        changes.append(size.is_new(frame(320, 240)))
    assert changes.index(True) == 10
    assert changes.count(True) == 1


def test_frames_are_fitted_with_bars_and_keep_their_aspect() -> None:
    fitted = StreamSize("first").fit(frame(100, 200), 320, 240)
    rows = fitted.planes[0]
    assert (fitted.width, fitted.height, fitted.pixel_format.name) == (320, 240, "yuv420p")
    bright = np.flatnonzero(rows[120] > 100)
    assert (bright[0], bright[-1]) == (100, 219), "120 wide in the middle"


def huge(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "gray").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "after"), [((12000, 9000), 0), ((12000, 9000), 5), ((2200, 16384), 0), ((8192, 4321), 5)]
)
def test_pictures_above_the_limit_are_refused_undecoded(size: tuple[int, int], after: int) -> None:
    large, small = huge(size), jpeg((320, 240))
    with (
        JpegCamera(lambda number: small if number < after else large, seconds=0.05) as camera,
        LivePipeline([CameraConfig(name="gate", url=camera.url)], dehazer=quick_dehazer()) as pipeline,
    ):
        gate = pipeline.cameras["gate"]
        memory = psutil.Process().memory_info().rss
        wait_until(lambda: "max_pixels (35389440)" in gate.machine.message, "it is refused with a message")
        assert gate.machine.state in (CameraState.FAILED, CameraState.BACKING_OFF, CameraState.CONNECTING)
        assert psutil.Process().memory_info().rss - memory < 100 << 20, "a picture is 160 MB"

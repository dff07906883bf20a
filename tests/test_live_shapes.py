"""What one camera needs never stops another: sizes are prepared in the background, and their number is bounded."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from changing_camera import JpegCamera, jpeg
from clips import Clip
from doubles import CompilingDouble, EngineDouble, halve, plain_dehazer, quick_dehazer
from streamdehaze import Dehazer
from streamdehaze.frame import FloatArray, Frame, PixelFormat
from streamdehaze.live import Camera, CameraConfig, LivePipeline
from streamdehaze.live.dehazing.shapes import FittedEngine, Shapes
from test_live_pipeline import looping
from waiting import PATIENCE_SECONDS, wait_until


def frame(width: int, height: int) -> Frame:
    planes = (np.full((height, width), 100, np.uint8), *[np.full((height // 2, width // 2), 128, np.uint8)] * 2)
    return Frame(planes, width, height, PixelFormat.parse("yuv420p"))


def test_a_camera_of_a_new_size_does_not_stop_others(tmp_path: Path) -> None:
    frames: list[Frame] = []
    over = threading.Event()

    def seen(camera: Camera, hazy: Frame, clear: Frame) -> None:
        if camera.name == "steady":
            frames.append(clear)

    def compiling() -> None:
        before = len(frames)
        wait_until(lambda: over.is_set() or len(frames) > before + 2, "the first camera runs meanwhile")

    steady = looping(tmp_path, "steady", to=(str(tmp_path / "clear.mkv"),))
    engine, square = CompilingDouble(compiling), jpeg((320, 240))
    with (
        JpegCamera(lambda number: square) as other,
        LivePipeline([steady], dehazer=plain_dehazer(engine=engine), on_frame=seen, adapt=False) as pipeline,
    ):
        wait_until(lambda: len(frames) > 20, "the first camera runs")
        pipeline.reload([steady, CameraConfig(name="other", url=other.url)])
        wait_until(lambda: (192, 256) in engine.compiled, "the new size is prepared")
        camera = pipeline.cameras["other"]
        wait_until(lambda: camera.stream.network_size == 256, "and used")
        over.set()
    assert engine.unprepared == []
    dropped = pipeline.cameras["steady"].status().counters.dropped
    (recording,) = tmp_path.glob("clear-*.mkv")
    with av.open(str(recording)) as container:
        recorded = sum(1 for packet in container.demux(video=0) if packet.size)
    lost = sum(count for reason, count in dropped.items() if reason.startswith("sink"))
    assert recorded == len(frames) - lost, "each clear frame is in its recording"


def test_a_size_that_is_not_ready_is_padded_to_one_that_is() -> None:
    engine = CompilingDouble()
    shapes = Shapes(engine, [256, 192, 128])
    assert shapes.fit(frame(640, 360), 256) is None, "nothing is ready"
    shapes.prepare((144, 256))
    assert shapes.fit(frame(640, 360), 256) == 256
    assert shapes.fit(frame(640, 480), 256) == 192
    assert shapes.fit(frame(480, 640), 256) == 144
    assert shapes.fit(frame(64, 4096), 256) == 144
    fitted = FittedEngine(engine, shapes)
    hazy = np.random.default_rng(0).random((2, 3, 144, 192), np.float32)
    assert np.array_equal(fitted.infer(hazy), halve(hazy))
    assert engine.batches[-1] == (2, 3, 144, 256)
    assert engine.unprepared == []


def test_an_engine_that_does_not_compile_gets_every_size_as_it_is() -> None:
    engine = EngineDouble()
    shapes = Shapes(engine, [256])
    assert shapes.fit(frame(500, 500), 256) == 256
    FittedEngine(engine, shapes).infer(np.zeros((1, 3, 20, 24), np.float32))
    assert engine.batches == [(1, 3, 20, 24)]


def test_an_engine_with_a_name_and_infer_alone_is_taken_to_run_on_the_cpu() -> None:
    class Plain:
        name = "plain"

        def infer(self, hazy: FloatArray) -> FloatArray:
            return halve(hazy)

    engine: Any = Plain()
    fitted = FittedEngine(engine, Shapes(engine, [256]))
    assert fitted.device is None
    assert Dehazer(engine=fitted).gpu is Dehazer(engine=engine).gpu is None


def test_any_number_of_sizes_makes_only_a_few_shapes() -> None:
    engine = CompilingDouble()
    shapes = Shapes(engine, [256, 192, 128], limit=5)
    shapes.prepare((144, 256))
    shapes.start()
    for width in range(64, 2048, 64):
        for height in range(64, 2048, 128):
            shapes.want(frame(width, height))
            shapes.want(frame(width, height), exact=True)
    wait_until(lambda: not shapes._wanted, "all were looked at")
    shapes.stop()
    shapes.join(PATIENCE_SECONDS)
    assert len(engine.compiled) == 5
    assert (144, 256) in engine.compiled


def test_a_whole_frame_passes_hazy_until_the_engine_is_ready_for_it(tmp_path: Path) -> None:
    hazy: list[bool] = []
    engine = CompilingDouble(lambda: wait_until(lambda: hazy, "a frame that is not waited for"))

    def seen(camera: Camera, before: Frame, after: Frame) -> None:
        hazy.append(after is before)

    config = looping(tmp_path, exact=True)
    with LivePipeline([config], dehazer=plain_dehazer(engine=engine), on_frame=seen) as pipeline:
        wait_until(lambda: hazy and not hazy[-1], "its frames become clear")
        counters = pipeline.cameras["gate"].status().counters
    assert hazy[0] is True
    assert counters.frames_hazy > 0
    assert engine.unprepared == []


def test_a_size_the_engine_refuses_is_dehazed_in_another() -> None:
    engine = CompilingDouble(refuses=(192, 256))
    shapes = Shapes(engine, [256])
    shapes.prepare((144, 256))
    shapes.start()
    shapes.want(frame(640, 480))
    wait_until(lambda: shapes._failed, "it was tried")
    shapes.want(frame(640, 480))
    shapes.stop()
    shapes.join(PATIENCE_SECONDS)
    assert shapes.fit(frame(640, 480), 256) == 192


def test_a_camera_whose_frames_cannot_be_dehazed_does_not_stop_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [looping(tmp_path, "good"), looping(tmp_path, "bad")]
    with LivePipeline(configs, dehazer=quick_dehazer()) as pipeline:
        good, bad = pipeline.cameras["good"], pipeline.cameras["bad"]

        def look(frame: Frame) -> None:
            raise ValueError("what a strange frame")

        monkeypatch.setattr(bad.stream, "look", look)
        wait_until(lambda: bad.status().counters.frames_hazy > 20, "its frames pass hazy")
        before = good.status().counters.frames_out
        wait_until(lambda: good.status().counters.frames_out > before + 20, "the other one's are clear")
        assert not pipeline.stopped.is_set()
        assert bad.view.latest is not None
        assert not bad.view.latest.is_clear


def test_a_file_whose_encoder_is_slow_does_not_hold_up_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = looping(tmp_path, "gate")
    clip = Clip(pts=tuple(512 * n for n in range(60)), size=(160, 120)).write(tmp_path / "clip.mp4")
    slow = CameraConfig(name="clip", url=str(clip), to=(str(tmp_path / "clear.mkv"),), brightness="natural")
    with LivePipeline([gate, slow], dehazer=quick_dehazer()) as pipeline:
        release = threading.Event()
        broadcast = pipeline.cameras["clip"]._broadcast
        encode = broadcast._encode
        monkeypatch.setattr(broadcast, "_encode", lambda *args: (release.wait(60), encode(*args))[1])
        wait_until(lambda: broadcast.is_full, "the file's frames wait for its encoder")
        counters = pipeline.cameras["gate"].status().counters
        wait_until(
            lambda: pipeline.cameras["gate"].status().counters.frames_out > counters.frames_out + 20,
            "the camera continues meanwhile",
        )
        release.set()
        wait_until(lambda: pipeline.cameras["clip"].idle, "the file ends")
        assert pipeline.cameras["clip"].status().counters.dropped == {}


def test_frames_that_wait_are_bounded_in_bytes() -> None:
    from streamdehaze.live.dehazing.scheduler import FrameQueue, FrameScheduler, LiveFrame

    dropped: list[str] = []
    queue = FrameQueue(None, 250, 9.0, False, lambda reason, count: dropped.append(reason))
    scheduler = FrameScheduler()
    scheduler.add(queue)
    huge = frame(8192, 4320)  # 53 MB
    for _ in range(4):
        scheduler.put(queue, LiveFrame(huge, 0.0, 0.0))
    assert (queue.waiting, dropped) == (2, ["buffer_full"] * 2)

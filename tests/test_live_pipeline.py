"""Many cameras, one engine: no camera waits for a dead one, the list may change at run time, and memory stays flat."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from clips import Clip
from doubles import CompilingDouble, EngineDouble, plain_dehazer, quick_dehazer
from rtsp_camera import RtspCamera, needs_rtsp_server
from slow_film import slow_film
from streamdehaze.errors import ConfigError, EngineError, StreamDehazeError
from streamdehaze.frame import Frame
from streamdehaze.live import Camera, CameraConfig, CameraState, LivePipeline
from waiting import PATIENCE_SECONDS, wait_until


def film(folder: Path, name: str = "film", frames: int = 50, **facts: object) -> str:
    """A file of 25 frames a second."""
    clip = Clip(pts=tuple(512 * n for n in range(frames)), **facts)  # type: ignore[arg-type]
    return str(clip.write(folder / f"{name}.mp4"))


def looping(folder: Path, name: str = "gate", **options: object) -> CameraConfig:
    """A camera that plays a film in real time forever."""
    path = folder / f"{name}.mp4"
    url = str(path) if path.exists() else film(folder, name, size=(160, 120))
    values = {"name": name, "url": url, "realtime": True, "loop": True, "brightness": "natural", **options}
    return CameraConfig.model_validate(values)


@needs_rtsp_server
def test_three_cameras_lose_nothing_to_a_fourth_that_keeps_dying() -> None:
    servers = [RtspCamera(size=size) for size in ("160x120", "320x180", "160x90")]
    dying = RtspCamera(size="160x120")
    configs = [
        CameraConfig(name=str(n), url=server.url, latency_budget=600.0, buffer_frames=1000)
        for n, server in enumerate([*servers, dying])
    ]
    try:
        with LivePipeline(configs, dehazer=quick_dehazer()) as pipeline:
            cameras = list(pipeline.cameras.values())
            wait_until(lambda: all(camera.status().counters.frames_out for camera in cameras), "all four run")
            for number in (1, 2, 3):
                dying.kill()
                before = [camera.status().counters.frames_out for camera in cameras[:3]]
                wait_until(
                    lambda: all(c.status().counters.frames_out > n + 5 for c, n in zip(cameras, before, strict=False)),  # noqa: B023
                    "the others continue",
                )
                dying.start()
                wait_until(lambda: cameras[3].status().counters.reconnects == number, "it comes back")  # noqa: B023
            statuses = [camera.status() for camera in cameras]
        for status in statuses[:3]:
            assert (status.counters.dropped, status.counters.reconnects) == ({}, 0)
            assert status.counters.frames_in - status.counters.frames_out - status.buffered <= 8, (
                "all except those in flight"
            )
    finally:
        for server in (*servers, dying):
            server.kill()


def test_frames_of_several_cameras_share_a_run_of_the_network(tmp_path: Path) -> None:
    configs = [looping(tmp_path, name) for name in ("a", "b", "c")]
    engine = EngineDouble(seconds=0.02)
    with LivePipeline(configs, dehazer=plain_dehazer(engine=engine)) as pipeline:
        wait_until(lambda: all(c.status().counters.frames_out > 20 for c in pipeline.cameras.values()), "frames of all")
        # The first are the warm-up's; later, cameras share a run as soon as the engine has frames of more than one.
        wait_until(lambda: any(count >= 2 for count, *_ in engine.batches[20:]), "a run for several cameras")


def test_quality_only_goes_down_to_sizes_the_engine_has_compiled(tmp_path: Path) -> None:
    engine = CompilingDouble()
    engine.seconds = 0.2  # a picture; the film asks for 25 a second
    with LivePipeline([looping(tmp_path)], dehazer=plain_dehazer(engine=engine)) as pipeline:
        stream = pipeline.cameras["gate"].stream
        wait_until(lambda: stream.network_size < 160, "quality goes down to a smaller network size")
    assert engine.unprepared == []
    assert (96, 128) in {shape[2:] for shape in engine.batches}, "in a shape of its own, not padded"


@pytest.mark.usefixtures("engine_alone")
def test_strength_and_off_apply_from_the_next_frame(tmp_path: Path) -> None:
    def ratio(camera: Camera) -> float:
        shown = camera.view.latest
        pair = camera.view.wait(after=(shown.number if shown else 0) + 3, timeout=PATIENCE_SECONDS)
        assert pair is not None
        hazy, clear = (float(np.mean(frame.planes[0][:120, :160])) - 16 for frame in (pair.hazy, pair.clear))
        return clear / hazy

    with LivePipeline([looping(tmp_path)], dehazer=quick_dehazer()) as pipeline:
        gate = pipeline.cameras["gate"]
        assert gate.view.wait(timeout=PATIENCE_SECONDS) is not None
        full = ratio(gate)
        assert full < 0.7
        gate.set_strength(0.5)
        assert ratio(gate) == pytest.approx((1 + full) / 2, abs=0.05)
        gate.set_strength(1.5)
        assert ratio(gate) == pytest.approx(1 + 1.5 * (full - 1), abs=0.05)
        gate.set_enabled(False)
        assert ratio(gate) == 1.0
        gate.set_enabled(True)
        gate.set_strength(0)
        assert ratio(gate) == 1.0
        with pytest.raises(ConfigError, match="between 0 and 1"):
            gate.set_strength(2)
        assert (gate.status().strength, gate.status().enabled) == (0, True)


def test_a_reload_touches_only_what_changed(tmp_path: Path) -> None:
    a, b, c = (looping(tmp_path, name) for name in ("a", "b", "c"))
    states: list[tuple[str, CameraState]] = []
    with LivePipeline(
        [a, b], dehazer=quick_dehazer(), on_state=lambda camera, state, _: states.append((camera.name, state))
    ) as pipeline:
        before = pipeline.cameras
        wait_until(lambda: all(camera.status().counters.frames_out for camera in before.values()), "both run")
        pipeline.reload([a.model_copy(update={"max_fps": 12.0}), b, c])
        after = pipeline.cameras
        assert list(after) == ["a", "b", "c"]
        assert after["b"] is before["b"]
        assert after["a"] is not before["a"]
        wait_until(lambda: all(camera.status().counters.frames_out for camera in after.values()), "all three run")
        with pytest.raises(ConfigError, match="two cameras are called 'a'"):
            pipeline.reload([a, a])
        pipeline.reload([c])
        assert before["b"].machine.state is CameraState.ENDED
        assert list(pipeline.cameras) == ["c"]
    assert ("b", CameraState.ENDED) in states


def test_strength_and_the_like_change_in_place(tmp_path: Path) -> None:
    a, b = looping(tmp_path, "a"), looping(tmp_path, "b")
    with LivePipeline([a, b], dehazer=quick_dehazer()) as pipeline:
        before = pipeline.cameras
        wait_until(lambda: all(camera.status().counters.frames_out for camera in before.values()), "both run")
        before["b"].set_strength(0.3)
        changes = {"strength": 0.5, "steady": "high", "airlight": "neutral", "brightness": "keep", "enabled": False}
        pipeline.reload([a.model_copy(update=changes), b.model_copy(update={"steady": "off"})])
        assert dict(pipeline.cameras) == dict(before), "neither is opened again"
        gate = before["a"]
        assert (gate.strength, gate.enabled, gate.stream.steady, gate.stream.airlight) == (
            0.5,
            False,
            "high",
            "neutral",
        )
        assert before["b"].strength == 0.3, "what was set on the page stays unless the file changed it"
        frames = gate.status().counters.frames_out
        wait_until(lambda: gate.status().counters.frames_out > frames + 10, "frames continue")
        with pytest.raises(ConfigError):
            pipeline.reload([a, a])
        assert gate.strength == 0.5
        pipeline.reload([a, b])
        assert (gate.strength, gate.enabled) == (1.0, True)


def test_the_network_runs_as_often_as_a_camera_asks_for(tmp_path: Path) -> None:
    engine = EngineDouble()
    gate = CameraConfig(name="gate", url=str(slow_film(tmp_path / "film.mp4", 60)), every=3)
    with LivePipeline([gate], dehazer=plain_dehazer(engine=engine), adapt=False) as pipeline:
        wait_until(lambda: pipeline.ended, "the film is over")
        assert pipeline.cameras["gate"].status().counters.frames_out == 60
        with pytest.raises(ConfigError, match="at least 1, not 0"):
            pipeline.cameras["gate"].set_every(0)
    assert 60 // 3 <= engine.pictures < 60 // 2


def test_a_camera_has_a_limit_of_its_own(tmp_path: Path) -> None:
    began = time.monotonic()
    with LivePipeline([looping(tmp_path, max_fps=5)], dehazer=quick_dehazer()) as pipeline:
        gate = pipeline.cameras["gate"]
        wait_until(lambda: gate.status().counters.dropped.get("over_limit", 0) > 40, "most are skipped")
        wait_until(lambda: gate.status().counters.frames_out > 5, "frames")
        frames = gate.status().counters.frames_out
    # A camera that was late by one frame interval may catch up, so three frames can come at once.
    assert frames <= 5 * (time.monotonic() - began) + 3


def test_overload_steps_quality_down_then_drops_the_oldest_and_stays_fresh(tmp_path: Path) -> None:
    config = looping(tmp_path, latency_budget=0.2)
    fast = str(slow_film(tmp_path / "fast.mp4", frames=100))
    engine = EngineDouble(seconds=0.1)  # 2.5 times too slow for a single camera of 25 frames per second
    with LivePipeline([config.model_copy(update={"url": fast})], dehazer=plain_dehazer(engine=engine)) as pipeline:
        gate = pipeline.cameras["gate"]
        wait_until(lambda: gate.status().adapt_level >= 2, "quality is given up")
        settled, pictures = gate.counters.snapshot().frames_out, engine.pictures
        wait_until(lambda: gate.counters.snapshot().frames_out > settled + 45, "frames at that quality")
        after, pictures = gate.counters.snapshot(), engine.pictures - pictures
        assert gate.status().buffered <= gate.config.buffer_frames
    assert "every 3rd" in gate.status().adapt_text or gate.status().adapt_level > 2
    assert after.frames_out - settled > 1.5 * pictures, "at full quality the network runs for each"
    assert set(after.dropped) <= {"stale", "buffer_full"}


def test_memory_is_flat_under_overload(tmp_path: Path) -> None:
    config = looping(tmp_path, latency_budget=0.2, to=(str(tmp_path / "clear.mkv"),))
    engine = EngineDouble(seconds=0.2)
    process = psutil.Process()
    with LivePipeline([config], dehazer=plain_dehazer(engine=engine), adapt=False) as pipeline:
        gate = pipeline.cameras["gate"]
        wait_until(lambda: gate.status().counters.frames_out > 30, "every part has what it needs")
        before = process.memory_info().rss
        wait_until(lambda: gate.status().counters.frames_out > 60, "it continues to work")
        grown = process.memory_info().rss - before
        assert gate.status().adapt_level == 0
        assert gate.status().buffered <= gate.config.buffer_frames
    assert grown < 10 << 20


def test_the_work_ends_with_the_last_file(tmp_path: Path) -> None:
    seen: list[Frame] = []
    config = CameraConfig(name="gate", url=film(tmp_path, frames=10))
    with LivePipeline([config], dehazer=quick_dehazer(), on_frame=lambda c, h, clear: seen.append(clear)) as pipeline:
        wait_until(lambda: pipeline.ended, "the end")
        wait_until(lambda: len(seen) == 10, "all frames")
        assert pipeline.cameras["gate"].machine.state is CameraState.ENDED
    assert pipeline.cameras["gate"].view.wait(after=10, timeout=5) is None


def test_a_missing_file_is_reported_once_and_looked_for_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "later.mp4"
    config = CameraConfig(name="gate", url=str(path), slow_retry_seconds=0.1)
    with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
        gate = pipeline.cameras["gate"]
        wait_until(lambda: gate.machine.state is CameraState.FAILED, "it is missed")
        time.sleep(0.5)
        os.rename(film(tmp_path), path)
        wait_until(lambda: gate.status().counters.frames_out > 0, "it is found")
    assert sum("does not exist" in record.getMessage() for record in caplog.records) == 1


def test_an_engine_that_fails_ends_all_work_with_its_reason(tmp_path: Path) -> None:
    def break_after_some_batches(engine: EngineDouble) -> None:
        if len(engine.batches) > 20:
            raise EngineError("the engine is broken")

    dehazer = plain_dehazer(engine=EngineDouble(before=break_after_some_batches))
    with LivePipeline([looping(tmp_path)], dehazer=dehazer) as pipeline:
        wait_until(pipeline.stopped.is_set, "all work ends")
    assert isinstance(pipeline.error, StreamDehazeError)
    assert str(pipeline.error) == "the engine is broken"


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    def things() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    def once() -> None:
        config = looping(tmp_path, to=(str(tmp_path / "clear.mkv"),))
        with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
            wait_until(lambda: pipeline.cameras["gate"].status().counters.frames_out > 3, "frames")

    once()
    before = things()
    for _ in range(3):
        once()
    wait_until(lambda: all(now <= then for now, then in zip(things(), before, strict=True)), "all is freed")

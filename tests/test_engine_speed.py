"""PyTorch replaces an engine only on good evidence: clearly faster twice, without load, in wall and processor time."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from doubles import EngineDouble, timing
from streamdehaze.cli import main
from streamdehaze.engine import EngineCache, Recipe, open_engine
from streamdehaze.engine.build.build import build_engine
from streamdehaze.engine.build.cache import EngineRecord
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.engine.build.speed import PairedTiming, needs_timing, prefers_pytorch, time_alternately

SLOW, FAST = timing(20, 10), timing(5, 10)
UNDER_LOAD = timing(20, 10, others=0.5)


@pytest.mark.parametrize(
    "timings",
    [
        (FAST,),
        (SLOW,),  # once is not enough
        (SLOW, FAST),
        (FAST, SLOW),
        (UNDER_LOAD, UNDER_LOAD),
        (SLOW, UNDER_LOAD),
        (UNDER_LOAD, SLOW),
        (timing(20, 10, others=None),) * 2,  # where load cannot be seen
        (timing(10.9, 10),) * 2,  # within the margin
        (timing(20, 10, processor=9),) * 2,  # load alone distorts wall time like that
        (timing(9, 10, processor=20),) * 2,
    ],
)
def test_the_engine_serves_unless_pytorch_was_clearly_faster_twice(timings: tuple[PairedTiming, ...]) -> None:
    assert not prefers_pytorch(timings)


def test_pytorch_serves_once_it_was_clearly_faster_twice() -> None:
    assert prefers_pytorch((SLOW, SLOW))
    assert prefers_pytorch((FAST, SLOW, SLOW))


@pytest.mark.parametrize(
    ("timings", "again"),
    [
        ((FAST,), False),
        ((UNDER_LOAD,), True),  # during the build
        ((UNDER_LOAD, UNDER_LOAD), False),  # today
        ((UNDER_LOAD, timing(20, 10, others=0.5, days_ago=2)), True),
        ((SLOW,), True),
        ((SLOW, SLOW), False),
        ((SLOW, timing(20, 10, days_ago=8)), True),
    ],
)
def test_only_what_depends_on_it_is_measured_again(timings: tuple[PairedTiming, ...], again: bool) -> None:
    assert needs_timing(timings) == again


def test_the_shortest_of_alternate_rounds_counts_in_wall_and_processor_time() -> None:
    order: list[str] = []

    def spin(engine: EngineDouble) -> None:
        order.append("engine")
        until = time.thread_time() + (0.05 if len(order) > 4 else 0.2)
        while time.thread_time() < until:
            pass

    found = time_alternately(
        EngineDouble(before=spin),
        EngineDouble(before=lambda engine: order.append("torch"), seconds=0.01),
        hazy_pictures(2, 8, 8),
        rounds=3,
    )
    assert order == ["engine", "torch"] * 3
    assert 25 <= found.processor_milliseconds < 100  # of the third round
    assert found.milliseconds >= found.processor_milliseconds - 1  # two clocks
    assert found.torch_milliseconds >= 10 > found.torch_processor_milliseconds  # it sleeps
    assert found.slower


@pytest.fixture
def busy() -> Iterator[None]:
    """One more busy process than the machine has cores."""

    program = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    children = [subprocess.Popen(program, stdout=subprocess.PIPE) for _ in range((os.cpu_count() or 1) + 1)]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        yield
    finally:
        for child in children:
            child.kill()
            child.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what other processes take")
def test_a_measurement_under_load_is_recognised(busy: None) -> None:
    engines = EngineDouble(seconds=0.05), EngineDouble(seconds=0.02)
    found = time_alternately(*engines, hazy_pictures(1, 8, 8))
    assert found.others is not None
    assert found.others > 0.5
    assert not found.calm


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the engine that `auto` takes for photos on a CPU."""
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("built")
    assert build_engine(BuildRequest("aecrnet-s", Recipe(engine="openvino")), EngineCache(folder)).state == "verified"
    return folder


@pytest.fixture
def cache(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:

    shutil.copytree(built, tmp_path / "engines")
    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(tmp_path / "engines"))
    return EngineCache()


def measured(cache: EngineCache, *timings: PairedTiming) -> None:
    """Record this as the measurement of the cached engine."""
    (record,) = cache.records()
    assert record.verification is not None
    changed = record.verification.model_copy(update={"timings": timings})
    cache.write(record.model_copy(update={"verification": changed}))


def the_record(cache: EngineCache) -> EngineRecord:
    (record,) = cache.records()
    return record


def test_one_bad_measurement_is_repeated_on_the_next_run_and_the_engine_serves(cache: EngineCache) -> None:
    measured(cache, SLOW)
    engine = open_engine("aecrnet-s", "auto", device="cpu", int8=False)
    assert engine.name.startswith("openvino")
    assert engine.note is None
    engine.close()
    verification = the_record(cache).verification
    assert verification is not None
    assert verification.timings[0] == SLOW
    assert len(verification.timings) == 2


def test_an_engine_that_was_slower_twice_is_set_aside_and_the_last_line_of_run_says_so(
    cache: EngineCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    measured(cache, SLOW, SLOW)
    photo = tmp_path / "hazy.png"
    cv2.imwrite(str(photo), (hazy_pictures(1, 64, 96)[0].transpose(1, 2, 0) * 255).astype(np.uint8))
    with caplog.at_level(logging.WARNING, logger="streamdehaze"):
        result = CliRunner().invoke(main, ["run", str(photo), "--network-size", "64"])
    assert result.exit_code == 0, result.output
    last = result.output.strip().splitlines()[-1]
    assert "torch cpu float32; the openvino engine was twice measured slower, last at 0.50 of PyTorch's speed" in last
    assert not caplog.records
    named = open_engine("aecrnet-s", "openvino", int8=False)  # those who name it get it
    assert named.name.startswith("openvino")
    named.close()


def test_the_reason_is_given_while_pytorch_serves_without_an_engine(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    engine = open_engine("aecrnet-s", "auto", device="cpu", cache=EngineCache(tmp_path))
    engine.infer(hazy_pictures(1, 64, 96))
    assert engine.name.startswith("torch")
    assert engine.note == "too little work to build the openvino engine"
    engine.close()

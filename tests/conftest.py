"""Settings for all tests: no library phones home, not even after `importorskip("openvino")`; and which are quick."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Generator, Iterator

import pytest

from streamdehaze.telemetry import hide_reporter

hide_reporter()

if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 4 << 30:
    # Files are constantly flushed to the disk, which takes most of the time of some tests; here that costs nothing.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")

QUICK = {
    "affine_ceiling", "checkpoints", "cli_help", "dehazing", "docs", "engine_recipe", "frame", "haze", "imports",
    "inputs", "layouts", "live_config", "live_freshness", "live_log", "live_timeline", "network", "pipeline",
    "public_api", "segments", "sequences", "stillness", "timestamps", "tone", "training_config", "widen",
}  # fmt: skip
"""Topics (`tests/test_TOPIC.py`) that encode little, start no servers, build no engines and train nothing.

`pytest -m quick` takes under 90 seconds on two cores."""


@pytest.fixture(autouse=True)
def unchanged_log() -> Iterator[None]:
    """A command that runs in a test sets up the package's log for its console; restore it for the next test."""
    log = logging.getLogger("streamdehaze")
    before = log.handlers, log.level, log.propagate
    yield
    log.handlers, log.level, log.propagate = before


@pytest.fixture
def engine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What becomes of an engine's answer is known only where nothing else has a say.

    The network for smoke (see `Smoke`) may take random pixels for it, and even pictures would pass for title cards.
    """
    monkeypatch.setattr("streamdehaze.dehaze.atmosphere.Atmosphere._smoke", lambda *_: None)
    monkeypatch.setattr("streamdehaze.dehaze.atmosphere.atmosphere.share_of_scene", lambda *_: 1.0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tests log file names that are not valid text, which xdist cannot send to the reporting process."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem.removeprefix("test_") in QUICK:
            item.add_marker("quick")

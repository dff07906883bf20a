"""Recordings of cameras have the times of what they show: intervals as they came, and the date of the first picture."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import av
import numpy as np
import pytest

from changing_camera import JpegCamera, jpeg
from doubles import quick_dehazer
from public_tools import ffprobe
from streamdehaze.live import CameraConfig, CameraState, LivePipeline
from streamdehaze.video.writing.target import LiveTarget
from test_live_pipeline import looping
from waiting import wait_until


@pytest.mark.parametrize("rate", [5, 10])
def test_a_camera_without_a_clock_is_recorded_at_the_speed_it_sends(tmp_path: Path, rate: int) -> None:
    picture = jpeg((160, 120))
    with JpegCamera(lambda number: picture, seconds=1 / rate) as camera:
        config = CameraConfig(name="gate", url=camera.url, to=(str(tmp_path / "gate.mkv"),))
        with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
            wait_until(lambda: pipeline.cameras["gate"].status().counters.frames_out >= 5 * rate, "five seconds")
            camera.close()
            wait_until(lambda: pipeline.cameras["gate"].machine.state is not CameraState.RUNNING, "all has arrived")
        sent = camera.sent
    (recording,) = tmp_path.glob("*.mkv")
    with av.open(str(recording)) as container:
        times = [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.pts is not None]
    assert np.median(np.diff(times)) == pytest.approx(1 / rate, rel=0.1)
    seconds = sent[-1] - sent[0]
    assert times[-1] - times[0] == pytest.approx(seconds, abs=1.0), "neither too fast nor too slow"


@pytest.mark.parametrize("ending", [".mkv", ".mp4", "/"])
def test_a_recording_says_when_it_began(tmp_path: Path, ending: str) -> None:
    to = str(tmp_path / "gate") + ending
    began = datetime.now(timezone.utc)
    with LivePipeline([looping(tmp_path, to=(to,))], dehazer=quick_dehazer()) as pipeline:
        wait_until(lambda: pipeline.cameras["gate"].status().counters.frames_out > 80, "some seconds")
    if ending == "/":
        lines = (tmp_path / "gate" / "index.m3u8").read_text().splitlines()
        found = next(line.partition(":")[2] for line in lines if line.startswith("#EXT-X-PROGRAM-DATE-TIME:"))
        stamp = datetime.strptime(found, "%Y-%m-%dT%H:%M:%S.%f%z")
    else:
        (recording,) = (path for path in tmp_path.glob(f"*{ending}") if path.name.startswith("gate-"))
        tags = ffprobe(recording, "-show_entries", "format_tags")["format"]["tags"]
        stamp = datetime.fromisoformat(tags["creation_time"].replace("Z", "+00:00"))
    assert began - timedelta(seconds=1) <= stamp <= datetime.now(timezone.utc)


def test_file_names_differ_in_the_hour_that_comes_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        target = LiveTarget.of(str(tmp_path / "gate.mkv"), "gate")
        assert target.free_file(1761438600).name == "gate-20251026-023000+0200.mkv"
        assert target.free_file(1761438600 + 3600).name == "gate-20251026-023000+0100.mkv"
    finally:
        monkeypatch.undo()
        time.tzset()

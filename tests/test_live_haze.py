"""The haze of a live camera: now, over the last day, and as an event."""

from __future__ import annotations

from pathlib import Path

import pytest

from clips import Clip
from doubles import quick_dehazer
from live_feed import RenderedPipeline
from streamdehaze.live import CameraConfig, LivePipeline
from streamdehaze.live.announcing.events import EventWatch
from streamdehaze.live.haze.history import HazeHistory
from streamdehaze.meter.reading import Reading
from streamdehaze.meter.visibility import Visibility
from waiting import wait_until


def reading(density: float, *, dark: bool = False) -> Reading:
    return Reading(density, (0.8, 0.8, 0.8), dark, agreed=density)


def test_the_history_holds_the_mean_of_each_minute_of_a_day_but_not_of_the_night() -> None:
    now = [6_000_000.0]
    history = HazeHistory(clock=lambda: now[0])
    assert history.newest is None
    for density in (0.2, 0.4):
        history.note(reading(density))
        now[0] += 30
    history.note(reading(0.9, dark=True))
    now[0] += 60
    same = reading(0.5)
    history.note(same)
    now[0] += 59
    history.note(same)
    assert history.minutes() == [(6_000_000, pytest.approx(0.3)), (6_000_120, 0.5)]
    assert history.newest is same
    now[0] += 2
    assert history.newest is None, "a minute without any other"
    now[0] += 24 * 3600 - 121
    assert history.minutes() == [(6_000_120, 0.5)]
    for _ in range(3000):
        now[0] += 60
        history.note(reading(0.1))
    assert len(history.minutes()) == 24 * 60


@pytest.mark.parametrize("enabled", [True, False])
def test_a_cameras_haze_is_known_only_while_it_is_measured(tmp_path: Path, enabled: bool) -> None:
    film = Clip().write(tmp_path / "film.mp4")
    with LivePipeline([CameraConfig(name="gate", url=str(film), enabled=enabled)], dehazer=quick_dehazer()) as live:
        wait_until(lambda: live.ended, "the end of the film")
        gate = live.cameras["gate"]
        assert gate.status().counters.frames_out > 0
        assert (gate.status().haze is not None) is enabled
        assert bool(gate.haze.minutes()) is enabled


def test_dense_fog_is_an_event_once_it_has_lasted_and_again_when_it_has_gone() -> None:
    pipeline, now = RenderedPipeline("gate"), [1000.0]
    gate = pipeline.cameras["gate"]
    gate.haze = HazeHistory(clock=lambda: now[0])
    watch = EventWatch(lambda: pipeline.cameras, [], clock=lambda: now[0])

    def after(seconds: int, density: float, *, dark: bool = False) -> list[tuple[str, float]]:
        events = []
        for _ in range(seconds):
            now[0] += 1
            gate.haze.note(reading(density, dark=dark))
            events += [(event.event, event.time) for event in watch.look()]
        return events

    assert after(100, 0.3) == []
    assert after(50, 0.8) == []
    assert after(10, 0.3) == [], "a bank of fog that has passed"
    assert after(100, 0.8) == [("fog_begins", 1161.0)]
    assert after(100, 0.1, dark=True) == [], "unknown at night"
    assert after(100, 0.3) == [("fog_ends", 1361.0)]
    gate.visibility = Visibility(150, 120, 190)
    assert after(100, 0.3) == [("fog_begins", 1461.0)], "metres count more than density"

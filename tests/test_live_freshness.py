"""What is dropped, in which order, and which quality is given up first."""

from __future__ import annotations

import threading
import time
from collections import Counter

import numpy as np
import pytest

from streamdehaze.frame import Frame
from streamdehaze.live.dehazing.adapt import Adapt, levels
from streamdehaze.live.dehazing.scheduler import FrameQueue, FrameScheduler, LiveFrame


def queue(name: str, drops: Counter[str], **options: object) -> FrameQueue:
    settings = {"limit": 4, "budget_seconds": 10.0, "patient": False, **options}
    return FrameQueue(name, drop=lambda reason, count: drops.update({reason: count}), **settings)  # type: ignore[arg-type]


def frame(number: int, *, age: float = 0.0) -> LiveFrame:
    now = time.monotonic()
    return LiveFrame(Frame.from_array(np.zeros((8, 8, 3), np.uint8), pts=number), now - age, now)


def taken(scheduler: FrameScheduler, count: int = 8) -> list[tuple[str, int | None]]:
    return [(queue.owner, live.frame.pts) for queue, live in scheduler.take(count, window_seconds=0, work_seconds=0)]


def test_a_full_lane_drops_its_oldest_frame_and_counts_it() -> None:
    scheduler, drops = FrameScheduler(), Counter[str]()
    scheduler.add(gate := queue("gate", drops))
    for number in range(6):
        scheduler.put(gate, frame(number))
    assert taken(scheduler) == [("gate", 2), ("gate", 3), ("gate", 4), ("gate", 5)]
    assert drops == {"buffer_full": 2}


def test_stale_frames_go_oldest_first_but_never_the_newest() -> None:
    scheduler, drops = FrameScheduler(), Counter[str]()
    scheduler.add(gate := queue("gate", drops, budget_seconds=0.2))
    scheduler.put(gate, frame(1, age=0.5))
    scheduler.put(gate, frame(2, age=0.4))
    scheduler.put(gate, frame(3, age=0.1))
    assert taken(scheduler) == [("gate", 3)]
    assert drops == {"stale": 2}
    scheduler.put(gate, frame(4, age=9.0))
    assert taken(scheduler) == [("gate", 4)]


def test_a_frame_that_cannot_be_ready_in_time_is_already_stale() -> None:
    scheduler, drops = FrameScheduler(), Counter[str]()
    scheduler.add(gate := queue("gate", drops, budget_seconds=0.2))
    scheduler.put(gate, frame(1, age=0.1))
    scheduler.put(gate, frame(2))
    batch = scheduler.take(8, window_seconds=0, work_seconds=0.15)
    assert [live.frame.pts for _, live in batch] == [2]


def test_cameras_share_batches_in_turn() -> None:
    scheduler, drops = FrameScheduler(), Counter[str]()
    busy, calm = queue("busy", drops, limit=100), queue("calm", drops, limit=100)
    scheduler.add(busy)
    scheduler.add(calm)
    for number in range(10):
        scheduler.put(busy, frame(number))
    for number in range(3):
        scheduler.put(calm, frame(number))
    owners = [[owner for owner, _ in taken(scheduler, 3)] for _ in range(3)]
    assert owners == [["busy", "calm", "busy"], ["calm", "busy", "calm"], ["busy", "busy", "busy"]]


def test_a_batch_waits_no_longer_than_its_window_for_a_silent_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler, drops = FrameScheduler(), Counter[str]()
    scheduler.add(gate := queue("gate", drops))
    scheduler.add(queue("dead", drops))
    scheduler.put(gate, frame(1))
    waits: list[float | None] = []
    really_wait = threading.Condition.wait

    def wait(condition: threading.Condition, timeout: float | None = None) -> bool:
        waits.append(timeout)
        return really_wait(condition, timeout)

    monkeypatch.setattr(threading.Condition, "wait", wait)
    assert len(scheduler.take(8, window_seconds=0.02, work_seconds=0)) == 1
    assert waits
    assert all(seconds is not None and seconds <= 0.02 for seconds in waits)


def test_a_patient_lane_waits_for_room_instead_of_dropping() -> None:
    scheduler, drops = FrameScheduler(), Counter[str]()
    scheduler.add(film := queue("film", drops, limit=1, patient=True, budget_seconds=0.001))
    numbers: list[int | None] = []
    putter = threading.Thread(target=lambda: [scheduler.put(film, frame(n)) for n in range(5)])
    putter.start()
    while len(numbers) < 5:
        numbers += [number for _, number in taken(scheduler, 1)]
    putter.join()
    assert numbers == [0, 1, 2, 3, 4]
    assert not drops


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def work(adapt: Adapt, clock: Clock, seconds: float, *, cost: float, late: bool) -> None:
    """Work on ten batches per second, each taking the level's share of `cost` of the time, all of it in the network."""
    for _ in range(round(seconds * 10)):
        clock.now += 0.1
        busy = min(0.1, 0.1 * cost * adapt.level.cost / levels(256)[0].cost)
        if late and busy >= 0.1:
            adapt.late()
        adapt.worked(busy, busy)


def test_quality_steps_down_until_it_keeps_up_and_back_up_when_it_can() -> None:
    clock = Clock()
    adapt = Adapt(256, clock=clock)
    assert str(adapt.level) == "network on every frame at 256 pixels"
    work(adapt, clock, 10, cost=2.5, late=True)  # at full quality two and a half times as much as there is time for
    assert str(adapt.level) == "network on every 3rd frame at 256 pixels"
    work(adapt, clock, 30, cost=2.5, late=False)
    assert adapt.index == 2, "stays where it keeps up"
    work(adapt, clock, 30, cost=0.3, late=False)
    assert adapt.index == 0


def test_quality_stays_when_frames_come_late_for_another_reason() -> None:
    clock = Clock()
    adapt = Adapt(256, clock=clock)
    for _ in range(100):
        clock.now += 0.1
        adapt.late()
        adapt.worked(0.01, 0.01)
    assert adapt.index == 0


def test_quality_can_be_fixed() -> None:
    clock = Clock()
    adapt = Adapt(256, enabled=False, clock=clock)
    work(adapt, clock, 20, cost=5, late=True)
    assert adapt.index == 0


def test_each_step_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    work(Adapt(256, clock=clock), clock, 3, cost=1.5, late=True)
    assert "quality goes down to level 1, network on every 2nd frame at 256 pixels" in caplog.text


def test_levels_only_get_cheaper() -> None:
    costs = [level.cost for level in levels(256)]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == len(costs)


@pytest.mark.parametrize("network_size", [16, 32, 64, 96])
def test_levels_of_small_networks_only_get_cheaper_too(network_size: int) -> None:
    steps = levels(network_size)
    costs = [level.cost for level in steps]
    assert costs == sorted(costs, reverse=True)
    assert len(set(steps)) == len(steps)
    assert max(level.network_size for level in steps) == network_size

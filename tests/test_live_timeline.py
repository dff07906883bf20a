"""Time stamps of cameras: their own where sane, the arrival clock otherwise, and always growing."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from streamdehaze.video.reading.timeline import Timeline

TICK = Fraction(1, 90000)
STEP = 6000  # 15 frames a second


def grows(times: list[int]) -> bool:
    return all(a < b for a, b in pairwise(times))


def test_the_cameras_own_steps_survive_uneven_arrival() -> None:
    timeline = Timeline()
    late = [0.0, 0.09, 0.1, 0.11, 0.4, 0.41]
    times = [timeline.place(5_000_000 + n * STEP, TICK, 100 + late[n]) for n in range(6)]
    assert times == [n * STEP for n in range(6)]


def test_first_frames_without_times_go_by_arrival() -> None:
    timeline = Timeline()
    times = [timeline.place(None, TICK, 10.0), timeline.place(None, TICK, 10.1)]
    times += [timeline.place(77_000 + n * STEP, TICK, 10.2 + n / 15) for n in range(3)]
    assert times == [0, 9000, 18000, 24000, 30000]


def test_a_burst_that_begins_without_a_time_is_spread_by_the_cameras_steps() -> None:
    timeline = Timeline()
    times = [timeline.place(None, TICK, 10.0)]
    times += [timeline.place(77_000 + n * STEP, TICK, 10.0) for n in range(3)]
    assert times == [0, 3600, 9600, 15600]


@pytest.mark.parametrize("bits", [32, 33])
def test_a_clock_that_wraps_goes_on(bits: int) -> None:
    timeline = Timeline()
    first = (1 << bits) - 3 * STEP
    times = [timeline.place((first + n * STEP) % (1 << bits), TICK, n / 15) for n in range(8)]
    assert times == [n * STEP for n in range(8)]
    assert timeline.corrected == 0


def test_a_clock_that_jumps_is_corrected_by_arrival() -> None:
    timeline = Timeline()
    stamps = [0, STEP, 2 * STEP, 90_000_000, 90_000_000 + STEP, STEP, 2 * STEP]
    times = [timeline.place(stamp, TICK, n / 15) for n, stamp in enumerate(stamps)]
    assert grows(times)
    assert times == pytest.approx([n * STEP for n in range(7)], abs=2)
    assert timeline.corrected == 2


def test_a_clock_at_the_wrong_speed_is_given_up_for_arrival() -> None:
    timeline = Timeline()
    times = [timeline.place(n * 2 * STEP, TICK, n / 15) for n in range(400)]  # says 7.5 fps, sends 15
    assert grows(times)
    assert times[-1] == pytest.approx(399 * STEP, abs=2)


@pytest.mark.parametrize("stamp", [0, -5])
def test_a_clock_that_stands_still_still_grows(stamp: int) -> None:
    timeline = Timeline()
    times = [timeline.place(stamp, TICK, n / 15) for n in range(200)]
    assert grows(times)
    assert times[-1] == pytest.approx(199 * STEP, abs=2)


def test_an_outage_is_as_long_in_the_output() -> None:
    timeline = Timeline()
    for n in range(3):
        timeline.place(1000 + n * STEP, TICK, n / 15)
    timeline.reconnect()
    assert timeline.place(55, TICK, 60.0) == 60 * 90000
    assert timeline.place(55 + STEP, TICK, 60.3) == 60 * 90000 + STEP


def test_sound_follows_the_pictures() -> None:
    timeline = Timeline()
    assert timeline.of(8000, Fraction(1, 8000)) is None
    timeline.place(90_000, TICK, 50.0)
    timeline.place(90_000 + STEP, TICK, 50.07)
    assert timeline.of(8000 + 800, Fraction(1, 8000)) == 9000


def test_sound_stays_with_the_pictures_of_a_clock_that_is_given_up() -> None:
    timeline = Timeline()
    for n in range(900):  # a minute, by a clock at double speed
        at = timeline.place(2 * n * STEP, TICK, n / 15)
        sound = timeline.of(2 * n * STEP, TICK)
        assert sound is not None
        assert abs(sound - at) < 4 * 90000, n
    assert abs(sound - at) < 90


def test_a_file_keeps_its_times_however_fast_it_is_read_and_goes_on_when_it_begins_again() -> None:
    timeline = Timeline(follow_arrival=False)
    tick = Fraction(1, 30)
    times = [timeline.place(n, tick, 0.001 * n) for n in range(4)]
    timeline.reconnect()
    times += [timeline.place(n, tick, 0.01 + 0.001 * n) for n in range(4)]
    assert times == [n * 3000 for n in range(8)]

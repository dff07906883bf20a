"""Timestamps of cameras: their own if sane, the arrival clock otherwise, and always increasing."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import av
import pytest
from av.packet import Packet

from streamdehaze.video.reading.times.timeline import Timeline
from streamdehaze.video.writing.sound import AacSound

TICK = Fraction(1, 90000)
STEP = 6000  # 15 frames a second


def grows(times: list[int]) -> bool:
    return all(a < b for a, b in pairwise(times))


def test_the_cameras_own_intervals_survive_uneven_arrival() -> None:
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
def test_a_clock_that_wraps_continues(bits: int) -> None:
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


def test_a_clock_at_the_wrong_speed_is_slewed_to_arrival() -> None:
    timeline = Timeline()
    times = [timeline.place(n * 2 * STEP, TICK, n / 15) for n in range(400)]  # says 7.5 fps, sends 15
    assert grows(times)
    assert times[-1] == pytest.approx(399 * STEP, abs=0.04 * 90000)


@pytest.mark.parametrize("jitter", [0.0, 0.05])
@pytest.mark.parametrize(
    ("true", "claimed", "hours"),
    [
        pytest.param(1 / 5, 1 / 5 * 1.0001, 10, id="100 ppm fast"),
        pytest.param(1 / 5, 1 / 5 / 1.0001, 10, id="100 ppm slow"),
        pytest.param(1 / 5, 1.05 / 5, 10, id="5 % fast"),
        pytest.param(1 / 21, 1 / 25, 1, id="21 for 25"),
        pytest.param(1 / 10, 1 / 25, 1, id="10 for 25"),
        pytest.param(1 / 5, 1 / 25, 1, id="5 for 25"),
        pytest.param(1 / 15, 2 / 15, 1, id="15 for 7.5"),
    ],
)
def test_a_clock_that_is_off_is_followed_without_a_jump(
    true: float, claimed: float, hours: float, jitter: float
) -> None:
    timeline, random = Timeline(), Random(1)
    before, settled = 0, 60 / true
    for n in range(int(3600 * hours / true)):
        arrival = n * true
        at = timeline.place(round(n * claimed * 90000), TICK, arrival + jitter * random.random())
        if arrival > 2:
            assert 0.5 < (at - before) / 90000 / true < 2
        off = abs(at / 90000 - arrival)
        assert off < (0.04 if n > settled and timeline.corrected and abs(true - claimed) > 0.001 else 4), arrival
        sound = timeline.of(round(n * claimed * 90000) + 900, TICK)
        assert sound is not None
        assert abs(sound - at - 900) < 0.08 * 90000
        before = at


def test_a_good_clock_is_left_alone_through_congestion() -> None:
    timeline, times = Timeline(), []
    for n in range(15 * 600):
        behind = (430 - n % 900) / 15  # once a minute nothing comes for two seconds, then everything at once
        late = behind if 0 < behind < 2 else 0.03 * (n % 3)
        times.append(timeline.place(n * STEP, TICK, n / 15 + late))
    assert times == [n * STEP for n in range(len(times))]
    assert timeline.corrected == 0


def test_a_burst_at_the_beginning_does_not_set_the_clock() -> None:
    timeline = Timeline()  # a server that had buffered six seconds
    times = [timeline.place(n * STEP, TICK, max(n * 0.01, n / 15 - 5.0)) for n in range(3000)]
    steps = [after - before for before, after in pairwise(times)]
    assert min(steps) > STEP / 2
    assert max(steps) < 2 * STEP


@pytest.mark.parametrize("stamp", [0, -5])
def test_times_grow_even_if_the_clock_stands_still(stamp: int) -> None:
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


@pytest.mark.parametrize("speed", [0.95, 1.05])
def test_converted_sound_stays_with_pictures_that_are_slewed_and_never_overlaps(speed: float) -> None:
    decoder: Any = av.CodecContext.create("pcm_alaw", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    sound = AacSound(decoder, live=True)
    packets = [
        each for n in range(3000) for each in sound.convert(Packet(bytes(160)), Fraction(n, 50) * Fraction(speed))
    ]
    times = [float(packet.pts * TICK) for packet in [*packets, *sound.convert(None)]]
    assert min(after - before for before, after in pairwise(times)) > 0.127
    assert times[-1] + 0.128 == pytest.approx(60 * speed, abs=0.08 + 0.128)


def test_a_file_keeps_its_times_however_fast_it_is_read_and_continues_when_it_loops() -> None:
    timeline = Timeline(follow_arrival=False)
    tick = Fraction(1, 30)
    times = [timeline.place(n, tick, 0.001 * n) for n in range(4)]
    timeline.reconnect()
    times += [timeline.place(n, tick, 0.01 + 0.001 * n) for n in range(4)]
    assert times == [n * 3000 for n in range(8)]

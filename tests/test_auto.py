"""`--mode auto`: full strength in fog, no change in clear air, and no switching back and forth in between."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from clips import Clip
from doubles import ListSink, engine_of, plain_dehazer
from streamdehaze import Dehazer, Frame, dehaze_video, open_source
from streamdehaze.cli import main
from streamdehaze.frame import FloatArray
from streamdehaze.meter.auto import CLEAR_SECONDS, DOWN_SECONDS, OFF, ON, AutoStrength

RATE = 25


def run(auto: AutoStrength, densities: list[float], *, start: float = 0.0, step: float = 1 / RATE) -> list[float]:
    """Levels of frames with these densities."""
    return [auto.follow(d, start + index * step, starts=False) for index, d in enumerate(densities)]


def test_a_scene_starts_with_what_it_calls_for() -> None:
    auto = AutoStrength()
    assert run(auto, [0.4]) == [1.0]
    assert auto.follow(0.05, 0.1, starts=True) == 0.0
    assert auto.follow(0.5, 0.2, starts=True) == 1.0
    assert auto.changes == 0


def test_approaching_fog_is_cleared_within_seconds_and_without_a_jump() -> None:
    levels = run(AutoStrength(), [0.05] * 50 + [0.5] * 300)
    assert levels[49] == 0
    assert levels[-1] == 1
    assert max(np.diff(levels)) < 0.02


def test_air_must_stay_clear_for_a_while_before_it_is_left_alone() -> None:
    auto = AutoStrength()
    levels = run(auto, [0.5] + [0.05] * int(RATE * (CLEAR_SECONDS - 5)))
    assert levels[-1] == 1
    levels = run(auto, [0.05] * int(RATE * (DOWN_SECONDS + 25)), start=CLEAR_SECONDS)
    assert levels[-1] == 0
    assert min(np.diff(levels)) > -0.01


@pytest.mark.parametrize("period", [20, 60, 300, 600])
def test_haze_that_drifts_around_the_threshold_does_not_switch(period: float) -> None:
    """Half an hour, with the noise of individual measurements."""
    auto, rng = AutoStrength(), np.random.default_rng(0)
    seconds = np.arange(0, 1800, 0.2)
    densities = (ON + OFF) / 2 + 0.03 * np.sin(2 * np.pi * seconds / period) + rng.normal(0, 0.01, len(seconds))
    run(auto, list(densities), step=0.2)
    assert auto.changes <= 2


def test_it_follows_as_fast_where_the_network_seldom_runs() -> None:
    each, seldom = AutoStrength(), AutoStrength()
    for index in range(200):
        density = 0.05 if index < 50 else 0.5
        each.follow(density, index / RATE, starts=False)
        seldom.follow(density if index % 3 == 0 else None, index / RATE, starts=False)
    assert seldom.level == pytest.approx(each.level, abs=0.05)


def test_a_second_opinion_is_asked_where_there_may_be_haze_and_once_a_second() -> None:
    auto, asked = AutoStrength(), []

    def recognize() -> float:
        asked.append(True)
        return 0.001

    levels = [
        auto.follow(0.05 if index < 25 else 0.25, index / RATE, starts=index in (0, 60), second_opinion=recognize)
        for index in range(80)
    ]
    assert not any(levels)
    assert len(asked) == 3  # at 1 s, at 2 s, and at 2.4 s, where a scene starts


@pytest.mark.parametrize(("recognized", "level"), [(0.02, 0), (0.5, 1)])
def test_a_second_opinion_decides_in_doubt(recognized: float, level: int) -> None:
    assert AutoStrength().follow(0.2, 0.0, starts=True, second_opinion=lambda: recognized) == level


def test_no_second_opinion_makes_haze_of_clear_air_or_clears_thick_fog() -> None:
    assert AutoStrength().follow(0.06, 0.0, starts=True, second_opinion=lambda: 1.0) == 0
    assert AutoStrength().follow(0.7, 0.0, starts=True, second_opinion=lambda: 0.02) == 1


def unveil(picture: FloatArray) -> FloatArray:
    """A "network" that clears drawn fog completely, and leaves pictures that contain black as they are."""
    least = float(picture.min(axis=0).min())
    return (picture - 0.8 * least) / (1 - 0.8 * least) if least > 0.1 else picture


def film(frames: int, veil: float) -> list[Frame]:
    """A texture behind a veil."""
    wall = np.random.default_rng(0).integers(0, 200, (96, 160, 3)).astype(np.float32)
    wall[:16] = 200  # a sky
    shown = (wall * (1 - veil) + 200 * veil).astype(np.uint8)
    return [Frame.from_array(shown, pts=index, time_base=Fraction(1, RATE)) for index in range(frames)]


@pytest.mark.parametrize("settings", [{}, {"steady": "low"}, {"steady": "low", "every": 2, "look_ahead": True}])
def test_clear_frames_pass_bit_for_bit_and_foggy_ones_as_with_on(settings: dict[str, object]) -> None:
    for veil, mode in ((0.0, "off"), (0.7, "on")):
        found = {}
        for each in ("auto", mode):
            dehazer = plain_dehazer(engine=engine_of(unveil), mode=each, **settings)
            found[each] = dehazer.process(film(6, veil)) + dehazer.flush()
        for a, b in zip(found["auto"], found[mode], strict=True):
            assert np.array_equal(a.to_array(), b.to_array()), (veil, settings)


def test_following_continues_from_a_saved_state() -> None:
    whole, parts = (plain_dehazer(engine=engine_of(unveil), mode="auto", strength=0.9) for _ in range(2))
    frames = [
        Frame.from_array(frame.to_array(), pts=index, time_base=frame.time_base)
        for index, frame in enumerate(film(20, 0.0) + film(40, 0.7))
    ]
    expected = whole.process(frames)
    first = parts.process(frames[:30])
    state = parts.state_dict()
    parts.reset()
    parts.load_state_dict(state)
    found = first + parts.process(frames[30:])
    assert 0 < whole.video.applied_strength < 0.9
    assert all(np.array_equal(a.to_array(), b.to_array()) for a, b in zip(found, expected, strict=True))


def test_a_photo_without_a_time_is_judged_by_itself() -> None:
    dehazer = plain_dehazer(engine=engine_of(unveil), mode="auto")
    foggy, clear = (film(1, veil)[0].to_array() for veil in (0.7, 0.0))
    assert not np.array_equal(dehazer(foggy), foggy)
    assert np.array_equal(dehazer(clear), clear)
    assert not np.array_equal(dehazer(foggy), foggy)


def test_the_report_has_the_haze_and_the_strength_by_the_second(tmp_path: Path) -> None:
    path = Clip(pts=tuple(range(0, 30 * 512, 512))).write(tmp_path / "noise.mp4")
    with Dehazer(engine=engine_of(unveil), mode="auto") as dehazer, open_source(path) as source:
        haze = dehaze_video(source, ListSink(), dehazer=dehazer).as_dict()["haze"]
    json.dumps(haze)
    assert [row["second"] for row in haze["by_second"]] == [0, 1]
    assert 0 <= haze["density"]["least"] <= haze["density"]["mean"] <= haze["density"]["most"] <= 1
    assert sum(haze["seconds_of"].values()) == 2


def test_an_unknown_mode_is_refused_with_the_list_of_modes() -> None:
    shown = CliRunner().invoke(main, ["run", "x.mp4", "--mode", "automatic"])
    assert shown.exit_code == 2
    assert "'on', 'auto', 'off'" in shown.output

"""The colour of the haze: found, removed, restored."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from slow_film import slow_film
from streamdehaze.cli import main
from streamdehaze.control.color import parse_color, show_color
from streamdehaze.dehaze.atmosphere import Atmosphere
from streamdehaze.dehaze.atmosphere.airlight import AIRLIGHT_MODES, Airlight, estimate_airlight
from streamdehaze.dehaze.stream import Stream
from streamdehaze.errors import ConfigError
from streamdehaze.frame import FloatArray
from streamdehaze.pipeline.pick import Point, pick_airlight

SAND = np.array([0.85, 0.7, 0.5], np.float32)


def foggy(A: np.ndarray, thickness: float = 2.0, seed: int = 1) -> tuple[FloatArray, FloatArray]:
    """A hazy and a clear picture, (3, 96, 128), of coloured blocks whose distance grows towards the top."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.uniform(0, 0.9, (12, 16, 3)), np.ones((8, 8, 1))).astype(np.float32)
    blocks[rng.random(blocks.shape[:2]) < 0.2] = 0.02
    t = np.exp(-thickness * np.linspace(1, 0.1, 96, dtype=np.float32))[:, None, None]
    hazy = blocks * t + A * (1 - t)
    hazy[:16] = A
    return hazy.transpose(2, 0, 1).astype(np.float32), blocks.transpose(2, 0, 1)


@pytest.mark.parametrize("A", [[0.8, 0.8, 0.8], SAND, [0.35, 0.3, 0.25], [0.7, 0.8, 0.9]])
def test_airlight_is_found_within_a_hundredth(A: list[float]) -> None:
    found = estimate_airlight(foggy(np.array(A, np.float32))[0])
    np.testing.assert_allclose(found.color, A, atol=0.01)


def test_lamps_white_cars_and_bars_do_not_fool_it() -> None:
    hazy, _ = foggy(SAND)
    lit = hazy.copy()
    for x in range(10, 120, 20):
        lit[:, 40:42, x : x + 2] = 1.0  # lamps
    lit[:, 80:84, 60:70] = 0.98  # a white car
    lit[:, :6] = lit[:, -6:] = 0.0
    np.testing.assert_allclose(estimate_airlight(lit).color, SAND, atol=0.02)


def test_covered_parts_do_not_count() -> None:
    hazy, _ = foggy(np.array([0.6, 0.6, 0.6], np.float32))
    hazy[:, 50:96, 64:] = np.array([1, 0.9, 0.2], np.float32)[:, None, None]
    hazy[:, 60:90, 70:120] = 1.0  # a large white logo on yellow
    scene = np.ones((96, 128), bool)
    scene[48:, 62:] = False
    np.testing.assert_allclose(estimate_airlight(hazy, scene).color, 0.6, atol=0.01)
    assert estimate_airlight(hazy).color.max() > 0.9


def test_density_grows_with_the_haze_and_not_with_the_exposure() -> None:
    A = np.array([0.8, 0.8, 0.8], np.float32)
    densities = [estimate_airlight(foggy(A, thickness)[0]).density for thickness in (0.1, 0.5, 1, 2, 4)]
    assert densities == sorted(densities)
    bright = estimate_airlight(foggy(A, 1)[0]).density
    dim = estimate_airlight(foggy(A, 1)[0] * 0.5).density
    assert dim == pytest.approx(bright, abs=0.01)


def test_balanced_haze_is_grey_and_keep_restores_its_colour() -> None:
    hazy, _ = foggy(SAND)
    airlight = estimate_airlight(hazy)
    balanced = hazy * airlight.balance[:, None, None]
    assert np.ptp(balanced[:, 5, 5]) < 0.01
    np.testing.assert_allclose(balanced * airlight.turn_back(airlight.share(balanced), "keep"), hazy, atol=1e-6)


def test_auto_neutralises_what_sand_has_tinted_and_keeps_what_is_near() -> None:
    hazy, _ = foggy(SAND)
    airlight = estimate_airlight(hazy)
    balanced = hazy * airlight.balance[:, None, None]
    result = balanced * airlight.turn_back(airlight.share(balanced), "auto")
    before, after = (np.ptp(x[:, 5, 5]) / x[:, 5, 5].mean() for x in (hazy, result))
    assert after < 0.5 * before
    np.testing.assert_allclose(result[:, 90:], hazy[:, 90:], rtol=0.05)


def test_auto_keeps_a_weak_tint() -> None:
    dusk = np.array([0.71, 0.7, 0.69], np.float32)
    airlight = estimate_airlight(foggy(dusk)[0])
    balanced = foggy(dusk)[0] * airlight.balance[:, None, None]
    np.testing.assert_array_equal(
        airlight.turn_back(airlight.share(balanced), "auto"), airlight.turn_back(airlight.share(balanced), "keep")
    )


def test_a_clear_picture_is_not_balanced_by_its_brightest_wall() -> None:
    rng = np.random.default_rng(3)
    rooms = np.kron(rng.uniform(0, 0.6, (3, 12, 16)), np.ones((1, 8, 8))).astype(np.float32)
    rooms[:, rng.random((96, 128)) < 0.3] *= 0.05
    rooms[:, :30, :40] = np.array([0.9, 0.7, 0.5], np.float32)[:, None, None]
    np.testing.assert_allclose(estimate_airlight(rooms).balance, 1, atol=1e-6)


def among_yellow_trees(A: list[float], *, sky: bool = True) -> FloatArray:
    """Haze in front of nothing but yellow trees, with or without a sky above; without, its colour might be a wall's."""
    rng = np.random.default_rng(4)
    trees = np.kron(rng.uniform(0.1, 0.5, (12, 16, 1)), np.ones((8, 8, 1))) * np.array([1.0, 0.75, 0.2])
    hazy = trees * 0.5 + 0.5 * np.array(A)
    if sky:
        hazy[:24] = A
    else:
        hazy[40:64, 30:90] = A
    return np.ascontiguousarray(hazy.transpose(2, 0, 1).astype(np.float32))


def test_the_sky_gives_the_tint_of_haze_where_everything_dark_is_yellow() -> None:
    bluish = [0.74, 0.83, 0.86]
    balance = estimate_airlight(among_yellow_trees(bluish)).balance
    np.testing.assert_allclose(balance * bluish, np.mean(bluish), atol=0.01)
    np.testing.assert_allclose(estimate_airlight(among_yellow_trees(bluish, sky=False)).balance, 1, atol=0.01)


def test_the_sky_gives_the_tint_between_letterbox_bars() -> None:
    bluish = [0.74, 0.83, 0.86]
    barred, scene = among_yellow_trees(bluish), np.ones((96, 128), bool)
    barred[:, :8] = barred[:, -8:] = barred[:, 40:48]
    scene[:8] = scene[-8:] = False
    balance = estimate_airlight(barred, scene).balance
    np.testing.assert_allclose(balance * bluish, np.mean(bluish), atol=0.01)


def test_a_blue_sky_does_not_give_the_tint_of_haze() -> None:
    np.testing.assert_allclose(estimate_airlight(among_yellow_trees([0.55, 0.7, 0.88])).balance, 1, atol=0.01)


@pytest.mark.parametrize("mode", AIRLIGHT_MODES)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_pictures_stay_finite(mode: str, level: float) -> None:
    flat = np.full((3, 16, 20), level, np.float32)
    airlight = estimate_airlight(flat)
    share = airlight.share(flat * airlight.balance[:, None, None])
    factors = airlight.turn_back(share, mode)  # type: ignore[arg-type]
    assert np.isfinite(factors).all()
    assert 0 <= airlight.density <= 1


def test_the_estimate_hardly_moves_with_sensor_noise() -> None:
    hazy, _ = foggy(SAND)
    noise = np.random.default_rng(5).normal(0, 0.02, hazy.shape).astype(np.float32)
    noisy = cv2.blur((hazy + noise).transpose(1, 2, 0), (2, 2)).transpose(2, 0, 1)
    np.testing.assert_allclose(estimate_airlight(noisy).color, estimate_airlight(hazy).color, atol=0.015)


def test_a_warm_wall_in_grey_haze_is_not_the_colour_of_the_haze() -> None:
    rng = np.random.default_rng(6)
    room = np.kron(rng.uniform(0.0, 0.5, (12, 16, 1)), np.ones((8, 8, 3)))
    room[:30, :50] = [0.9, 0.7, 0.5]
    t = np.exp(-1.2 * np.linspace(1, 0.4, 96))[:, None, None]
    hazy = (room * t + 0.8 * (1 - t)).transpose(2, 0, 1).astype(np.float32)
    airlight = estimate_airlight(hazy)
    assert airlight.tint > 0.06  # the wall is the brightest of all
    assert airlight.density > 0.4  # and there is haze
    np.testing.assert_allclose(airlight.balance, 1, atol=0.01)
    balanced = hazy * airlight.balance[:, None, None]
    np.testing.assert_allclose(balanced * airlight.turn_back(airlight.share(balanced), "auto"), hazy, atol=0.01)


def test_an_overexposed_airlight_has_no_colour() -> None:
    """A clipped channel may have been brighter than the others, so the haze does not count as tinted."""
    hazy, _ = foggy(np.array([1.0, 0.9, 0.78], np.float32))
    assert spread_of(estimate_airlight(hazy * np.float32(0.9))) > 0.15
    assert spread_of(estimate_airlight(hazy)) == 0


def spread_of(airlight: Airlight) -> float:
    return float(np.ptp(airlight.balance))


def test_a_colour_that_is_given_is_balanced_by_whatever_the_picture_shows() -> None:
    hazy, _ = foggy(np.array([0.8, 0.8, 0.8], np.float32))
    atmosphere = Atmosphere()
    given = atmosphere.balance(hazy, color=(0.85, 0.7, 0.5)).airlight
    np.testing.assert_allclose(given.color, SAND)
    np.testing.assert_allclose(given.balance * given.color, SAND.mean(), atol=1e-6)
    changed = atmosphere.balance(hazy, color=(0.5, 0.5, 0.6), starts=False).airlight
    np.testing.assert_allclose(changed.color, (0.5, 0.5, 0.6))


@pytest.mark.parametrize("text", ["#c8b48c", "200,180,140", " 200, 180, 140 "])
def test_colours_are_given_in_hex_or_as_three_numbers(text: str) -> None:
    assert parse_color(text) == pytest.approx((200 / 255, 180 / 255, 140 / 255))
    assert show_color(parse_color(text)) == "#c8b48c"


@pytest.mark.parametrize("text", ["sand", "#c8b4", "1,2", "256,0,0", "0.5,0.5,0.5"])
def test_what_is_not_a_colour_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write #c8b48c, or 200,180,140"):
        parse_color(text)


@pytest.fixture
def sandstorm(tmp_path: Path) -> Path:
    """A photo whose upper half is sand and whose lower half is grey."""
    picture = np.full((72, 96, 3), 120, np.uint8)
    picture[:36] = (SAND * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "storm.png"), picture[..., ::-1])
    return tmp_path / "storm.png"


def test_the_colour_is_picked_at_a_point(sandstorm: Path) -> None:
    found = pick_airlight(str(sandstorm), Point(40, 10), Stream())
    assert found == pytest.approx(tuple(SAND), abs=0.005)
    assert Stream(airlight_color=found).settings["airlight_color"] == found
    with pytest.raises(ConfigError, match="the point 96,10 lies outside the frame of 96x72 pixels"):
        pick_airlight(str(sandstorm), Point(96, 10), Stream())
    with pytest.raises(ConfigError, match="from a pipe, which is read once"):
        pick_airlight("-", Point(1, 1), Stream())
    with pytest.raises(ConfigError, match="#050505 is too dark to be the colour of haze"):
        Stream(airlight_color=(0.02, 0.02, 0.02))


def test_a_moment_after_the_end_is_named(tmp_path: Path) -> None:
    film = slow_film(tmp_path / "film.mp4", 4, (96, 72))
    with pytest.raises(ConfigError, match=r"no frame of '.*film.mp4' at 90 seconds or later can be read"):
        pick_airlight(str(film), Point(1, 1, 90), Stream())


def test_run_takes_the_colour_or_a_point(sandstorm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    balance = Atmosphere.balance

    def spy(self: Atmosphere, *given: object, color: object = None, **more: object) -> object:
        seen.append(color)
        return balance(self, *given, color=color, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Atmosphere, "balance", spy)
    for arguments in (["--airlight-color", "#d9b380"], ["--airlight-at", "40,10"]):
        done = CliRunner().invoke(main, ["run", str(sandstorm), "--engine", "torch", "--overwrite", *arguments])
        assert done.exit_code == 0, done.output
        assert seen.pop() == pytest.approx((0.85, 0.7, 0.5), abs=0.01)
    done = CliRunner().invoke(main, ["run", str(sandstorm), "--airlight-color", "#d9b380", "--airlight-at", "40,10"])
    assert (done.exit_code, "contradict each other" in done.output) == (2, True)

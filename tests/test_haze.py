"""Haze made on the fly obeys its equation, is reproducible, and stays the same over a sequence."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pydantic")

from streamdehaze.datasets.haze import Haze, HazeConfig, leave_unseen
from streamdehaze.datasets.look import LookConfig, vary_look
from streamdehaze.datasets.picture import SKY_DEPTH
from streamdehaze.datasets.rendered.scenes import TEXTURE_SIZE, render_room, render_town
from training_data import depth, picture

PLAIN = HazeConfig(clear=0, offset=0, uneven=0, bright=0, tinted=0, slope=0, noisy=0, codec=0)
J = picture(0).astype(np.float32) / 255
D = depth(0).astype(np.float32) / 212.5


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_haze_follows_koschmieder() -> None:
    config = PLAIN.model_copy(
        update={"scattering": (1.5, 1.5), "depth_scale": (1, 1), "airlight": (0.8, 0.8), "tint": 0}
    )
    hazy = Haze.draw(config, rng()).add_to(J, D, rng())
    t = np.exp(-1.5 * D)[..., None]
    np.testing.assert_allclose(hazy, J * t + 0.8 * (1 - t), atol=1e-6)


def test_clear_air_changes_nothing() -> None:
    haze = Haze.draw(PLAIN.model_copy(update={"clear": 1.0}), rng())
    np.testing.assert_allclose(haze.add_to(J, D, rng()), J, atol=1e-6)


def test_an_offset_puts_a_veil_on_near_things_too() -> None:
    config = PLAIN.model_copy(update={"offset": 1.0, "depth_offset": (0.5, 0.5), "scattering": (1, 1)})
    t = Haze.draw(config, rng()).transmission(np.zeros((4, 4), np.float32))
    np.testing.assert_allclose(t, np.exp(-0.5), rtol=1e-6)


def test_patches_are_smooth_and_bounded() -> None:
    config = PLAIN.model_copy(update={"uneven": 1.0, "patches": 0.4, "scattering": (1, 1), "depth_scale": (1, 1)})
    t = Haze.draw(config, rng(4)).transmission(np.ones((60, 80), np.float32))
    thickness = -np.log(t)
    assert thickness.std() > 0.05
    assert np.abs(np.diff(thickness, axis=0)).max() < 0.1
    assert thickness.min() > 1 - 0.4 * 1.5  # a cubic may overshoot its knots a little
    assert thickness.max() < 1 + 0.4 * 1.5


def test_a_sequence_has_the_same_weather_throughout() -> None:
    haze = Haze.draw(HazeConfig(noisy=0, codec=0, uneven=1), rng(5))
    np.testing.assert_array_equal(haze.add_to(J, D, rng(1)), haze.add_to(J, D, rng(2)))


def test_the_same_seed_makes_the_same_haze() -> None:
    config = HazeConfig(uneven=1, slope=1, noisy=1, codec=1)
    first, second = (Haze.draw(config, rng(6)).add_to(J, D, rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_every_option_keeps_the_range() -> None:
    config = HazeConfig(clear=0, offset=1, uneven=1, tinted=1, slope=1, glow=0.5, noisy=1, noise=0.1, codec=1)
    for seed in range(20):
        hazy = Haze.draw(config, rng(seed)).add_to(J, D, rng(seed))
        assert hazy.dtype == np.float32
        assert hazy.min() >= 0
        assert hazy.max() <= 1


def test_lamps_glow_at_night() -> None:
    night = np.zeros((60, 80, 3), np.float32)
    night[28:32, 38:42] = 1
    config = PLAIN.model_copy(update={"glow": 1.0, "scattering": (1, 1), "airlight": (0.5, 0.5)})
    hazy = Haze.draw(config, rng()).add_to(night, np.ones((60, 80), np.float32), rng())
    assert hazy[26, 40].mean() > hazy[2, 2].mean() + 0.005
    assert hazy[2, 2].mean() < 0.2


def test_stretching_the_black_point_removes_a_photos_own_veil() -> None:
    veiled = 0.3 + 0.6 * J
    config = LookConfig(black_point=1, black_percentile=(1, 1), white_point=0, gamma=(1, 1), gain=(1, 1), cast=0)
    assert veiled.min() > 0.25
    assert np.percentile(vary_look(veiled, config, rng()).min(axis=2), 1.5) < 0.02


def test_a_picture_of_one_tone_is_not_blown_up() -> None:
    grey = np.full((20, 20, 3), 0.5, np.float32) + rng().normal(0, 0.01, (20, 20, 3)).astype(np.float32)
    config = LookConfig(black_point=1, white_point=1, gamma=(1, 1), gain=(1, 1), cast=0)
    assert vary_look(grey, config, rng()).std() < 0.05


def test_a_room_has_the_depth_of_its_walls() -> None:
    textures = rng().integers(0, 256, (4, TEXTURE_SIZE, TEXTURE_SIZE, 3), dtype=np.uint8)
    room, far = render_room(3, textures, 60, 80)
    again, _ = render_room(3, textures, 60, 80)
    np.testing.assert_array_equal(room, again)
    assert room.std() > 15
    assert far.max() == pytest.approx(1)
    assert far.min() > 0.02
    # Walls, floor and ceiling are planes: along a row inverse depth is linear, and its second difference is 0.
    bend = np.abs(np.diff(1 / far.astype(np.float64), n=2, axis=1))
    assert np.median(bend) < 1e-3


def test_a_town_has_a_sky_behind_everything() -> None:
    textures = rng().integers(0, 256, (4, TEXTURE_SIZE, TEXTURE_SIZE, 3), dtype=np.uint8)
    town, far = render_town(5, textures, 60, 80)
    again, _ = render_town(5, textures, 60, 80)
    np.testing.assert_array_equal(town, again)
    sky = far == np.float32(SKY_DEPTH)
    assert 0.02 < sky.mean() < 0.9
    assert far[~sky].max() < SKY_DEPTH - 0.04
    assert sky[:20].mean() > sky[40:].mean()


def test_sky_and_invisible_parts_are_targets_as_they_are() -> None:
    clear = np.full((12, 8, 3), 0.2, np.float32)
    depth = np.full((12, 8), 0.5, np.float32)
    depth[:4] = SKY_DEPTH
    t = np.full((12, 8), 0.5, np.float32)
    t[8:10], t[10:] = 0.075, 0.02  # half to be restored, not to be restored
    hazy = clear * t[..., None] + 0.9 * (1 - t[..., None])
    wanted = leave_unseen(clear, hazy, depth, t, (0.03, 0.12))
    np.testing.assert_allclose(wanted[:4], hazy[:4], atol=1e-5)
    np.testing.assert_array_equal(wanted[4:8], clear[4:8])
    np.testing.assert_allclose(wanted[8:10], (clear[8:10] + hazy[8:10]) / 2, atol=1e-5)
    np.testing.assert_allclose(wanted[10:], hazy[10:], atol=1e-5)

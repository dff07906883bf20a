"""Haze of a known colour, cleared by bounds on the light that a scene can have."""

from __future__ import annotations

import numpy as np
import pytest

from doubles import EngineDouble, plain_dehazer
from streamdehaze.control.color import Color
from streamdehaze.dehaze.atmosphere.airlight import estimate_airlight, given_airlight
from streamdehaze.dehaze.atmosphere.boundary import clear_picture, unlike_fog
from streamdehaze.fidelity import psnr
from streamdehaze.frame import FloatArray

SAND, BROWN, DARK = (0.85, 0.7, 0.51), (0.34, 0.3, 0.24), (0.26, 0.26, 0.26)


def scene(seed: int = 1) -> FloatArray:
    """A clear picture, (3, 144, 256): blocks of all brightnesses and colours, so that each window is near a bound."""
    blocks = np.random.default_rng(seed).uniform(0, 1, (3, 36, 64)) ** 1.5
    return np.kron(blocks, np.ones((1, 4, 4))).astype(np.float32)


def through(color: Color, clear: FloatArray, thickness: float = 1.4) -> FloatArray:
    """The scene through haze that grows towards the upper edge."""
    t = np.exp(-thickness * np.linspace(1, 0.1, clear.shape[1], dtype=np.float32))[:, None]
    return np.asarray(clear * t + np.array(color, np.float32)[:, None, None] * (1 - t), np.float32)


@pytest.mark.parametrize("color", [SAND, BROWN, DARK])
def test_the_scene_comes_out_of_haze_of_a_known_colour(color: Color) -> None:
    clear = scene()
    hazy = through(color, clear)
    result = clear_picture(hazy, given_airlight(color, hazy))
    assert result.min() >= 0
    assert psnr(result, clear, 1) > psnr(hazy, clear, 1) + 6


@pytest.mark.parametrize("color", [SAND, BROWN, DARK])
def test_a_clear_picture_stays_clear(color: Color) -> None:
    clear = scene()
    assert psnr(clear_picture(clear, given_airlight(color, clear)), clear, 1) > 30


def test_bright_grey_haze_is_left_to_the_network() -> None:
    hazy = through((0.85, 0.86, 0.84), scene())
    assert unlike_fog(given_airlight((0.85, 0.86, 0.84), hazy)) == 0
    assert unlike_fog(given_airlight(SAND, hazy)) == unlike_fog(given_airlight(DARK, hazy)) == 1


def test_an_estimated_colour_is_trusted_less() -> None:
    """A dim day looks like dark smoke."""
    hazy = 0.3 * through((0.9, 0.9, 0.9), scene())
    assert unlike_fog(estimate_airlight(hazy)) == 0


@pytest.mark.usefixtures("engine_alone")
@pytest.mark.parametrize("color", [SAND, BROWN, DARK])
def test_frames_are_cleared_without_the_network(color: Color) -> None:
    clear = scene()
    hazy = (through(color, clear).transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)
    truth = (clear.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)
    idle = EngineDouble(lambda pictures: pictures)
    result = np.asarray(plain_dehazer(engine=idle, airlight_color=color)(hazy), np.uint8)
    assert psnr(result, truth) > psnr(hazy, truth) + 4
    unknown = np.asarray(plain_dehazer(engine=idle)(hazy), np.uint8)
    assert psnr(unknown, truth) < psnr(hazy, truth) + 1

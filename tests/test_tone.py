"""The brightness of the clear picture."""

from __future__ import annotations

import numpy as np
import pytest

from streamdehaze.dehaze.atmosphere.tone import brighten, exponent

RNG = np.random.default_rng(1)
CLEAR = RNG.uniform(0.02, 0.5, (3, 36, 64)).astype(np.float32)
HAZY = (0.4 * CLEAR + 0.6 * 0.7).astype(np.float32)


def luma(picture: np.ndarray) -> float:
    return float(np.median(picture.mean(axis=0)))


def test_a_dark_result_gets_almost_the_hazy_brightness() -> None:
    brightened = brighten(CLEAR, HAZY, exponent(HAZY, CLEAR))
    assert luma(CLEAR) < 0.6 * luma(HAZY)
    assert 0.8 * luma(HAZY) < luma(brightened) < luma(HAZY)


def test_nothing_is_clipped_and_black_and_white_stay() -> None:
    ramp = np.linspace(0, 1, 3 * 100, dtype=np.float32).reshape(3, 10, 10)
    curve = brighten(ramp, np.ones_like(ramp), 0.5)
    assert curve.min() == 0
    assert curve.max() == 1
    assert (np.diff(curve[0].ravel()) > 0).all()


def test_a_picture_that_was_left_alone_keeps_its_tone() -> None:
    assert exponent(CLEAR, CLEAR) == 1
    assert brighten(CLEAR, CLEAR, 1.0) is CLEAR


def test_nothing_becomes_much_brighter_than_it_was_in_the_haze() -> None:
    clear, hazy = CLEAR.copy(), HAZY.copy()
    clear[:, 20:, 40:] = hazy[:, 20:, 40:] = 0.03  # a black thing near the lens
    brightened = brighten(clear, hazy, 0.5)
    np.testing.assert_allclose(brightened[:, 22:, 42:], 0.03, rtol=0.3)
    assert brightened[:, :18].mean() > 1.2 * clear[:, :18].mean()


def test_what_is_covered_does_not_count() -> None:
    scene = np.ones((36, 64), bool)
    scene[:16] = False
    black = np.where(scene, CLEAR, 0).astype(np.float32), np.where(scene, HAZY, 0).astype(np.float32)
    expected = exponent(HAZY[:, 16:], CLEAR[:, 16:])
    assert exponent(black[1], black[0], scene) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_pictures_stay_finite(level: float) -> None:
    flat = np.full((3, 8, 8), level, np.float32)
    assert 0.5 <= exponent(flat, flat) <= 1


def test_detail_keeps_its_contrast_where_the_picture_becomes_brighter() -> None:
    stripes = np.full((3, 64, 64), 0.2, np.float32)
    stripes[:, :, ::8] = stripes[:, :, 1::8] = 0.22
    brightened = brighten(stripes, np.full_like(stripes, 0.8), 0.5)
    inside = brightened[0, 16:48, 16:48]
    contrast = (inside.max() - inside.min()) / inside.mean()
    assert inside.mean() > 0.4
    assert contrast == pytest.approx(0.1, rel=0.2)  # a power of 0.5 leaves half of it

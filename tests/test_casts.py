"""Where haze leaves no colour to be seen, the clear picture has none either; colour that is seen grows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamdehaze.dehaze.atmosphere.casts import without_casts

ROWS, COLUMNS = 144, 256
TEAL = np.array([-0.04, 0.02, 0.02], np.float32)[:, None, None]
RED = np.array([0.10, -0.05, -0.05], np.float32)[:, None, None]


def everywhere(value: float, chroma: np.ndarray) -> np.ndarray:
    return np.broadcast_to(value + chroma, (3, ROWS, COLUMNS)).astype(np.float32)


def haze(light: float) -> np.ndarray:
    return np.full((ROWS, COLUMNS), light, np.float32)


def chroma(picture: np.ndarray) -> float:
    return float(np.sqrt(((picture - picture.mean(axis=0)) ** 2).sum(axis=0)).mean())


def test_a_colour_made_up_in_thick_grey_haze_goes() -> None:
    hazy, answer = everywhere(0.6, 0.05 * TEAL), everywhere(0.2, TEAL)
    assert chroma(without_casts(hazy, answer, haze(0.55))) < 0.15 * chroma(answer)


def test_a_colour_seen_through_the_haze_grows_as_the_network_has_it() -> None:
    hazy, answer = everywhere(0.6, RED), everywhere(0.3, 2 * RED)
    assert chroma(without_casts(hazy, answer, haze(0.5))) > 0.95 * chroma(answer)


def test_what_the_network_makes_paler_stays_paler() -> None:
    hazy, answer = everywhere(0.8, TEAL), everywhere(0.7, 0.4 * TEAL)
    np.testing.assert_allclose(without_casts(hazy, answer, haze(0.7)), answer, atol=1e-3)


def test_clear_air_has_its_own_hues_whatever_the_network_makes_of_them() -> None:
    noise = np.random.default_rng(2).normal(0, 1, (3, ROWS, COLUMNS)).astype(np.float32)
    hazy = (0.4 + 0.1 * np.stack([cv2.GaussianBlur(channel, (0, 0), 9) * 12 for channel in noise])).astype(np.float32)
    turned = hazy[[1, 2, 0]]
    answer = (hazy + 0.1 * (turned - turned.mean(axis=0))).astype(np.float32)
    clear = without_casts(hazy, answer, haze(0.02))
    assert np.abs(clear - hazy).mean() < 0.6 * np.abs(answer - hazy).mean()


@pytest.mark.parametrize("light", [0.0, 0.4, 0.8])
def test_luma_and_grey_pictures_stay(light: float) -> None:
    hazy = np.random.default_rng(4).uniform(0, 1, (3, 91, 121)).astype(np.float32)
    answer = (hazy**2).astype(np.float32)
    where = np.full(hazy.shape[1:], light, np.float32)
    np.testing.assert_allclose(without_casts(hazy, answer, where).mean(axis=0), answer.mean(axis=0), atol=1e-5)
    grey = np.repeat(answer[:1], 3, axis=0)
    np.testing.assert_allclose(without_casts(hazy, grey, where), grey, atol=1e-3)

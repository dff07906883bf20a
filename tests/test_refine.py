"""Where the hazy picture has no texture, the network's halos and blotches do not reach the clear one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamdehaze.dehaze.atmosphere.refine import without_halos

ROWS, COLUMNS = 144, 256


def fog_and_pole() -> np.ndarray:
    """Even fog, (3, rows, columns), with a dark pole in front of it."""
    hazy = np.full((3, ROWS, COLUMNS), 0.7, np.float32)
    hazy[:, :, 120:136] = 0.25
    return hazy


def test_the_dark_rim_that_an_answer_gives_a_pole_fades_and_the_pole_does_not() -> None:
    hazy = fog_and_pole()
    distance = np.abs(np.arange(COLUMNS) - 127.5) - 8
    rim = np.where(distance > 0, np.exp(-distance / 3), 0)
    answer = np.where(hazy > 0.5, 0.7 - 0.25 * rim, 0.05).astype(np.float32)
    refined = without_halos(hazy, answer)
    fog = refined[:, :, 138:]
    assert 0.7 - fog.min() < 0.6 * (0.7 - answer[:, :, 138:].min())
    assert refined[:, :, 124:132].mean() == pytest.approx(0.05, abs=0.02)


def test_blotches_in_even_fog_are_halved_at_least() -> None:
    hazy = fog_and_pole()
    blotches = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, (ROWS, COLUMNS)), (0, 0), 3)
    answer = (hazy - 0.1 + 0.05 * blotches / blotches.std()).astype(np.float32)
    refined = without_halos(hazy, answer)
    assert refined[:, :, 20:100].std() < 0.5 * answer[:, :, 20:100].std()


def test_texture_visible_through_the_haze_stays_the_networks() -> None:
    texture = np.random.default_rng(5).uniform(-0.1, 0.1, (3, ROWS, COLUMNS)).astype(np.float32)
    hazy = 0.6 + texture
    answer = (0.4 + 2.5 * texture).astype(np.float32)
    np.testing.assert_allclose(without_halos(hazy, answer), answer, atol=0.03)


def test_an_answer_that_changes_nothing_is_left_alone() -> None:
    hazy = np.random.default_rng(7).uniform(0, 1, (3, 90, 121)).astype(np.float32)
    np.testing.assert_allclose(without_halos(hazy, hazy), hazy, atol=0.01)

"""The physical estimate that real haze is learned from."""

from __future__ import annotations

import numpy as np
import pytest

from streamdehaze.datasets.teacher import clear_picture, transmission
from streamdehaze.dehaze.atmosphere.sky import sky_of

A = 0.75


def road(thickness: float, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hazy and clear picture, (H, W, 3), and transmission, (H, W), of dark blocks under a sky that is all haze."""
    rng = np.random.default_rng(2)
    clear = np.kron(rng.uniform(0, 0.7, (18, 32, 3)), np.ones((8, 8, 1))).astype(np.float32)
    clear[rng.random(clear.shape[:2]) < 0.3] = 0.01
    t = np.exp(-thickness * np.linspace(1, 0.05, 144, dtype=np.float32))[:, None] * np.ones((144, 256), np.float32)
    t[:40] = 0
    hazy = clear * t[..., None] + A * (1 - t[..., None])
    hazy += rng.normal(0, noise, hazy.shape).astype(np.float32)
    return np.clip(hazy, 0, 1), clear, t


def test_transmission_follows_the_truth() -> None:
    hazy, _, t = road(1.5)
    found = transmission(hazy, A)[50:]
    assert np.corrcoef(found.ravel(), t[50:].ravel())[0, 1] > 0.9


def test_the_clear_picture_is_nearer_to_the_truth() -> None:
    hazy, clear, _ = road(1.2)
    before, after = (np.abs(x[50:] - clear[50:]).mean() for x in (hazy, clear_picture(hazy, A)))
    assert after < 0.5 * before


def test_the_sky_stays_as_it_is() -> None:
    hazy, _, _ = road(1.5)
    np.testing.assert_allclose(clear_picture(hazy, A)[:25], hazy[:25], atol=0.01)
    assert sky_of(hazy.mean(axis=2), A)[:20].min() > 0.9


def test_a_flat_bright_facade_is_not_sky() -> None:
    hazy, _, _ = road(1.5)
    hazy[80:120, 100:160] = 0.9 * A
    sky = sky_of(hazy.mean(axis=2), A)
    assert sky[84:116, 104:156].max() < 0.1
    assert sky[:20].min() > 0.9


def test_noise_in_the_distance_grows_less_than_its_contrast() -> None:
    hazy, _, t = road(2.0, noise=0.01)
    quiet = road(2.0)[0]
    deep = (t > 0.12) & (t < 0.25)
    noise = (clear_picture(hazy, A) - clear_picture(quiet, A))[deep].std()
    assert noise < 0.5 * 0.01 / 0.18


def test_no_halo_around_a_dark_pole_in_front_of_fog() -> None:
    hazy = np.full((144, 256, 3), 0.6, np.float32)
    hazy += np.random.default_rng(1).normal(0, 0.03, hazy.shape).astype(np.float32)  # not flat, so not sky
    hazy[:, 120:126] = 0.03
    clear = clear_picture(np.clip(hazy, 0, 1), A).mean(axis=2)
    near, far = np.median(clear[:, 127:131]), np.median(clear[:, 170:200])
    assert near < far + 0.02  # an eroded dark channel leaves a ring of fog here, 0.1 brighter
    assert near == pytest.approx(far, abs=0.12)

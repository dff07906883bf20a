"""The sky keeps its look."""

from __future__ import annotations

import numpy as np
import pytest

from streamdehaze.dehaze.atmosphere import sky
from streamdehaze.dehaze.atmosphere.sky import find_sky, sky_of
from streamdehaze.dehaze.stream import Stream
from streamdehaze.frame import FloatArray, Frame

AIRLIGHT = 0.8


def keep_sky(hazy: FloatArray, answer: FloatArray, airlight: float, known: float = 0.0) -> FloatArray:
    return sky.keep_sky(hazy, answer, find_sky(hazy, airlight, known))


def scene(height: int = 144, width: int = 256) -> np.ndarray:
    """A hazy picture, (3, height, width): a third of sky with a camera's faint grain on top, coloured blocks below."""
    rng = np.random.default_rng(4)
    hazy = np.full((3, height, width), AIRLIGHT, np.float32) + rng.normal(0, 0.002, (3, height, width))
    blocks = rng.uniform(0, 0.6, (3, height // 12 + 1, width // 12 + 1)).repeat(12, 1).repeat(12, 2)
    hazy[:, height // 3 :] = blocks[:, : height - height // 3, :width]
    return hazy.astype(np.float32)


@pytest.mark.parametrize("size", [(144, 256), (576, 1024)])
def test_blotches_and_colours_of_the_network_do_not_reach_the_sky(size: tuple[int, int]) -> None:
    hazy = scene(*size)
    y, x = np.mgrid[: size[0], : size[1]] / size[1]
    blotches = 0.08 * np.sin(30 * x) * np.cos(25 * y) * np.array([1, 0, -1])[:, None, None]
    answer = (hazy - 0.1 + blotches).astype(np.float32)
    kept = keep_sky(hazy, answer, AIRLIGHT)
    sky, asked = (x[:, : size[0] // 5] for x in (kept, answer))
    assert sky.std(axis=(1, 2)).max() < 0.15 * asked.std(axis=(1, 2)).max()
    assert np.ptp(sky.mean(axis=(1, 2))) < 0.005
    assert sky.mean() == pytest.approx(AIRLIGHT - 0.1, abs=0.01)  # its brightness is the network's
    np.testing.assert_allclose(kept[:, size[0] // 2 :], answer[:, size[0] // 2 :], atol=0.02)


def test_without_a_sky_the_answer_is_untouched() -> None:
    hazy = scene()[:, 60:]
    assert sky_of(hazy.mean(axis=0), AIRLIGHT).max() == 0
    answer = hazy * np.float32(0.5)
    assert keep_sky(hazy, answer, AIRLIGHT) is answer


def test_the_sky_reaches_up_to_what_stands_in_front_of_it() -> None:
    hazy = np.full((3, 144, 256), AIRLIGHT, np.float32)
    hazy[:, 40:, 100:156] = 0.3  # a tower
    hazy[:, 100:] = 0.2
    answer = hazy.copy()
    answer[:, 30:100, 92:164] -= 0.2  # the network darkens the fog around it
    kept = keep_sky(hazy, answer, AIRLIGHT)
    assert kept[:, 50:75, 94:98].min() > AIRLIGHT - 0.04
    np.testing.assert_allclose(kept[:, 50:90, 103:153], answer[:, 50:90, 103:153], atol=0.02)


def test_a_wall_that_hardly_reaches_the_upper_edge_is_not_sky() -> None:
    hazy = np.random.default_rng(8).uniform(0, 0.6, (3, 144, 256)).astype(np.float32)
    hazy[:, :100, 100:120] = AIRLIGHT
    answer = hazy * np.float32(0.5)
    np.testing.assert_allclose(keep_sky(hazy, answer, AIRLIGHT), answer)


def test_the_sky_stays_bright_where_a_network_darkens_it() -> None:
    hazy = scene()
    kept = keep_sky(hazy, hazy * np.float32(0.2), AIRLIGHT)
    assert kept[:, :28].mean() > 0.45 * AIRLIGHT
    np.testing.assert_allclose(kept[:, 72:], hazy[:, 72:] * 0.2, atol=0.03)


def test_no_contour_shows_in_a_sky_that_darkens_gradually() -> None:
    hazy = np.tile(np.linspace(AIRLIGHT, 0.7 * AIRLIGHT, 256, dtype=np.float32), (3, 144, 1))
    hazy[:, 110:] = 0.2
    answer = np.maximum(AIRLIGHT - 3 * (AIRLIGHT - hazy), 0)  # the darker, the more the network takes away
    kept = keep_sky(hazy, answer, AIRLIGHT)[0, 40]
    assert np.abs(np.diff(kept)).max() < 4 * np.abs(np.diff(answer[0, 40])).max()


def test_a_bright_sky_seen_through_smoke_of_a_known_colour_is_not_the_smoke() -> None:
    smoke = 0.3
    hazy = scene()
    hazy[:, :48, :128] = 0.6  # the sky, and only smoke next to it
    hazy[:, :48, 128:] = smoke
    answer = hazy * np.float32(0.5)
    answer[0, :48, :128] = 0.1  # it is blue
    kept = keep_sky(hazy, answer, smoke, 1.0)
    np.testing.assert_allclose(kept[:, 8:40, 8:100], answer[:, 8:40, 8:100], atol=1e-3)
    assert np.abs(kept - keep_sky(hazy, answer, smoke))[:, 8:40, 8:100].max() > 0.02
    grain = hazy[:, 8:40, 156:250] + np.float32(0.004) * np.sin(np.arange(94, dtype=np.float32))
    hazy[:, 8:40, 156:250] = grain
    answer = np.where(hazy == 0.6, answer, smoke + 5 * (hazy - smoke))
    assert keep_sky(hazy, answer, smoke, 1.0)[:, 8:40, 160:246].std() < 0.5 * answer[:, 8:40, 160:246].std()


def test_the_sky_is_as_bright_along_a_black_bar_as_below() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(60, 180, (144, 256, 3)).astype(np.uint8)
    picture[18:80] = 225 + rng.integers(0, 3, (62, 256, 3))
    picture[:18] = picture[-18:] = 0
    stream = Stream()
    look = stream.look(Frame.from_array(picture))
    assert look.balanced is not None
    darker_above = look.balanced.picture * np.linspace(0.6, 1, 144, dtype=np.float32)[:, None]
    (clear,) = stream.answer(look, darker_above)
    rows = clear.to_array()[18:40, :, 1].mean(axis=1)
    assert np.ptp(rows) < 4
    assert not clear.to_array()[:18].any()

"""At rest, the brightness of a clear video does not jump, and nothing is held back that would not be seen."""

from __future__ import annotations

import numpy as np
import pytest

from streamdehaze.dehaze.steady.level import Level

SHAPE = (18, 32)
STILL = np.ones(SHAPE, np.bool_)


def shown(offsets: list[float], hazy: list[float] | None = None) -> list[float]:
    """Brightness of a picture without texture at these offsets, in levels, after `Level`.

    The hazy picture has 127.5 levels, or those and `hazy` more, which the offsets contain already.
    """
    level = Level()
    found = []
    for index, offset in enumerate(offsets):
        own = hazy[index] if hazy is not None else 0.0
        picture = np.full((3, *SHAPE), 0.5 + own / 255, np.float32)
        planes = np.concatenate([np.ones_like(picture), np.full_like(picture, (offset - own) / 255)])
        maps = level(planes, picture, "rgb", STILL, new_scene=index == 0)
        found.append(255 * float((maps.gain * picture + maps.offset).mean()))
    return found


def test_a_step_is_spread_over_many_frames() -> None:
    steps = np.abs(np.diff(shown([0.0] * 3 + [4.0] * 80)))
    assert steps.max() < 0.3
    assert steps.sum() == pytest.approx(4, abs=0.05)


def test_a_change_that_nobody_sees_passes_at_once() -> None:
    offsets = [0.04 * index for index in range(60)]
    np.testing.assert_allclose(np.array(shown(offsets)) - 127.5, offsets, atol=2e-3)


def test_less_than_half_of_the_cameras_own_step_passes_at_once() -> None:
    exposure = [0.0] * 3 + [-4.0] * 80
    for gain in (1, 1.5):
        steps = np.diff(shown([gain * level for level in exposure], exposure))
        assert 1.6 < -steps[2] < 2.2
        assert np.all(steps < 1e-4)
        assert steps.sum() == pytest.approx(-4 * gain, abs=0.05)


@pytest.mark.parametrize("hazy", [4.0, -4.0])
def test_of_thicker_or_thinner_fog_nothing_passes(hazy: float) -> None:
    """The hazy picture gets brighter or darker; the clear one stays, or changes the other way."""
    still = np.array(shown([0.0] * 60, [0.0] * 3 + [hazy] * 57))
    np.testing.assert_allclose(still, 127.5, atol=1e-3)
    against = np.abs(np.diff(shown([0.0] * 3 + [-hazy / 4] * 57, [0.0] * 3 + [hazy] * 57)))
    assert against.max() < 0.11

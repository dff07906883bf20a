"""At rest, the brightness of a clear video does not jump, and nothing is held back that would not be seen."""

from __future__ import annotations

import numpy as np
import pytest

from streamdehaze.dehaze.steady.level import Level

SHAPE = (18, 32)
STILL = np.ones(SHAPE, np.bool_)


def shown(offsets: list[float]) -> list[float]:
    """Brightness of a picture without texture at these offsets, in levels, after `Level`."""
    level, picture = Level(), np.full((3, *SHAPE), 0.5, np.float32)
    found = []
    for index, offset in enumerate(offsets):
        planes = np.concatenate([np.ones_like(picture), np.full_like(picture, offset / 255)])
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

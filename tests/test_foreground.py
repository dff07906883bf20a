"""Objects without haze in front of them, in training pictures."""

from __future__ import annotations

import numpy as np

from streamdehaze.training.samples.foreground import ForegroundConfig, cover

HAZY, CLEAR = np.full((96, 128, 3), 0.7, np.float32), np.full((96, 128, 3), 0.3, np.float32)


def test_both_pictures_are_covered_alike_and_otherwise_untouched() -> None:
    kinds, covering = set(), 0
    for seed in range(200):
        hazy, clear = cover(HAZY, CLEAR, ForegroundConfig(share=1), np.random.default_rng(seed))
        share = (HAZY - hazy)[..., 0]
        covered = np.abs(hazy - clear).max(axis=2) < 1e-6
        free = np.abs(share) < 1e-6
        np.testing.assert_allclose(clear[free], CLEAR[free])
        assert hazy.min() >= 0
        assert hazy.max() <= 1
        covering += bool(covered.any())  # a thin branch may cover no pixel whole
        kinds.add((bool(covered[0].all()), bool(covered[:, 0].all()), bool(covered[48, 64])))
    assert covering > 150
    assert len(kinds) >= 4  # bars above, bars at the sides, things in the middle, none of these


def test_the_share_is_kept_and_draws_repeat() -> None:
    config = ForegroundConfig(share=0.3)
    count = sum(cover(HAZY, CLEAR, config, np.random.default_rng(seed))[0] is not HAZY for seed in range(400))
    assert 80 < count < 160
    first, second = (cover(HAZY, CLEAR, ForegroundConfig(share=1), np.random.default_rng(7))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)

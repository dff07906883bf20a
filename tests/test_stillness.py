"""Measures of steadiness distinguish what dehazing adds from what the video itself does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torchmetrics")
pytest.importorskip("pydantic")

from reprojection import motion_from_depth
from streamdehaze.datasets.picture import read_depth
from streamdehaze.evaluation import SteadinessMeter, StillnessMeter
from streamdehaze.evaluation.trace import plot_traces


def texture(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(60, 180, (12, 16, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def as_bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def test_a_constant_treatment_adds_nothing_and_a_pumping_one_what_it_adds() -> None:
    hazy = texture(0)
    calm, pumping = StillnessMeter(), StillnessMeter()
    for index in range(6):
        calm.add(as_bytes(hazy), as_bytes(hazy * 1.3 - 40))
        pumping.add(as_bytes(hazy), as_bytes(hazy * 1.3 - 40 + 4 * (index % 2)))
    still, moving = calm.stillness, pumping.stillness
    assert still is not None
    assert moving is not None
    assert still.added_change == pytest.approx(0, abs=1e-3)
    assert still.brightness_wobble == pytest.approx(0, abs=1e-3)
    assert moving.added_change == pytest.approx(4, abs=0.1)
    assert moving.worst_added_change == pytest.approx(4, abs=0.1)
    assert moving.brightness_wobble == pytest.approx(4, abs=0.1)


def test_what_moves_is_not_called_flicker() -> None:
    hazy = texture(0)
    meter = StillnessMeter()
    for index in range(4):
        moved = hazy.copy()
        moved[20:60, 20 * index : 20 * index + 30] = 20
        meter.add(as_bytes(moved), as_bytes(moved * 1.3 - 20))
    assert meter.stillness is not None
    assert meter.stillness.added_change == pytest.approx(0, abs=0.5)


def test_depth_and_poses_give_the_motion_and_what_was_hidden() -> None:
    depth = np.full((60, 80), 4.0, np.float32)
    depth[20:40, 30:50] = 2.0
    depth[0, 0] = 0
    intrinsics = np.array([[80.0, 0, 40], [0, 80, 30], [0, 0, 1]])
    right = np.eye(4)
    right[0, 3] = 0.1  # the camera moved right by 0.1 m: 2 pixels at 4 m, 4 at 2 m
    before = np.full((60, 80), 4.0, np.float32)
    before[20:40, 34:54] = 2.0
    flow, seen = motion_from_depth(depth, before, right, np.eye(4), intrinsics)
    assert np.allclose(flow[5, 10], (2, 0), atol=1e-5)
    assert np.allclose(flow[30, 40], (4, 0), atol=1e-5)
    assert seen[5, 10]
    assert seen[30, 40]
    assert not seen[0, 0]  # unknown
    assert not seen[30, 50]  # was behind the box
    assert not seen[5, 79]  # was outside


def test_unknown_depth_takes_the_nearest_distance_whichever_way_cameras_mark_it(tmp_path: Path) -> None:
    millimetres = np.full((20, 30), 2000, np.uint16)
    millimetres[:, 15:] = 4000
    millimetres[3, 3], millimetres[10, 25] = 0, 65535
    cv2.imwrite(str(tmp_path / "a.depth.png"), millimetres)
    depth = read_depth(tmp_path / "a.depth.png")
    assert np.allclose(depth[:, :15], 0.5)
    assert np.allclose(depth[:, 15:], 1)


def test_known_motion_is_used_and_each_frame_is_kept() -> None:
    picture = texture(1)
    meter = SteadinessMeter()
    flow = np.zeros((96, 128, 2), np.float32)
    flow[..., 0] = 3
    for index in range(3):
        shifted = as_bytes(np.roll(picture, -3 * index, axis=1))
        seen = np.zeros((96, 128), bool)
        seen[:, 10:100] = True
        meter.add(shifted, shifted, (flow, seen))
    assert np.allclose(meter.trace, 0, atol=1e-4)
    assert len(meter.trace) == 2


def test_a_trace_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot_traces(tmp_path / "trace.png", {"levels": {"per frame": [1.0, 2.0], "low": [0.5, 0.4]}})
    assert cv2.imread(str(tmp_path / "trace.png")) is not None

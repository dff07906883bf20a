"""The rendered street: what it says about distance, motion and fog is true."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamdehaze.scene import Fog, SceneFrame, StreetScene


@pytest.fixture(scope="module")
def scene() -> StreetScene:
    return StreetScene(320, 180, frames=60, seed=3)


@pytest.fixture(scope="module")
def pair(scene: StreetScene) -> tuple[SceneFrame, SceneFrame]:
    return scene.render(20), scene.render(21)


def _warped_back(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[0 : flow.shape[0], 0 : flow.shape[1]].astype(np.float32)
    return cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)


def _away_from_edges(frame: SceneFrame) -> np.ndarray:
    """Pixels that stay visible and whose neighbours are at nearly the same distance."""
    near = cv2.erode(frame.depth_metres, np.ones((5, 5)))
    far = cv2.dilate(frame.depth_metres, np.ones((5, 5)))
    return (far < 1.25 * near) & (cv2.dilate(frame.occluded.astype(np.uint8), np.ones((3, 3))) == 0)


def test_the_same_arguments_give_the_same_pixels(scene: StreetScene, pair: tuple[SceneFrame, SceneFrame]) -> None:
    again = StreetScene(320, 180, frames=60, seed=3).render(20)
    for name in ("clear", "depth_metres", "flow", "occluded"):
        assert np.array_equal(getattr(again, name), getattr(pair[0], name)), name
    assert not np.array_equal(StreetScene(320, 180, frames=60, seed=4).render(20).clear, again.clear)


def test_a_longer_clip_begins_like_a_shorter_one(pair: tuple[SceneFrame, SceneFrame]) -> None:
    longer = StreetScene(320, 180, frames=400, seed=3).render(20)
    near = longer.depth_metres < 200  # the far ends differ, and some rays to them pass between near leaves
    assert near.mean() > 0.6
    assert np.mean(longer.clear[near] == pair[0].clear[near]) > 0.98


def test_arrays_have_the_documented_shapes_and_ranges(pair: tuple[SceneFrame, SceneFrame]) -> None:
    frame = pair[0]
    assert frame.clear.shape == (180, 320, 3)
    assert frame.clear.dtype == np.float32
    assert 0 <= frame.clear.min() < 0.1
    assert 0.6 < frame.clear.max() <= 1
    assert frame.depth_metres.shape == (180, 320)
    assert 1.5 < frame.depth_metres.min() < 6
    assert frame.depth_metres.max() == 2000
    assert frame.flow.shape == (180, 320, 2)
    assert frame.occluded.shape == (180, 320)
    assert frame.occluded.mean() < 0.15
    assert frame.seconds == 20 / 25


def test_the_next_frame_warped_back_by_the_flow_is_this_frame(pair: tuple[SceneFrame, SceneFrame]) -> None:
    frame, following = pair
    kept = _away_from_edges(frame)
    assert kept.mean() > 0.6
    error = np.abs(_warped_back(following.clear, frame.flow) - frame.clear).mean(axis=2)[kept]
    still = np.abs(following.clear - frame.clear).mean(axis=2)[kept]
    assert error.mean() < 0.008
    assert np.percentile(error, 99) < 0.1
    assert error.mean() < 0.4 * still.mean()
    for wrong in ((0.3, 0), (-0.3, 0), (0, 0.3), (0, -0.3)):  # a third of a pixel off is worse in every direction
        off = np.abs(_warped_back(following.clear, frame.flow + np.float32(wrong)) - frame.clear).mean(axis=2)
        assert off[kept].mean() > 1.1 * error.mean()


def _approach(frame: SceneFrame, rows: slice, columns: slice, near: float, far: float) -> float:
    """Metres per frame by which the nearest upright face in a region approaches, by how fast its picture grows."""
    depth, flow = frame.depth_metres[rows, columns], frame.flow[rows, columns, 0]
    x = np.mgrid[rows, columns][1]
    there = (depth > near) & (depth < far)
    distance = np.percentile(depth[there], 10)
    face = there & (np.abs(depth - distance) < 0.4)
    assert face.sum() > 80
    return float(np.polyfit(x[face], flow[face], 1)[0] * distance)


def test_flow_follows_moving_things(pair: tuple[SceneFrame, SceneFrame]) -> None:
    """The camera moves 0.32 m per frame, the car ahead as much, and the oncoming one 0.36 m."""
    car_ahead = _approach(pair[0], slice(90, 115), slice(140, 175), 12, 18)
    oncoming = _approach(pair[0], slice(85, 110), slice(90, 140), 20, 26)
    assert car_ahead == pytest.approx(0, abs=0.02)
    assert oncoming == pytest.approx(0.68, rel=0.1)


def test_distances_agree_along_the_flow(pair: tuple[SceneFrame, SceneFrame]) -> None:
    """Standing things approach by at most what the camera moves per frame, 0.32 m, and oncoming cars by 0.68 m."""
    frame, following = pair
    steady = cv2.dilate(frame.depth_metres, np.ones((3, 3))) - cv2.erode(frame.depth_metres, np.ones((3, 3))) < 1
    kept = _away_from_edges(frame) & steady
    assert kept.mean() > 0.4
    change = _warped_back(following.depth_metres, frame.flow) - frame.depth_metres
    assert np.mean((change[kept] > -0.75) & (change[kept] < 0.1)) > 0.99


def test_distances_are_in_metres(pair: tuple[SceneFrame, SceneFrame]) -> None:
    """At 8 m/s the road straight ahead comes 0.32 m nearer per frame, a little less as the camera looks down on it."""
    frame, following = pair
    change = _warped_back(following.depth_metres, frame.flow) - frame.depth_metres
    road = np.s_[130:140, 150:170]
    assert np.median(change[road]) == pytest.approx(-0.32, abs=0.04)
    focal = 0.832 * 180 * 16 / 9
    assert np.median(frame.depth_metres[road]) == pytest.approx(1.38 * np.hypot(focal, 45) / 45, rel=0.1)


def test_hidden_pixels_are_marked(pair: tuple[SceneFrame, SceneFrame]) -> None:
    """What leaves the picture is marked, and where marked pixels land inside it there is mostly something else."""
    frame, following = pair
    y, x = np.mgrid[0:180, 0:320] + 0.5
    goal_x, goal_y = x + frame.flow[..., 0], y + frame.flow[..., 1]
    outside = (goal_x < 0) | (goal_x >= 320) | (goal_y < 0) | (goal_y >= 180)
    assert outside.sum() > 500
    assert frame.occluded[outside].all()
    hidden = frame.occluded & ~outside
    assert hidden.sum() > 100
    error = np.abs(_warped_back(following.clear, frame.flow) - frame.clear).mean(axis=2)
    assert error[hidden].mean() > 5 * error[~frame.occluded].mean()


def test_fog_obeys_the_haze_equation(pair: tuple[SceneFrame, SceneFrame]) -> None:
    clear, depth = pair[0].clear, pair[0].depth_metres
    fog = Fog(visibility_metres=80, airlight=(0.8, 0.82, 0.85))
    t = np.exp(-3.912 / 80 * depth)[..., None]
    expected = clear * t + np.array([0.8, 0.82, 0.85]) * (1 - t)
    np.testing.assert_allclose(fog.apply(clear, depth, 7), expected, atol=1e-5)
    assert 0.01 < np.exp(-fog.scattering * 80) < 0.021


def test_uneven_fog_drifts_smoothly_and_noise_does_not(pair: tuple[SceneFrame, SceneFrame]) -> None:
    depth = np.full((180, 320), 40, np.float32)
    banks = Fog(unevenness=0.5, seed=2)
    first, second, later = (banks.transmission(depth, index) for index in (0, 1, 50))
    assert first.std() > 0.05
    assert np.abs(second - first).max() < 0.02
    assert np.abs(later - first).mean() > 0.03
    noisy = Fog(sensor_noise=0.02)
    gray = np.full((180, 320, 3), 0.5, np.float32)
    a, b = noisy.apply(gray, depth * 0, 0), noisy.apply(gray, depth * 0, 1)
    assert a.std() == pytest.approx(0.02, rel=0.05)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] < 0.02
    assert np.array_equal(a, noisy.apply(gray, depth * 0, 0))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 5), (97, 31)])
def test_any_size_renders(width: int, height: int) -> None:
    frame = StreetScene(width, height, frames=1).render(0)
    assert frame.clear.shape == (height, width, 3)
    assert np.isfinite(frame.flow).all()


def test_frames_beyond_the_end_are_refused(scene: StreetScene) -> None:
    with pytest.raises(IndexError, match="frame 60 of a scene of 60"):
        scene.render(60)
    with pytest.raises(ValueError, match="positive"):
        StreetScene(0, 180)

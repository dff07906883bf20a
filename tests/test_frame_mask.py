"""Bars, rims and boxes: found, filled and kept."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamdehaze.dehaze.frame_mask import FrameMask, fill, find_covered, keep_full_size
from streamdehaze.frame import FloatArray


def scene(seed: int = 1, brightness: float = 0.7) -> FloatArray:
    """A foggy picture, (3, 144, 256), with a dark object on its lower edge that is neither a bar nor a box."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.uniform(0.2, 1, (144, 256, 3)).astype(np.float32), (0, 0), 3) * brightness
    cv2.ellipse(picture, (60, 140), (14, 30), 20, 0, 360, (0.02, 0.02, 0.02), -1)
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


def covered_by(kind: str) -> np.ndarray:
    area = np.zeros((144, 256), bool)
    if kind == "letterbox":
        area[:19] = area[-19:] = True
    elif kind == "thin bars":
        area[:3] = area[-3:] = True
    elif kind == "pillars":
        area[:, :88] = area[:, -88:] = True
    elif kind == "window":
        area[:10] = area[-10:] = True
        area[:, :20] = area[:, -20:] = True
    elif kind == "fisheye":
        y, x = np.mgrid[:144, :256]
        area = (y - 71.5) ** 2 + (x - 127.5) ** 2 > 71**2
    elif kind == "cut fisheye":
        y, x = np.mgrid[:144, :256]
        area = (y - 71.5) ** 2 + (x - 127.5) ** 2 > 120**2
    elif kind == "clock":
        area[120:132, 150:240] = True
    return area


KINDS = ("letterbox", "thin bars", "pillars", "window", "fisheye", "cut fisheye", "clock")


@pytest.mark.parametrize("kind", KINDS)
def test_covered_parts_are_found(kind: str) -> None:
    area, picture = covered_by(kind), scene()
    noise = np.random.default_rng(2).uniform(0, 0.03, picture.shape)
    picture = np.where(area, noise, picture).astype(np.float32)
    if kind == "clock":
        letters = np.zeros(area.shape, np.uint8)
        cv2.putText(letters, "12:34:56", (154, 129), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255,))
        picture = np.maximum(picture, letters.astype(np.float32) / 255)
    found = find_covered(picture)
    assert found[area].mean() > 0.98
    edge = cv2.dilate(area.astype(np.uint8), np.ones((7, 7))) > 0
    assert found[~edge].mean() < 0.005


def test_a_dark_scene_and_dark_things_are_not_covered() -> None:
    assert not find_covered(scene()).any()
    assert not find_covered(scene(brightness=0.05)).any()
    assert not find_covered(np.zeros((3, 144, 256), np.float32)).any()


def test_a_fill_looks_like_its_surroundings() -> None:
    picture = np.full((3, 144, 256), 0.6, np.float32)
    picture[0] += np.linspace(0, 0.2, 256, dtype=np.float32)
    area = covered_by("letterbox")
    filled = fill(np.where(area, 0, picture).astype(np.float32), area)
    np.testing.assert_array_equal(filled[:, ~area], picture[:, ~area])
    assert np.abs(filled - picture)[:, area].max() < 0.04


def test_bars_mirror_the_scene() -> None:
    picture, area = scene(), covered_by("letterbox")
    filled = fill(np.where(area, 0, picture).astype(np.float32), area)
    first = int(np.flatnonzero(~area.all(axis=1))[0])
    np.testing.assert_array_equal(filled[:, first - 10 : first], picture[:, first : first + 10][:, ::-1])


def test_a_new_bar_must_last_and_one_that_disappears_is_dropped_at_once() -> None:
    open_picture, barred = scene(), np.where(covered_by("letterbox"), 0.01, scene()).astype(np.float32)
    mask = FrameMask()
    assert mask.update(open_picture) is None
    answers = [mask.update(barred) is not None for _ in range(14)]
    assert answers == [False] * 11 + [True] * 3
    assert mask.update(open_picture) is None
    assert FrameMask().update(barred) is not None  # the first frame's counts at once


def test_the_state_continues_where_it_was_taken() -> None:
    open_picture, barred = scene(), np.where(covered_by("pillars"), 0.01, scene()).astype(np.float32)
    whole, first, second = FrameMask(), FrameMask(), FrameMask()
    frames = [open_picture, *[barred] * 15]
    answers = [whole.update(frame) is not None for frame in frames]
    for frame in frames[:6]:
        first.update(frame)
    second.load(**first.state())
    assert [second.update(frame) is not None for frame in frames[6:]] == answers[6:]
    second.load(**FrameMask().state())
    assert second.covered is None


def test_full_size_edges_are_kept_to_the_pixel() -> None:
    luma = np.full((720, 1280), 150, np.uint8)
    luma[:93] = luma[-93:] = 16
    picture = cv2.resize(luma.astype(np.float32) / 255 - 16 / 255, (256, 144), interpolation=cv2.INTER_AREA)
    covered = find_covered(np.stack([picture] * 3))
    keep = keep_full_size(covered, luma, 28)
    assert keep[:93].all()
    assert keep[-93:].all()
    assert not keep[93:-93].any()

"""Things without haze in front of the scene: bars, clocks, the camera's own rim, branches, frames and people nearby.

A network that never saw black in a hazy picture takes the first black it sees as proof that there is no haze. So some
of the training pictures get such things, the same in the hazy picture and the clear one.
"""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from streamdehaze.datasets.look import Picture, Share
from streamdehaze.toml import Table

_SHIFT = 3
"""Fractional bits of coordinates, for OpenCV's drawing."""


class ForegroundConfig(Table):
    """How often something without haze covers a part of the picture."""

    share: Share = 0.0
    """Share of the pictures that are covered."""
    brightest: Annotated[float, Field(ge=0, le=1)] = 0.12
    """Colour of what covers them; letters in boxes are white."""


def cover(hazy: Picture, clear: Picture, config: ForegroundConfig, rng: np.random.Generator) -> tuple[Picture, Picture]:
    """The two pictures, (H, W, 3) RGB in [0, 1], behind the same foreground or, mostly, as they are."""
    if rng.random() >= config.share:
        return hazy, clear
    height, width = hazy.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    kind = rng.random()
    letters: np.ndarray | None = None
    if kind < 0.3:
        _bars(alpha, rng)
    elif kind < 0.4:
        _rim(alpha, rng)
    elif kind < 0.55:
        letters = _box(alpha, rng)
    elif kind < 0.8:
        _things(alpha, rng)
    else:
        _branches(alpha, rng)
    color = rng.uniform(0, config.brightest) * (1 + rng.uniform(-0.3, 0.3, 3))
    share = (alpha.astype(np.float32) / 255)[..., None]
    layer = np.broadcast_to(np.clip(color, 0, 1).astype(np.float32), hazy.shape)
    if letters is not None:
        layer = np.maximum(layer, (letters.astype(np.float32) / 255)[..., None])
    return hazy + share * (layer - hazy), clear + share * (layer - clear)


def _bars(alpha: np.ndarray, rng: np.random.Generator) -> None:
    """Letterbox or pillarbox, sometimes on one side only."""
    height, width = alpha.shape
    across = rng.random() < 0.6
    most = (height if across else width) * (0.16 if rng.random() < 0.7 else 0.3)
    size = max(1, int(rng.uniform(0, most)))
    one = rng.random() < 0.2
    view = alpha if across else alpha.T
    view[:size] = 255
    if not one:
        view[-size:] = 255


def _rim(alpha: np.ndarray, rng: np.random.Generator) -> None:
    """Everything but a circle: a fisheye, a scope, a lens hood."""
    height, width = alpha.shape
    alpha[:] = 255
    radius = rng.uniform(0.45, 0.62) * (min if rng.random() < 0.5 else max)(height, width)
    middle = (width * rng.uniform(0.45, 0.55), height * rng.uniform(0.45, 0.55))
    cv2.circle(alpha, _fixed(*middle), int(radius * 2**_SHIFT), 0, -1, cv2.LINE_AA, _SHIFT)


def _box(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A clock, a camera's name or a logo; returns its letters."""
    height, width = alpha.shape
    box_height, box_width = max(4, int(height * rng.uniform(0.05, 0.15))), max(8, int(width * rng.uniform(0.15, 0.5)))
    top = (
        int(rng.integers(0, height - box_height))
        if rng.random() < 0.3
        else (1 if rng.random() < 0.5 else height - box_height - 1)
    )
    left = int(rng.integers(0, width - box_width + 1))
    letters = np.zeros_like(alpha)
    text = "".join(str(digit) for digit in rng.integers(0, 10, 12))
    cv2.putText(
        letters, text, (left + 1, top + box_height - 2), cv2.FONT_HERSHEY_SIMPLEX, box_height / 32, 255, 1, cv2.LINE_AA
    )
    if rng.random() < 0.6:
        alpha[top : top + box_height, left : left + box_width] = 255
    else:  # letters alone
        np.copyto(alpha, letters)
    return letters


def _things(alpha: np.ndarray, rng: np.random.Generator) -> None:
    """One to three dark shapes, most of them standing on the lower edge."""
    height, width = alpha.shape
    for _ in range(int(rng.integers(1, 4))):
        size = np.array([rng.uniform(0.03, 0.35) * width, rng.uniform(0.05, 0.5) * height])
        middle = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        if rng.random() < 0.6:
            middle[1] = height - size[1] * rng.uniform(0, 0.5)
        corners = int(rng.integers(3, 9))
        angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
        points = middle + np.stack([np.cos(angles), np.sin(angles)], 1) * size / 2 * rng.uniform(0.6, 1.2, (corners, 1))
        if rng.random() < 0.3:
            cv2.ellipse(
                alpha, _fixed(*middle), _fixed(*(size / 2)), rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA, _SHIFT
            )
        else:
            cv2.fillPoly(alpha, [(points * 2**_SHIFT).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)


def _branches(alpha: np.ndarray, rng: np.random.Generator) -> None:
    """Poles, wires, window bars and branches, of one to a few pixels."""
    height, width = alpha.shape
    upright = rng.random() < 0.4
    for _ in range(int(rng.integers(1, 12))):
        start = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        angle = math.pi / 2 * int(rng.integers(0, 2)) + rng.normal(0, 0.03) if upright else rng.uniform(0, math.pi)
        length = rng.uniform(0.2, 1.5) * max(height, width)
        end = start + length * np.array([math.cos(angle), math.sin(angle)])
        thickness = max(1, int(rng.exponential(max(height, width) / 80)))
        cv2.line(alpha, _fixed(*start), _fixed(*end), 255, thickness, cv2.LINE_AA, _SHIFT)


def _fixed(x: float, y: float) -> tuple[int, int]:
    return int(x * 2**_SHIFT), int(y * 2**_SHIFT)

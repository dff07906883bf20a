"""Pictures next to each other with dividers and labels."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from streamdehaze.frame import FloatArray
from streamdehaze.video.rgb import RgbArray

_FONTS = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc", "PingFang.ttc", "msyh.ttc", "malgun.ttf",
)  # fmt: skip
"""Fonts of the systems, looked for where Pillow's own, which has little but English letters, does not do."""
_NO_LETTER = "\U0010ffff"


def split_screen(pictures: Sequence[RgbArray], labels: Sequence[str], dividers: Sequence[float]) -> RgbArray:
    """One view cut by upright dividers: left of the first the first picture, and so on.

    Args:
        pictures: (height, width, 3) RGB, all of one size.
        labels: one a picture, "" for none; each stays inside its own part.
        dividers: one fewer than pictures, rising, as fractions of the width.
    """
    height, width = pictures[0].shape[:2]
    edges = [0, *(round(min(max(at, 0.0), 1.0) * width) for at in dividers), width]
    montage: RgbArray = pictures[0].copy()
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        left, right = edges[index], edges[index + 1]
        montage[:, left:right] = picture[:, left:right]
        # Outer labels keep to the picture's corners, so that a moving divider wipes over them.
        last = index == len(pictures) - 1
        _write(montage, label, left, right, height, from_right=last and index > 0)
    for edge in edges[1:-1]:
        _draw_divider(montage, edge)
    return montage


def side_by_side(pictures: Sequence[RgbArray], labels: Sequence[str]) -> RgbArray:
    """Whole pictures in a row, (height, n · width, 3)."""
    labelled = []
    for picture, label in zip(pictures, labels, strict=True):
        panel = picture.copy()
        _write(panel, label, 0, panel.shape[1], panel.shape[0], from_right=False)
        labelled.append(panel)
    return np.concatenate(labelled, axis=1)


def _draw_divider(montage: RgbArray, edge: int) -> None:
    width = montage.shape[1]
    half = max(1, width // 640)
    if half <= edge <= width - half:
        montage[:, max(edge - 2 * half, 0) : edge + 2 * half] //= 2  # a dark rim, to be seen on white as well
        montage[:, edge - half : edge + half] = 255


def _write(montage: RgbArray, text: str, left: int, right: int, height: int, *, from_right: bool) -> None:
    """Lay a label over the upper corner of the columns from `left` to `right`."""
    if not text:
        return
    margin = height // 40 + 1
    plate = _plate(text, max(11, height // 20))
    rows, columns = plate.shape[:2]
    start = right - margin - columns if from_right else left + margin
    if from_right and start < left:
        plate, start = plate[:, left - start :], left
    plate = plate[: max(montage.shape[0] - margin, 0), : max(right - start, 0)]
    if plate.size == 0:
        return
    rows, columns = plate.shape[:2]
    area = montage[margin : margin + rows, start : start + columns]
    shade, ink = plate[..., :1], plate[..., 1:]
    area[:] = np.clip(area * (1 - shade) * (1 - ink) + 255 * ink + 0.5, 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=32)
def _plate(text: str, size: int) -> FloatArray:
    """A label as (rows, columns, 2): how much it darkens what is below, how much white ink lies on top; 0 to 1."""
    from PIL import Image, ImageDraw

    text, font = _letters(text, size)
    left, top, right, bottom = font.getbbox(text)
    pad = size // 2
    shape = (round(right - left) + 2 * pad, round(bottom - top) + pad + pad // 2)
    plate, ink = Image.new("L", shape), Image.new("L", shape)
    ImageDraw.Draw(plate).rounded_rectangle((0, 0, shape[0] - 1, shape[1] - 1), radius=pad, fill=150)
    ImageDraw.Draw(ink).text((pad - left, (pad + pad // 2) / 2 - top), text, font=font, fill=255)
    both: FloatArray = np.stack([np.asarray(plate), np.asarray(ink)], axis=-1).astype(np.float32)
    both /= 255
    return both


def _letters(text: str, size: int) -> tuple[str, Any]:
    """A text, and a font that has all its letters; where there is none, with other letters for those missing."""
    from PIL import ImageFont

    own = ImageFont.load_default(size)
    if _has(own, text):
        return text, own
    for name in _FONTS:
        try:
            font = ImageFont.truetype(name, size)
        except OSError:
            continue
        if _has(font, text):
            return text, font
    plain = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letter if _has(own, letter) else "?" for letter in plain), own


def _has(font: Any, text: str) -> bool:
    """Whether a font draws every letter as something of its own."""
    missing = bytes(font.getmask(_NO_LETTER))
    return all(bytes(font.getmask(letter)) != missing for letter in set(text))

"""Reading what belongs together: a pair of hazy and clear pictures of one size, a picture and its depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.layouts import Layout, Pair, Scene
from streamdehaze.datasets.picture import read_depth, read_picture
from streamdehaze.errors import SourceError

Number = TypeVar("Number", np.uint8, np.float32)
_RESIDE_FRAME = 10
"""RESIDE's clear pictures have a white frame this wide, which its hazy ones lack."""


def read_pair(pair: Pair) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The hazy and the clear picture, (H, W, 3) RGB.

    Raises:
        SourceError: naming a file that is damaged, or both if their sizes differ.
    """
    hazy = read_picture(pair.hazy)
    return hazy, matching_clear(pair, hazy, read_picture(pair.clear))


def matching_clear(pair: Pair, hazy: npt.NDArray[np.uint8], clear: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The clear picture without RESIDE's white frame, of the hazy one's size.

    Raises:
        SourceError: if the sizes still differ.
    """
    if hazy.shape == clear.shape:
        return clear
    inner = clear[_RESIDE_FRAME:-_RESIDE_FRAME, _RESIDE_FRAME:-_RESIDE_FRAME]
    if hazy.shape == inner.shape:
        return inner
    raise SourceError(
        f"sizes differ: {pair.hazy} is {hazy.shape[1]}x{hazy.shape[0]}, "
        f"{pair.clear} is {clear.shape[1]}x{clear.shape[0]}"
    )


def read_scene(scene: Scene) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The clear picture, (H, W, 3) RGB, and its depth, (H, W), relative to the far end of the scene.

    Raises:
        SourceError: naming a file that is damaged, or both if their shapes differ.
    """
    clear = read_picture(scene.clear)
    return clear, matching_depth(scene, read_depth(scene.depth), clear)


def matching_depth(scene: Scene, depth: npt.NDArray[Number], clear: npt.NDArray[np.uint8]) -> npt.NDArray[Number]:
    """The depth in the clear picture's size; a sensor's is often smaller.

    Raises:
        SourceError: if it has another aspect ratio, and so belongs to another picture.
    """
    height, width = clear.shape[:2]
    if depth.shape == (height, width):
        return depth
    aspects = width * depth.shape[0], height * depth.shape[1]
    if max(aspects) > 1.02 * min(aspects):
        raise SourceError(
            f"shapes differ: {scene.clear} is {width}x{height}, {scene.depth} is {depth.shape[1]}x{depth.shape[0]}"
        )
    resized = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, depth.dtype)


def unreadable(layout: Layout) -> Iterator[str]:
    """One sentence for each file that is damaged, or whose size or shape differs from its partner's."""
    for item in layout.items:
        try:
            read_pair(item) if isinstance(item, Pair) else read_scene(item)
        except SourceError as error:
            yield str(error)

"""Reading a pair of hazy and clear pictures of one size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamdehaze.errors import SourceError
from streamdehaze.training.layouts import Pair
from streamdehaze.training.picture import read_picture

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

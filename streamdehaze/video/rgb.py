"""Any frame as 8-bit RGB, for looking at and drawing on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamdehaze.frame import Frame
from streamdehaze.video.planes import PictureWriter

RgbArray = npt.NDArray[np.uint8]


class RgbConverter:
    """Turns frames into RGB arrays of one size by the matrix and range each frame is tagged with."""

    def __init__(self, width: int | None = None, height: int | None = None) -> None:
        """Scale to `width` × `height` pixels; by default each frame keeps its size."""
        self._width, self._height = width, height
        self._writer = PictureWriter()

    def __call__(self, frame: Frame) -> RgbArray:
        """(height, width, 3) uint8; alpha is dropped, deeper samples are rounded."""
        picture = self._writer.picture(frame)
        width, height = self._width or frame.width, self._height or frame.height
        return self._writer.convert(picture, width, height, "rgb24").to_ndarray().astype(np.uint8, copy=False)

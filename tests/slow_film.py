"""A film in which little moves, as in front of a fixed camera."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def slow_film(path: Path, frames: int, size: tuple[int, int] = (160, 120)) -> Path:
    """Write 25 frames a second of a textured wall past which a bar moves."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    wall = (110 + 40 * np.sin(rows / 5) + 30 * np.cos(columns / 7)).astype(np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(frames):
            pixels = wall.copy()
            pixels[:, number % width : number % width + 6] = 220
            picture = av.VideoFrame.from_ndarray(pixels, format="gray").reformat(format="yuv420p")
            picture.pts = number
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path

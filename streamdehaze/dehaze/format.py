"""`FrameFormat`: what dehazing derives from the pixel format, size and colour of a video's frames, once."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from streamdehaze.frame import ColorSpec, FloatArray, Frame, PixelFormat


@dataclass(frozen=True, eq=False)
class FrameFormat:
    """Everything about a frame but its samples and its time; frames that share it are handled alike."""

    pixel_format: PixelFormat
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    color: ColorSpec
    """Resolved: matrix and range are known."""
    shape: tuple[int, int]
    """(rows, columns) of the small picture."""
    component_sizes: tuple[tuple[int, int], ...]
    """(width, height) in samples of each colour component."""
    rgb_from_planes: tuple[FloatArray, FloatArray]
    """Matrix (3, n) and offset (3,), see `ColorSpec.rgb_from_planes`."""
    planes_from_rgb: tuple[FloatArray, FloatArray]
    """Matrix (n, 3) and offset (n,), see `ColorSpec.planes_from_rgb`."""
    key: str
    """Frames with another key have nothing to do with each other: maps are not carried between them."""

    @classmethod
    def of(cls, frame: Frame, network_size: int) -> FrameFormat:
        """The format of `frame`, for a small picture of `network_size` pixels on its long side."""
        return _format(frame.pixel_format, frame.width, frame.height, frame.color, network_size)


def network_shape(width: int, height: int, network_size: int) -> tuple[int, int]:
    """(rows, columns) of the small picture: long side `network_size` or the frame's own, both multiples of 4, ≥ 8."""
    scale = min(1.0, network_size / max(width, height))
    rows, columns = (max(8, round(side * scale / 4) * 4) for side in (height, width))
    return rows, columns


@functools.lru_cache(maxsize=64)
def _format(pixel_format: PixelFormat, width: int, height: int, color: ColorSpec, network_size: int) -> FrameFormat:
    color = color.resolved(pixel_format, height)
    rgb_from_planes, planes_from_rgb = color.rgb_from_planes(pixel_format), color.planes_from_rgb(pixel_format)
    for array in (*rgb_from_planes, *planes_from_rgb):
        array.setflags(write=False)  # shared by all streams of this format
    return FrameFormat(
        pixel_format,
        width,
        height,
        color,
        shape=network_shape(width, height, network_size),
        component_sizes=tuple(
            pixel_format.component_size(index, width, height) for index in range(len(pixel_format.components))
        ),
        rgb_from_planes=rgb_from_planes,
        planes_from_rgb=planes_from_rgb,
        key=f"{pixel_format.name} {width}x{height}",
    )

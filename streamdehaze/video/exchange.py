"""Frames from and to the objects of other libraries: PyAV's pictures and PyTorch's tensors."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from streamdehaze.frame import Frame
from streamdehaze.video.planes import PictureWriter, frame_from_av
from streamdehaze.video.rgb import RgbConverter

if TYPE_CHECKING:
    from torch import Tensor


def from_av(picture: av.VideoFrame) -> Frame:
    """A frame around a PyAV picture, with its time and colour; the planes are views, nothing is copied.

    Raises:
        UnsupportedFormatError: if the picture is in a format such as a hardware surface; `picture.reformat` it first.

    Example:
        >>> with av.open("foggy.mp4") as container, Dehazer() as dehazer:
        ...     for picture in container.decode(video=0):
        ...         clear = [to_av(frame) for frame in dehazer.process([from_av(picture)])]
    """
    return frame_from_av(picture, pts=picture.pts, time_base=picture.time_base or Fraction(1))


def to_av(frame: Frame) -> av.VideoFrame:
    """A PyAV picture with a copy of the frame's pixels, its time and colour, and the side data it came with."""
    return PictureWriter().picture(frame)


def from_tensor(tensor: Tensor, *, pts: int | None = None, time_base: Fraction = Fraction(1)) -> Frame:
    """A frame of a PyTorch tensor, copied to the CPU if it is elsewhere.

    Args:
        tensor: (3, height, width) RGB, or (1, height, width) gray; uint8, or floating point in [0, 1], which is rounded
            to 16 bits.
        pts, time_base: presentation time in ticks, and seconds a tick.

    Raises:
        ValueError: for another shape or type.

    Example:
        >>> clear = to_tensor(Dehazer("aecrnet-s").process([from_tensor(hazy)])[0])
    """
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise ValueError(f"tensor must be (3, height, width) or (1, height, width), not {tuple(tensor.shape)}")
    pixels = tensor.detach().permute(1, 2, 0).cpu()
    if tensor.is_floating_point():
        array = np.round(pixels.float().clamp(0, 1).numpy() * 65535).astype(np.uint16)
    else:
        array = pixels.numpy()
    return Frame.from_array(array[..., 0] if array.shape[2] == 1 else array, pts=pts, time_base=time_base)


def to_tensor(frame: Frame) -> Tensor:
    """(3, height, width) RGB of any frame, uint8, by the frame's own matrix and range; deeper samples are rounded."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(RgbConverter()(frame))).permute(2, 0, 1)

"""Transmission as 16-bit grey pictures of the frame's size and time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.meter.measure import Measured
from streamdehaze.video import EncodeOptions, FileSink
from streamdehaze.video.protocols import Reader, Source

PIXEL_FORMAT = "gray16le"
_CONTAINERS = (".mkv", ".mov", ".avi", ".nut")
CLEAR = 65535
"""The sample of transmission 1."""


def map_frame(measured: Measured) -> Frame:
    """The transmission of a frame, 0 to 65535 for 0 to 1, with its size, time and duration."""
    frame = measured.frame
    size = frame.width, frame.height
    enlarged = np.asarray(cv2.resize(measured.transmission, size, interpolation=cv2.INTER_LINEAR))
    samples = np.round(np.clip(enlarged, 0, 1) * CLEAR).astype(np.uint16)
    return replace(Frame.from_array(samples), pts=frame.pts, time_base=frame.time_base, duration=frame.duration)


class _Maps(Reader):
    """What a sink must know of the maps before the first one."""

    def __init__(self, info: VideoInfo) -> None:
        self._info = info

    def __iter__(self) -> Iterator[Frame]:
        return iter(())


def open_map(path: str | os.PathLike[str], source: Source, *, overwrite: bool = False) -> FileSink:
    """A file for the maps of a source: FFV1, lossless, without sound.

    Raises:
        SinkError: if it exists, or the container cannot hold it; .mkv always can.
    """
    if Path(path).suffix.lower() not in _CONTAINERS:
        raise SinkError(f"a map is 16-bit grey FFV1, which '{Path(path).name}' cannot hold; name it .mkv")
    info = replace(source.info, pixel_format=PIXEL_FORMAT, codec="ffv1")
    return FileSink(path, _Maps(info), encode=EncodeOptions(codec="ffv1"), overwrite=overwrite)

"""The colour of the haze, picked at a point of a video."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from streamdehaze.control.color import Color
from streamdehaze.dehaze.stream import Stream
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.pipeline.ends import open_source
from streamdehaze.video import ReadOptions


class Point(NamedTuple):
    """A place in a video."""

    x: float
    """Pixels from the left of the frame as it is stored."""
    y: float
    """Pixels from above."""
    seconds: float = 0.0


def pick_airlight(path: str, point: Point, stream: Stream, read: ReadOptions | None = None) -> Color:
    """The colour of an input around a point, for `Stream.airlight_color`.

    Args:
        path: of a video or picture.
        point: where, in the first frame from its time on.
        stream: whose network size and input curve count.
        read: how the input is read; its `start` and `end` do not matter.

    Raises:
        ConfigError: if there is no such point.
        SourceError: if the input cannot be read.
    """
    if path == "-":
        raise ConfigError("a colour cannot be picked from a pipe, which is read once; give it as --airlight-color")
    moment = point.seconds or None
    with open_source(path, replace(read or ReadOptions(), start=moment, end=None)) as source:
        try:
            frame = next(iter(source), None)
        except SourceError as error:
            if moment is None:
                raise
            raise ConfigError(f"no frame of '{path}' at {moment:g} seconds or later can be read") from error
        if frame is None:
            raise ConfigError(f"'{path}' has no frame")
        return stream.color_at(frame, point.x, point.y)

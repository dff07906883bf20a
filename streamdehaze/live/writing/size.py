"""The size of a clear stream while the camera's own size changes: players and recorders take badly to a change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from streamdehaze.frame import Frame
from streamdehaze.video.planes import PictureWriter, frame_from_av
from streamdehaze.video.writing.encoding.encode import FrameLayout, layout_of

SizeChange = Literal["settled", "first", "follow"]

_SETTLED_SECONDS = 10.0
"""The stream takes over a size that the camera has kept for this long."""


class StreamSize:
    """Decides when a stream takes over a camera's new size, and fits frames into the old one until then.

    Args:
        change: "settled" takes a new size over once it has lasted; "first" never does; "follow" does at once.
        clock: seconds; a test may bring its own.
    """

    def __init__(self, change: SizeChange, clock: Callable[[], float] = time.monotonic) -> None:
        self._change, self._clock = change, clock
        self._stream: FrameLayout | None = None
        self._camera: FrameLayout | None = None
        self._since = 0.0
        self._reopened = False
        self._writer = PictureWriter()

    def reopened(self) -> None:
        """The camera was connected to again; what it sends now is not a passing change."""
        self._reopened = True

    def is_new(self, frame: Frame) -> bool:
        """Whether the stream takes over the layout of this frame, the next one, and so needs another encoder."""
        layout, now = layout_of(frame), self._clock()
        if layout != self._camera:
            self._camera, self._since = layout, now
        if layout == self._stream:
            self._reopened = False
            return False
        lasts = self._change == "settled" and (self._reopened or now - self._since >= _SETTLED_SECONDS)
        self._reopened = False
        if self._stream is None or self._change == "follow" or lasts:
            self._stream = layout
            return True
        return False

    def fit(self, frame: Frame, width: int, height: int) -> Frame:
        """The frame as 8-bit 4:2:0 of the stream's size, scaled, with black bars where the aspect is another."""
        scale = min(width / frame.width, height / frame.height)
        inner_width, inner_height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
        picture = self._writer.convert(self._writer.picture(frame), inner_width, inner_height, "yuv420p")
        inner = frame_from_av(picture, pts=frame.pts, time_base=frame.time_base)
        if (inner_width, inner_height) == (width, height):
            return replace(inner, duration=frame.duration)
        black = 0 if inner.color.full_range else 16
        left, top = (width - inner_width) // 4 * 2, (height - inner_height) // 4 * 2
        planes = []
        for index, (plane, value) in enumerate(zip(inner.planes, (black, 128, 128), strict=True)):
            half = 1 if index == 0 else 2
            canvas = np.full((height // half, width // half), value, np.uint8)
            rows, columns = inner_height // half, inner_width // half
            y, x = top // half, left // half
            canvas[y : y + rows, x : x + columns] = plane[:rows, :columns]
            planes.append(canvas)
        # The encoder reads the whole picture that `opaque` holds, not its planes.
        return replace(inner, planes=tuple(planes), width=width, height=height, duration=frame.duration, opaque=None)

"""Progressive pictures from interlaced ones, with FFmpeg's bwdif filter."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
import av.filter


class Deinterlacer:
    """Turns each interlaced picture into one progressive picture, or each field into one; needs one picture ahead.

    Args:
        time_base: seconds per tick of the pictures that come in; those that go out have the same, or half of it for
            fields.
        fields: make a picture of each field, twice as many.
    """

    def __init__(self, time_base: Fraction, *, fields: bool = False) -> None:
        self._time_base = time_base
        self._mode = "send_field" if fields else "send_frame"
        self._ticks_out = time_base / 2 if fields else time_base
        self._layout: tuple[int, int, str] | None = None
        self._graph: av.filter.Graph | None = None

    def feed(self, picture: av.VideoFrame) -> Iterator[tuple[av.VideoFrame, int]]:
        """What is ready after `picture`, with its time."""
        layout = (picture.width, picture.height, picture.format.name)
        if layout != self._layout:
            yield from self.finish()
            self._graph, self._layout = self._build(picture), layout
        assert self._graph is not None
        picture.time_base = self._time_base
        self._graph.push(picture)
        yield from self._ready()

    def finish(self) -> Iterator[tuple[av.VideoFrame, int]]:
        """What is left."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._ready()
            self._graph = self._layout = None

    def _build(self, picture: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(
                width=picture.width, height=picture.height, format=picture.format, time_base=self._time_base
            ),
            graph.add("bwdif", f"mode={self._mode}:deint=all"),
            graph.add("buffersink"),
        ).configure()
        return graph

    def _ready(self) -> Iterator[tuple[av.VideoFrame, int]]:
        assert self._graph is not None
        while True:
            try:
                picture = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert picture.pts is not None
            assert picture.time_base is not None
            ticks = picture.time_base / self._ticks_out  # bwdif counts in half ticks
            picture.duration = round(picture.duration * ticks)
            yield picture, round(picture.pts * ticks)

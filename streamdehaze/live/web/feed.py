"""Pictures of cameras as JPEG, encoded once for all who look at the same size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from streamdehaze.errors import StreamDehazeError
from streamdehaze.live.view import Pair, View
from streamdehaze.live.web.protocols import WatchedPipeline
from streamdehaze.video.rgb import RgbConverter

Side = Literal["both", "clear", "hazy"]
SIDES: tuple[Side, ...] = get_args(Side)
WIDTHS = (320, 480, 640, 960, 1280, 1920)
"""Pixels a picture is wide; a few, so that viewers share them."""
STREAM_QUALITY, SNAPSHOT_QUALITY = 80, 95
"""JPEG's, of 100."""

_WAIT_SECONDS = 1.0
_BLOCK = 16
"""Pixels across a JPEG's blocks with halved chroma; a seam on their border keeps both sides clean."""


@dataclass(frozen=True)
class Picture:
    """A JPEG and its place in its feed."""

    number: int
    """Grows by 1, from 1."""
    jpeg: bytes


class PictureEncoder:
    """Makes a JPEG of a pair: one of the two, or hazy (left) and clear (right) of the same frame in one picture.

    Args:
        side: which.
        width: of one picture in pixels at most, cut to whole blocks; None keeps the frame's own.
        quality: JPEG's, 1 to 100.
    """

    def __init__(self, side: Side, width: int | None = None, quality: int = STREAM_QUALITY) -> None:
        self._side, self._width, self._quality = side, width, quality
        self._size = (0, 0)
        self._convert = RgbConverter()

    def __call__(self, pair: Pair) -> bytes:
        """The JPEG's bytes."""
        size = self._scaled(pair.clear.width, pair.clear.height)
        if size != self._size:
            self._size, self._convert = size, RgbConverter(*size)
        frames = {"both": (pair.hazy, pair.clear), "hazy": (pair.hazy,), "clear": (pair.clear,)}[self._side]
        rgb = np.concatenate([self._convert(frame) for frame in frames], axis=1)
        encoded, jpeg = cv2.imencode(
            ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, self._quality]
        )
        if not encoded:
            raise StreamDehazeError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} pixels is too large for JPEG")
        return jpeg.tobytes()

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        if self._width is None:
            return width, height
        scaled = max(min(self._width, width) // _BLOCK * _BLOCK, _BLOCK)
        return scaled, max(round(height * scaled / width), 1)


class Feed:
    """One camera's pictures of one kind and width.

    Nothing is encoded until somebody asks; who asks while a picture is being made gets the same one. So frames that
    nobody is ready for cost nothing, and a slow viewer misses them.
    """

    def __init__(self, pipeline: WatchedPipeline, name: str, side: Side, width: int, pool: ThreadPoolExecutor) -> None:
        self._pipeline, self._name, self._pool = pipeline, name, pool
        self._encode = PictureEncoder(side, width)
        self._view: View | None = None
        self._seen = 0
        self._newest: Picture | None = None
        self._pending: asyncio.Future[Picture | None] | None = None
        self.viewers = 0

    async def next(self, after: int) -> Picture | None:
        """The newest picture numbered above `after`; None if a second brings none.

        Raises:
            KeyError: if the camera is no longer there.
        """
        if self._newest is not None and self._newest.number > after:
            return self._newest
        if self._pending is None:
            self._pending = asyncio.get_running_loop().run_in_executor(self._pool, self._make)
            self._pending.add_done_callback(self._made)
        return await asyncio.shield(self._pending)

    def _made(self, future: asyncio.Future[Picture | None]) -> None:
        self._pending = None
        if not future.cancelled():
            future.exception()  # seen, also where all who asked have left

    def _make(self) -> Picture | None:
        view = self._pipeline.cameras[self._name].view
        if view is not self._view:  # a camera begun anew counts anew
            self._view, self._seen = view, 0
        pair = view.wait(self._seen, _WAIT_SECONDS)
        if pair is None:
            return None
        self._seen = pair.number
        number = 1 if self._newest is None else self._newest.number + 1
        self._newest = Picture(number, self._encode(pair))
        return self._newest


class Feeds:
    """The feeds somebody looks at."""

    def __init__(self, pipeline: WatchedPipeline) -> None:
        self._pipeline = pipeline
        self._feeds: dict[tuple[str, Side, int], Feed] = {}
        # A thread each waits for a camera's next frame; they are made as they are needed.
        self._pool = ThreadPoolExecutor(max_workers=128, thread_name_prefix="streamdehaze-web-picture")

    @contextmanager
    def open(self, name: str, side: Side, width: int) -> Iterator[Feed]:
        """The feed of a camera, shared with all who look at it in the same width."""
        key = (name, side, next((offered for offered in WIDTHS if offered >= width), WIDTHS[-1]))
        feed = self._feeds.setdefault(key, Feed(self._pipeline, *key, self._pool))
        feed.viewers += 1
        try:
            yield feed
        finally:
            feed.viewers -= 1
            if not feed.viewers:
                self._feeds.pop(key, None)

    def close(self) -> None:
        """Wait for no further pictures."""
        self._pool.shutdown(wait=False, cancel_futures=True)

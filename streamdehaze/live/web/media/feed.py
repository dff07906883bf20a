"""Pictures of cameras as JPEG, encoded once for all who look at the same size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from streamdehaze.live.view import LatestPair
from streamdehaze.live.web.media.picture import PictureEncoder, Side, width_of
from streamdehaze.live.web.protocols import WatchedPipeline

_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Jpeg:
    """A JPEG and its place in its feed."""

    number: int
    """Grows by 1, from 1."""
    jpeg: bytes
    taken_at: float
    """Seconds since 1970."""
    is_clear: bool
    """False where the frame could not be made clear."""


class Feed:
    """One camera's pictures of one kind and width.

    Nothing is encoded until a viewer asks; a viewer that asks while a picture is being made gets the same one. So
    frames that no viewer is ready for cost nothing, and a slow viewer misses them.
    """

    def __init__(self, pipeline: WatchedPipeline, name: str, side: Side, width: int, pool: ThreadPoolExecutor) -> None:
        self._pipeline, self._name, self._pool = pipeline, name, pool
        self._encode = PictureEncoder(side, width)
        self._view: LatestPair | None = None
        self._seen = 0
        self._newest: Jpeg | None = None
        self._pending: asyncio.Future[Jpeg | None] | None = None
        self.viewers = 0

    async def next(self, after: int) -> Jpeg | None:
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

    def _made(self, future: asyncio.Future[Jpeg | None]) -> None:
        self._pending = None
        if not future.cancelled():
            future.exception()  # seen, also where all who asked have left

    def _make(self) -> Jpeg | None:
        view = self._pipeline.cameras[self._name].view
        if view is not self._view:  # a camera restarted counts from the beginning
            self._view, self._seen = view, 0
        pair = view.wait(self._seen, _WAIT_SECONDS)
        if pair is None:
            return None
        self._seen = pair.number
        number = 1 if self._newest is None else self._newest.number + 1
        self._newest = Jpeg(number, self._encode(pair), pair.taken_at, pair.is_clear)
        return self._newest


class Feeds:
    """The feeds that are being watched."""

    def __init__(self, pipeline: WatchedPipeline, pool: ThreadPoolExecutor) -> None:
        self._pipeline, self._pool = pipeline, pool
        self._feeds: dict[tuple[str, Side, int], Feed] = {}

    @contextmanager
    def open(self, name: str, side: Side, width: int) -> Iterator[Feed]:
        """The feed of a camera, shared with all who look at it in the same width."""
        key = (name, side, width_of(width))
        feed = self._feeds.setdefault(key, Feed(self._pipeline, *key, self._pool))
        feed.viewers += 1
        try:
            yield feed
        finally:
            feed.viewers -= 1
            if not feed.viewers:
                self._feeds.pop(key, None)

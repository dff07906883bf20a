"""A queue between two stages, bounded in bytes, whose every wait ends when the work is stopped."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from streamdehaze.errors import Cancelled

T = TypeVar("T")

_POLL_SECONDS = 0.1
"""Longest time a waiting stage takes to notice the stop event."""


class ByteQueue(Generic[T]):
    """First in, first out; `put` waits while `limit_bytes` are inside, but one item always fits.

    Args:
        limit_bytes: of all items inside, as their putters declare them.
        stop: once set, every waiting and later call raises `Cancelled`.
    """

    def __init__(self, limit_bytes: int, stop: threading.Event) -> None:
        self._limit_bytes = limit_bytes
        self._stop = stop
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def put(self, item: T, nbytes: int) -> None:
        """Add an item of `nbytes`, waiting for room.

        Raises:
            Cancelled: if the work is stopped meanwhile.
        """
        with self._changed:
            while self._items and self._bytes + nbytes > self._limit_bytes:
                self._wait()
            self._check()
            self._items.append((item, nbytes))
            self._bytes += nbytes
            self._changed.notify_all()

    def get(self) -> T:
        """Take the oldest item, waiting for one.

        Raises:
            Cancelled: if the work is stopped meanwhile.
        """
        with self._changed:
            while not self._items:
                self._wait()
            self._check()
            item, nbytes = self._items.popleft()
            self._bytes -= nbytes
            self._changed.notify_all()
            return item

    @property
    def is_empty(self) -> bool:
        """Whether the next `get` would have to wait, if nothing is added meanwhile."""
        return not self._items

    def _wait(self) -> None:
        self._check()
        self._changed.wait(_POLL_SECONDS)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled("stopped")

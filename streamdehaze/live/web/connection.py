"""A connection that waits for nobody for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""A request's head must have come after twice this; uvicorn itself would wait for ever."""
STALL_SECONDS = 15.0
"""A client that takes in nothing for so long is cut off."""
_BUSY = object()


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 connection, closed on clients that send half a request or read half an answer."""

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._check_head, None)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()

    def _check_head(self, before: Any) -> None:
        """Close if no request is being answered, and none was, nor has one come, since the check before."""
        cycle: Any = self.cycle
        now = cycle if cycle is None or cycle.response_complete else _BUSY
        if now is before and now is not _BUSY:
            self.transport.close()
        else:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._check_head, now)

"""A connection with time limits on both directions."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""A request's head must have come after twice this; uvicorn itself would wait forever."""
STALL_SECONDS = 15.0
"""A client that reads nothing for this long is disconnected."""
IDLE_PER_CLIENT, IDLE_CONNECTIONS, FULL_CONNECTIONS = 64, 256, 384
"""Connections without a request that one client, and all together, may hold open; and those at which none is spared."""
_NEW_SECONDS = 1.0
_BUSY = object()


class HttpConnection(H11Protocol):
    """uvicorn's HTTP/1.1 connection, closed on clients that send half a request or read half an answer."""

    _idle_since = 0.0
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._check_head, None)
        self._idle_since = self.loop.time()
        self._make_room()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._idle_since = self.loop.time()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered, nor the connection being closed."""
        return (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing()

    def _make_room(self) -> None:
        """Close the connections that have been idle longest, where one client or all have too many of them.

        So the limit on connections is never used up by clients that ask for nothing.
        """
        others = [each for each in self.connections if isinstance(each, HttpConnection) and each is not self]
        idle = sorted((each for each in others if each.is_idle), key=lambda each: each._idle_since)
        if len(idle) < FULL_CONNECTIONS:  # one that has just come may have asked for something that is not read yet
            idle = [each for each in idle if self.loop.time() - each._idle_since > _NEW_SECONDS]
        host = self.client and self.client[0]
        own = [each for each in idle if each.client and each.client[0] == host]
        surplus = own[: max(0, len(own) - IDLE_PER_CLIENT + 1)] or idle[: max(0, len(idle) - IDLE_CONNECTIONS + 1)]
        for each in surplus:
            each.transport.close()

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

"""The states of a camera, and which of them may follow which."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum

from streamdehaze.address import without_secrets

log = logging.getLogger("streamdehaze.live")


class CameraState(Enum):
    """What a camera is doing; the value is what status lines, pages and metrics show."""

    CONNECTING = "connecting"
    """Being opened, or opened and waiting for its first keyframe."""
    RUNNING = "running"
    """Frames arrive, and leave clear."""
    UNCLEAR = "unclear"
    """Frames arrive, but none leaves clear."""
    STALLED = "stalled"
    """Open, but no frame came for longer than the stall time; it is torn down."""
    BACKING_OFF = "backing_off"
    """Lost or unreachable; the next try waits for its time."""
    FAILED = "failed"
    """Refused in a way that retrying does not fix (wrong password, no such stream); retried slowly."""
    ENDED = "ended"
    """Over: the file has ended, or the camera was stopped. Nothing follows."""


_LOST = frozenset({CameraState.STALLED, CameraState.BACKING_OFF, CameraState.FAILED, CameraState.ENDED})
TRANSITIONS: Mapping[CameraState, frozenset[CameraState]] = {
    CameraState.CONNECTING: _LOST | {CameraState.RUNNING},
    CameraState.RUNNING: _LOST | {CameraState.UNCLEAR},
    CameraState.UNCLEAR: _LOST | {CameraState.RUNNING},
    CameraState.STALLED: frozenset({CameraState.BACKING_OFF, CameraState.ENDED}),
    CameraState.BACKING_OFF: frozenset({CameraState.CONNECTING, CameraState.ENDED}),
    CameraState.FAILED: frozenset({CameraState.CONNECTING, CameraState.ENDED}),
    CameraState.ENDED: frozenset(),
}
"""Each state's possible successors."""

StateListener = Callable[[CameraState, CameraState, str], None]
"""Called with (state before, state now, message)."""


class StateMachine:
    """Holds the current state; an exception of a listener is logged and does no harm."""

    def __init__(self) -> None:
        self._listeners: list[StateListener] = []
        self._lock = threading.Lock()
        self._state = CameraState.CONNECTING
        self._message = ""
        self._since = time.monotonic()
        self._down: tuple[float, float] | None = (time.time(), self._since)

    @property
    def state(self) -> CameraState:
        """The current state."""
        return self._state

    @property
    def message(self) -> str:
        """Why it is in this state, in one sentence; empty while all is well."""
        return self._message

    @property
    def seconds(self) -> float:
        """Time spent in the current state."""
        return time.monotonic() - self._since

    @property
    def down_since(self) -> float | None:
        """When it was last running, or made; seconds since 1970. None while it runs."""
        down = self._down
        return None if down is None else down[0]

    @property
    def down_seconds(self) -> float:
        """Time since then; 0 while it runs."""
        down = self._down
        return 0.0 if down is None else time.monotonic() - down[1]

    def listen(self, listener: StateListener) -> None:
        """Call `listener` after each further transition, after those before it, from the thread that made it."""
        self._listeners.append(listener)

    def to(self, state: CameraState, message: str = "") -> None:
        """Go to `state`; credentials in the message are masked, because it is shown, logged and sent to other programs.

        Raises:
            ValueError: if the table does not allow it.
        """
        message = without_secrets(message)
        with self._lock:
            before = self._state
            if state not in TRANSITIONS[before]:
                raise ValueError(f"a camera that is {before.value} cannot become {state.value}")
            self._state, self._message, self._since = state, message, time.monotonic()
            if state is CameraState.RUNNING:
                self._down = None
            elif self._down is None:
                self._down = (time.time(), self._since)
        for listener in list(self._listeners):
            try:
                listener(before, state, message)
            except Exception:
                log.exception("a listener of camera states failed")

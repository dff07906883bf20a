"""Events worth telling: a camera goes down or comes back, dense fog begins or ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from streamdehaze.live.background import Background
from streamdehaze.live.state import CameraState
from streamdehaze.live.status import CameraStatus
from streamdehaze.meter.reading import HazeClass

if TYPE_CHECKING:
    from streamdehaze.live.web.protocols import WatchedCamera

log = logging.getLogger("streamdehaze.live")

EventKind = Literal["down", "back", "fog_begins", "fog_ends"]
_DOWN_SECONDS = 10.0
"""A camera that is away for less is not an event."""
_FOG_SECONDS = 60.0
"""Fog must have come or gone for this long."""
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Event:
    """Something that has happened to a camera."""

    camera: str
    event: EventKind
    time: float
    """When it began, seconds since 1970."""
    message: str
    """Why, as text; empty where there is nothing to say."""

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        return asdict(self)


class _Watched:
    """One camera, and what was reported of it last."""

    def __init__(self) -> None:
        self.is_down = self.is_foggy = False
        self._fog_since: float | None = None

    def look(self, status: CameraStatus, now: float) -> list[Event]:
        events = []
        down = status.state is not CameraState.ENDED and status.down_seconds > _DOWN_SECONDS
        if down and not self.is_down:
            self.is_down = True
            events.append(Event(status.name, "down", status.down_since or now, status.message))
        elif self.is_down and status.down_since is None:
            self.is_down = False
            events.append(Event(status.name, "back", now, ""))
        haze_class = _haze_class(status)
        foggy = haze_class is HazeClass.DENSE_FOG
        if haze_class is None or foggy == self.is_foggy:
            self._fog_since = None
        elif self._fog_since is None:
            self._fog_since = now
        elif now - self._fog_since > _FOG_SECONDS:
            self.is_foggy = foggy
            begins: EventKind = "fog_begins" if foggy else "fog_ends"
            events.append(Event(status.name, begins, self._fog_since, haze_class.value))
            self._fog_since = None
        return events


def _haze_class(status: CameraStatus) -> HazeClass | None:
    """By metres where they are known, else by density; None if neither is to be relied on."""
    by_metres = None if status.visibility is None else status.visibility.haze_class
    if by_metres is not None or status.haze is None or status.haze.dark:
        return by_metres
    return status.haze.haze_class


class EventWatch(Background):
    """Looks at all cameras twice a second, in a thread of its own.

    Args:
        cameras: gives them by name, as they are now.
        listeners: called with each event; an exception of one is logged and does no harm.
        clock: seconds since 1970; a test may bring its own.
    """

    def __init__(
        self,
        cameras: Callable[[], Mapping[str, WatchedCamera]],
        listeners: Sequence[Callable[[Event], None]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__("events")
        self._cameras, self._listeners, self._clock = cameras, listeners, clock
        self._watched: dict[str, _Watched] = {}

    def stop(self) -> None:
        """End."""
        super().stop()
        self.join(2 * _POLL_SECONDS)

    def look(self) -> list[Event]:
        """What has happened since the last look."""
        cameras = self._cameras()
        self._watched = {name: self._watched.get(name) or _Watched() for name in cameras}
        now = self._clock()
        return [event for name, camera in cameras.items() for event in self._watched[name].look(camera.status(), now)]

    def _run(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            for event in self.look():
                for listener in self._listeners:
                    try:
                        listener(event)
                    except Exception:
                        log.exception("an event could not be announced")

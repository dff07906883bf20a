"""A live camera as a `Source`: `for frame in open_source("rtsp://…")`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

from streamdehaze.errors import Cancelled, SourceError
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.reading.reception import Reception
from streamdehaze.live.reading.supervisor import Supervisor
from streamdehaze.live.state import CameraState, StateMachine
from streamdehaze.live.status import CameraCounters
from streamdehaze.video.protocols import Reader
from streamdehaze.video.reading.camera import Connection

_POLL_SECONDS = 0.1


class LiveSource(Reader):
    """Iterates over a camera's frames until it is closed, through reconnects.

    A slow reader gets the newest frames: at most `buffer_frames` wait, the oldest are dropped and counted.

    Args:
        config: of the camera; only what concerns reading counts.
        wait_seconds: how long the first frame may take.
        stop: once set, iteration ends.

    Raises:
        SourceError: if no frame comes in time; the reason is named.
    """

    def __init__(
        self, config: CameraConfig, *, wait_seconds: float = 15.0, stop: threading.Event | None = None
    ) -> None:
        self.name = config.shown_url
        self.counters = CameraCounters()
        self.machine = StateMachine()
        self._stop = stop or threading.Event()
        self._frames: deque[Frame] = deque()
        self._limit = config.buffer_frames
        self._changed = threading.Condition()
        self._reception = Reception(config, self.counters, on_frame=self._take)
        self._supervisor = Supervisor(config, self._reception, self.machine, self.counters)
        self._supervisor.start()
        first = self._await_first(wait_seconds)
        self._info = VideoInfo(
            first.width,
            first.height,
            first.pixel_format.name,
            self._reception.rate,
            first.time_base,
            None,
            None,
            self._reception.codec or "",
            first.color,
        )

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order, with times that only grow, until `close` is called or the stop event is set."""
        while not self._stop.is_set():
            with self._changed:
                while not self._frames:
                    if self._stop.is_set() or self.machine.state is CameraState.ENDED:
                        return
                    self._changed.wait(_POLL_SECONDS)
                frame = self._frames.popleft()
            yield frame

    def close(self) -> None:
        """Release the camera; may be called twice."""
        self._supervisor.stop()
        self._supervisor.join(2.0)

    def _await_first(self, seconds: float) -> Frame:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._frames:
                message = self.machine.message
                hopeless = self.machine.state in (CameraState.FAILED, CameraState.ENDED)
                if hopeless or self._stop.is_set() or time.monotonic() > deadline:
                    break
                self._changed.wait(_POLL_SECONDS)
            else:
                return self._frames[0]
        self.close()
        if self._stop.is_set():
            raise Cancelled(f"stopped while waiting for {self.name}")
        raise SourceError(message or f"no frame came from {self.name} within {seconds:g} s")

    def _take(self, frame: Frame, arrival: float, connection: Connection) -> None:
        with self._changed:
            if len(self._frames) >= self._limit:
                self._frames.popleft()
                self.counters.drop("buffer_full")
            self._frames.append(frame)
            self._changed.notify_all()

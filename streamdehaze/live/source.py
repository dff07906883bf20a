"""A live camera as a `Source`: `for frame in open_source("rtsp://…")`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import av
from av.video.stream import VideoStream

from streamdehaze.address import Address
from streamdehaze.errors import Cancelled, SourceError
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.live.config import CameraConfig, check_config
from streamdehaze.live.connection import Connection
from streamdehaze.live.encoded import Encoded
from streamdehaze.live.state import CameraState, StateMachine
from streamdehaze.live.status import CameraCounters
from streamdehaze.live.supervisor import Supervisor
from streamdehaze.video.planes import frame_from_av
from streamdehaze.video.pyav import fraction, frame_rate
from streamdehaze.video.reading.timeline import TICK, Timeline

_POLL_SECONDS = 0.1
_FILE_OPTIONS = frozenset({"start", "end", "hwaccel", "deinterlace", "on_damage"})


class LiveSource:
    """Iterates over a camera's frames for as long as somebody wants them, through reconnects.

    A slow reader gets the newest frames: at most `buffer_frames` wait, the oldest are dropped and counted.

    Args:
        url: rtsp://, rtmp://, http:// … or /dev/video0.
        wait_seconds: how long the first frame may take.
        stop: once set, iteration ends.
        **options: of `CameraConfig`, such as `transport` or `password_env`.

    Raises:
        SourceError: if no frame comes in time; the reason is named. Also for options that only files have.
        ConfigError: if an option is wrong.
    """

    def __init__(
        self, url: str, *, wait_seconds: float = 15.0, stop: threading.Event | None = None, **options: Any
    ) -> None:
        if not _FILE_OPTIONS.isdisjoint(options):
            raise SourceError(f"{Address.of(url).shown} is a live stream, which has no end; use 'streamdehaze live'")
        values = {"name": "source", "url": url, **options}
        self._config: CameraConfig = check_config({"camera": [values]}, Address.of(url).shown).camera[0]
        self.name = self._config.shown_url
        self.path = None
        self.counters = CameraCounters()
        self.machine = StateMachine()
        self._stop = stop or threading.Event()
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._timeline = Timeline()
        self._connection: Connection | None = None
        self._info: VideoInfo | None = None
        self._supervisor = Supervisor(self._config, self, self.machine, self.counters)
        self._supervisor.start()
        self._await_first(wait_seconds)

    @property
    def info(self) -> VideoInfo:
        """What the first frame and the camera say."""
        assert self._info is not None
        return self._info

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
        """Let go of the camera; may be called twice."""
        self._supervisor.stop()
        self._supervisor.join(2.0)

    def _await_first(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._frames:
                message = self.machine.message
                hopeless = self.machine.state in (CameraState.FAILED, CameraState.ENDED)
                if hopeless or self._stop.is_set() or time.monotonic() > deadline:
                    break
                self._changed.wait(_POLL_SECONDS)
            else:
                return
        self.close()
        if self._stop.is_set():
            raise Cancelled(f"stopped while waiting for {self.name}")
        raise SourceError(message or f"no frame came from {self.name} within {seconds:g} s")

    # What a connection tells: see `Receiver`.

    def opened(self, connection: Connection, video: VideoStream) -> None:
        self._connection = connection
        self._timeline.reconnect()
        self._codec = video.codec_context.codec.canonical_name
        self._rate = frame_rate(video)

    def begins_again(self, connection: Connection) -> None:
        self._timeline.reconnect()

    def skipped(self, connection: Connection, reason: str) -> None:
        self.counters.drop(reason)

    def sound(self, connection: Connection, packet: Encoded) -> None:
        """Sound is for sinks."""

    def picture(self, connection: Connection, picture: av.VideoFrame, arrival: float) -> None:
        with self._changed:
            if connection is not self._connection or connection.abandoned:
                return
            pts = self._timeline.place(picture.pts, fraction(picture.time_base) or TICK, arrival)
            frame = frame_from_av(picture, pts=pts, time_base=TICK)
            self.counters.arrived()
            if self._info is None:
                self._info = VideoInfo(
                    frame.width, frame.height, frame.pixel_format.name, self._rate, TICK, None, None,
                    self._codec, frame.color,
                )  # fmt: skip
            if len(self._frames) >= self._config.buffer_frames:
                self._frames.popleft()
                self.counters.drop("buffer_full")
            self._frames.append(frame)
            self._changed.notify_all()

"""The frames and sound of one camera on one growing clock, through all its connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from streamdehaze.frame import Frame
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.status import CameraCounters
from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.reading.camera import Connection
from streamdehaze.video.reading.times.timeline import TICK, Timeline
from streamdehaze.video.writing.sound import SoundFormat

FrameTaker = Callable[[Frame, float, Connection], None]
"""Called with a frame, the arrival of its packet (monotonic seconds) and the connection it came through."""


class Reception:
    """The `Receiver` of a camera's connections: only the newest one is listened to.

    Args:
        config: of the camera.
        counters: of what arrives and what is dropped here.
        on_frame: takes each frame, in `TICK`s.
        on_sound: takes each packet of sound, in `TICK`s.
        on_format: called with the format of the sound, None without any, whenever the camera is opened.
    """

    def __init__(
        self,
        config: CameraConfig,
        counters: CameraCounters,
        *,
        on_frame: FrameTaker,
        on_sound: Callable[[EncodedPacket], None] = lambda packet: None,
        on_format: Callable[[SoundFormat | None], None] = lambda format: None,
    ) -> None:
        self.codec: str | None = None
        """FFmpeg's name; None before the camera was open."""
        self.rate: Fraction | None = None
        """Frames a second; None if unknown."""
        self.clock_lag: float | None = None
        """Seconds from when the newest keyframe was sent, by the camera's clock, to when it arrived, by this machine's;
        None where the camera does not tell."""
        self._counters = counters
        self._on_frame, self._on_sound, self._on_format = on_frame, on_sound, on_format
        self._interval = 1 / config.max_fps if config.max_fps else 0.0
        self._next_due = 0.0
        self._lock = threading.Lock()
        self._timeline = Timeline(follow_arrival=config.is_live)
        self._connection: Connection | None = None
        self._format: SoundFormat | None = None

    def opened(self, connection: Connection, codec: str, rate: Fraction | None, sound: Any) -> None:
        with self._lock:
            if connection.abandoned:
                return
            self._connection = connection
            self._timeline.reconnect()
            self._format = None if sound is None else SoundFormat(sound)
        self.codec, self.rate, self.clock_lag = codec, rate, None
        self._on_format(self._format)

    def sent(self, connection: Connection, moment: float, arrival: float) -> None:
        self.clock_lag = time.time() - (time.monotonic() - arrival) - moment

    def skipped(self, connection: Connection, reason: str) -> None:
        self._counters.drop(reason)

    def frame(self, connection: Connection, frame: Frame, arrival: float) -> None:
        with self._lock:
            if connection is not self._connection or connection.abandoned:
                return
            self._counters.arrived()
            if self._interval and arrival < self._next_due:
                self._counters.drop("over_limit")
                return
            self._next_due = max(self._next_due + self._interval, arrival - self._interval)
            corrected = self._timeline.corrected
            pts = self._timeline.place(frame.pts, frame.time_base, arrival)
            for _ in range(self._timeline.corrected - corrected):
                self._counters.corrected_clock()
        self._counters.observe("decode", time.monotonic() - arrival)
        duration = round(frame.duration * frame.time_base / TICK)
        self._on_frame(replace(frame, pts=pts, time_base=TICK, duration=duration), arrival, connection)

    def sound(self, connection: Connection, packet: Any) -> None:
        encoded = EncodedPacket.of(packet, self._format)
        with self._lock:
            stamp = encoded.pts if encoded.pts is not None else encoded.dts
            if connection is not self._connection or stamp is None:
                return
            pts = self._timeline.of(stamp, encoded.time_base)
        if pts is not None:
            duration = round(encoded.duration * encoded.time_base / TICK)
            self._on_sound(replace(encoded, pts=pts, dts=pts, duration=duration, time_base=TICK))

"""One sink of a clear stream: connected, fed, and connected again when it dies, without holding anything else up."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from streamdehaze.live.background import Background
from streamdehaze.live.retry import Retry
from streamdehaze.live.status import SinkStatus
from streamdehaze.live.writing.retention import Retention
from streamdehaze.video.fault import fault_of, look_up
from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.writing.mux import Muxer
from streamdehaze.video.writing.sound import CameraSound, SoundFormat
from streamdehaze.video.writing.target import LiveTarget

log = logging.getLogger("streamdehaze.live")

_LIMIT_BYTES = 8 << 20
_POLL_SECONDS = 0.1
_RETRY_SECONDS, _SLOW_RETRY_SECONDS = (0.5, 10.0), (2.0, 30.0)
"""The first wait, and the longest."""
_CLEAR_AWAY_SECONDS = 30.0
"""Between two looks for recordings that are not kept any longer."""
_SETTLED_SECONDS = 2.0
"""A sink that has taken pictures this long is back; a full disk takes some, too, before it refuses."""


class LiveSink(Background):
    """Writes packets to a target in a thread of its own.

    Args:
        target: where to.
        segment_seconds, segment_bytes: when a target that rotates begins its next file.
        retention: which of its files are kept.
        sound: gives the format of the camera's sound at the moment, or None.
        drop: called with the reason and number of pictures that this sink did not get.
        written: called with the arrival time of a frame that has been written, and the seconds that writing took.
    """

    def __init__(
        self,
        target: LiveTarget,
        camera: str,
        *,
        segment_seconds: float,
        segment_bytes: int | None,
        retention: Retention,
        sound: Callable[[], SoundFormat | None],
        drop: Callable[[str, int], None],
        written: Callable[[LiveSink, float, float], None],
    ) -> None:
        super().__init__(f"sink-{camera}")
        self._target, self._camera = target, camera
        self._segment_seconds, self._segment_bytes = segment_seconds, segment_bytes
        self._sound_of, self._drop, self._written = sound, drop, written
        self._retention = retention
        self._file: Path | None = None
        self._sound: CameraSound | None = None
        self._cleared_at = 0.0
        self._changed = threading.Condition()
        self._queue: deque[EncodedPacket] = deque()
        self._bytes = 0
        self._retry = Retry(camera, _RETRY_SECONDS, _SLOW_RETRY_SECONDS, target.name)
        self.wants_keyframe = True
        """Nothing can be written before a keyframe, and one would be written."""
        self._resting = False
        self.connected = False
        self._packets = self._reconnects = 0
        self._opened_before = False

    def stop(self) -> None:
        """Write what is queued and end the file or stream; `join` waits for that."""
        with self._changed:
            super().stop()
            self._changed.notify_all()

    @property
    def playlist(self) -> Path | None:
        """The HLS playlist it writes, if its target is one."""
        return Path(self._target.address.full) if self._target.format == "hls" else None

    def status(self) -> SinkStatus:
        """Its state now."""
        message = "" if self.connected else self._retry.reported
        file = str(self._file) if self._file is not None and self.connected else ""
        deleted = self._retention.deleted_files
        return SinkStatus(
            self._target.name, self.connected, message, self._packets, self._reconnects, file=file, deleted=deleted
        )

    def offer(self, packet: EncodedPacket, *, wait: bool = False) -> None:
        """Take a packet, or drop it if there is no room; with `wait`, a connected sink is waited for instead."""
        is_picture = packet.is_picture
        with self._changed:
            if self._stop.is_set():
                return
            if self._resting:
                if is_picture:
                    self._drop("sink_down", 1)
                return
            if self.wants_keyframe:
                if not (is_picture and packet.is_keyframe):
                    if is_picture:
                        self._drop("sink_down", 1)
                    return
                self.wants_keyframe = False
            while wait and self.connected and self._is_full(packet) and not self._stop.is_set():
                self._changed.wait(_POLL_SECONDS)
            if self._is_full(packet):
                self._forget("sink_full")
                if is_picture:
                    self._drop("sink_full", 1)
                return
            self._queue.append(packet)
            self._bytes += len(packet.data)
            self._changed.notify_all()

    def _is_full(self, packet: EncodedPacket) -> bool:
        return bool(self._queue) and self._bytes + len(packet.data) > _LIMIT_BYTES

    def _forget(self, reason: str) -> None:
        """Empty the queue; it continues with a keyframe."""
        with self._changed:
            pictures = sum(packet.is_picture for packet in self._queue)
            self._queue.clear()
            self._bytes = 0
            self.wants_keyframe = True
        if pictures:
            self._drop(reason, pictures)

    def _next(self) -> EncodedPacket | None:
        """The next packet; None when all is written and the end is wanted."""
        with self._changed:
            while not self._queue:
                if self._stop.is_set():
                    return None
                self._changed.wait(_POLL_SECONDS)
            packet = self._queue.popleft()
            self._bytes -= len(packet.data)
            self._changed.notify_all()
            return packet

    def _run(self) -> None:
        while not self._stop.is_set():
            opened: Muxer | None = None
            first = self._next()
            try:
                while first is not None:
                    opened = None
                    opened = self._open(first)
                    first = self._write(opened, first)  # None, or the packet that needs another file
                    opened.close()
                return
            except Exception as error:
                if opened is not None:
                    opened.output.give_up()
                self.connected = False
                self._rest(self._retry.after(fault_of(error, self._target.address, timeout=5)))

    def _open(self, first: EncodedPacket) -> Muxer:
        if not first.is_picture:
            raise RuntimeError("a stream begins with a picture")
        look_up(self._target.address)
        self._clear_away(None)
        found = self._sound_of()
        self._sound = None if found is None else CameraSound(found, self._target.format)
        opened = Muxer(self._target.open(), first, self._sound)
        if opened.output.answered:
            self._connected(opened)
        return opened

    def _write(self, opened: Muxer, first: EncodedPacket) -> EncodedPacket | None:
        """Write packets until there are no more, or one that needs another file."""
        packet: EncodedPacket | None = first
        while packet is not None:
            if packet is not first and self._needs_another(opened, packet):
                return packet
            began = time.monotonic()
            opened.send(packet)
            if not self.connected and opened.output.answered:
                self._connected(opened)
            if packet.is_picture:
                self._packets += 1
                if began - self._cleared_at > _CLEAR_AWAY_SECONDS:
                    self._clear_away(opened.output.path)
                if self.connected and self._retry.reported and began - opened.output.since > _SETTLED_SECONDS:
                    self._retry.back(self._target.name)
                    self._retry.settled()
                if packet.arrival is not None:
                    self._written(self, packet.arrival, time.monotonic() - began)
            packet = self._next()
        return None

    def _clear_away(self, current: Path | None) -> None:
        """Delete recordings that are not kept any longer."""
        self._retention.enforce(current)
        self._cleared_at = time.monotonic()

    def _needs_another(self, opened: Muxer, packet: EncodedPacket) -> bool:
        if not packet.is_picture:
            return False
        if packet.format is not opened.encoder:
            return True
        if not packet.is_keyframe:
            return False
        if self._sound_of() != (self._sound and self._sound.format):
            return True
        too_long = opened.seconds_at(packet) >= self._segment_seconds
        too_large = self._segment_bytes is not None and opened.output.bytes > self._segment_bytes
        return self._target.rotates and (too_long or too_large or self._is_gone(opened.output.path))

    def _is_gone(self, file: Path | None) -> bool:
        """Whether the file that is written was deleted: what else goes into it is lost with it."""
        if file is None or file.exists():
            return False
        text = "%s: '%s' was deleted while it was being written; the next file begins"
        log.warning(text, self._camera, file, extra={"camera": self._camera})
        return True

    def _connected(self, opened: Muxer) -> None:
        self._file = opened.output.path
        if self.connected:
            return
        if self._opened_before:
            self._reconnects += 1
        else:
            self._opened_before = True
            log.info("%s: sends to %s", self._camera, self._target.name, extra={"camera": self._camera})
            if self._sound is not None and self._sound.aac is not None:
                text = "%s: what is sent to %s has its sound encoded again, as AAC; the camera sends %s"
                log.info(
                    text, self._camera, self._target.name, self._sound.format.codec, extra={"camera": self._camera}
                )
        self.connected = True

    def _rest(self, seconds: float) -> None:
        """Wait before the next try, which begins with the newest pictures."""
        with self._changed:
            self._forget("sink_down")
            self._resting, self.wants_keyframe = True, False
        self._stop.wait(seconds)
        with self._changed:
            self._resting, self.wants_keyframe = False, True

"""Clips of an event: what a camera sent before it was asked for, from memory, and what it sends afterwards."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from streamdehaze.durable import rename_durably, sync_file
from streamdehaze.errors import ConfigError
from streamdehaze.live.background import Background
from streamdehaze.live.writing.retention import Retention
from streamdehaze.video.fault import fault_of
from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.writing.mux import Muxer
from streamdehaze.video.writing.sound import CameraSound, SoundFormat
from streamdehaze.video.writing.target import LiveTarget

log = logging.getLogger("streamdehaze.live")

_LIMIT_BYTES = 64 << 20
"""Limit for what a camera keeps for future clips, and for what one clip has not written yet."""
_MOST_AT_ONCE = 4
_KNOWN = 16
"""Clips of a camera that `ClipRecorder.clips` lists."""
_BEFORE_SECONDS = 10.0
MOST_SECONDS = 600.0
"""Longest part of a clip after the request."""
_PATIENCE_SECONDS = 5.0
"""A clip ends this long after its time even if no frame comes."""
_POLL_SECONDS = 0.2
_CLEAR_AWAY_SECONDS = 30.0
"""Between two looks for clips that are not kept any longer."""


class ClipFile(NamedTuple):
    """A clip on the disk."""

    name: str
    """Its path below the folder that all clips of the camera are in, with slashes."""
    path: Path
    ended: float
    """When it was written, seconds since 1970."""
    bytes: int


class EventClip(Background):
    """A clip that was asked for, written in a thread of its own.

    Args:
        camera: its name, for the log.
        path: of the file, once it is whole.
        target: what it is written as.
        packets: those from before, from a keyframe on.
        sound: the format of the camera's sound, None without.
        after_seconds: how long it continues from now.
        written: called with the file once it is whole.
    """

    def __init__(
        self,
        camera: str,
        path: Path,
        target: LiveTarget,
        packets: Iterable[EncodedPacket],
        sound: SoundFormat | None,
        after_seconds: float,
        written: Callable[[Path], None],
    ) -> None:
        super().__init__(f"clip-{camera}")
        self.path = path
        self.state: Literal["recording", "finished", "failed"] = "recording"
        self.message = ""
        """Why it failed."""
        self._camera, self._target, self._sound, self._written = camera, target, sound, written
        self._changed = threading.Condition()
        self._queue = deque(packets)
        self._bytes = sum(len(packet.data) for packet in self._queue)
        self._until = time.monotonic() + after_seconds
        self.start()

    def offer(self, packet: EncodedPacket) -> None:
        """Add the next packet; the clip ends with the first that is too late for it."""
        with self._changed:
            late = packet.arrival is not None and packet.arrival > self._until
            if late or self._bytes + len(packet.data) > _LIMIT_BYTES:
                self._stop.set()
            if not self._stop.is_set():
                self._queue.append(packet)
                self._bytes += len(packet.data)
            self._changed.notify_all()

    def stop(self) -> None:
        """Write what there is; `join` waits for that."""
        with self._changed:
            super().stop()
            self._changed.notify_all()

    def _run(self) -> None:
        partial = self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")
        try:
            self._write(partial)
            sync_file(partial)
            rename_durably(partial, self.path)
            self.state = "finished"
            log.info("%s: the clip '%s' is written", self._camera, self.path, extra={"camera": self._camera})
            self._written(self.path)
        except Exception as error:
            self.message, self.state = fault_of(error, self._target.address, timeout=0).message, "failed"
            text = "%s: the clip '%s' could not be written: %s"
            log.error(text, self._camera, self.path, self.message, extra={"camera": self._camera})
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        finally:
            self.stop()
            self._queue.clear()

    def _write(self, partial: Path) -> None:
        first = self._next()
        assert first is not None
        sound = None if self._sound is None else CameraSound(self._sound, self._target.format)
        opened = Muxer(self._target.open_file(partial), first, sound)
        try:
            packet: EncodedPacket | None = first
            while packet is not None and (not packet.is_picture or packet.format is opened.encoder):
                if packet.is_picture or packet.format == self._sound:
                    opened.send(packet)
                packet = self._next()
            opened.close()
        except BaseException:
            opened.output.give_up()
            raise

    def _next(self) -> EncodedPacket | None:
        """The next packet; None after the last."""
        with self._changed:
            while not self._queue:
                if self._stop.is_set() or time.monotonic() > self._until + _PATIENCE_SECONDS:
                    return None
                self._changed.wait(_POLL_SECONDS)
            packet = self._queue.popleft()
            self._bytes -= len(packet.data)
            return packet


class ClipRecorder:
    """Keeps the last seconds of a clear stream in memory, as it was encoded, and writes clips that begin there.

    Args:
        target: names the files.
        camera: its name.
        seconds: how much is kept, 64 MiB of it at most.
        sound: gives the format of the camera's sound at the moment, or None.
        retention: which clips are kept on the disk.
    """

    def __init__(
        self,
        target: LiveTarget,
        camera: str,
        seconds: float,
        sound: Callable[[], SoundFormat | None],
        retention: Retention,
    ) -> None:
        self._target, self._camera, self._seconds, self._sound = target, camera, seconds, sound
        self._lock = threading.Lock()
        self._groups: deque[list[EncodedPacket]] = deque()
        """Pictures from a keyframe to the next, and the sound in between."""
        self._bytes = 0
        self._clips: deque[EventClip] = deque(maxlen=_KNOWN)
        self._retention = retention
        self._clearing = threading.Lock()
        self._finished = threading.Event()
        self._keeper = threading.Thread(target=self._clear_away_again, name=f"clips-{camera}", daemon=True)

    def start(self) -> None:
        """Begin to delete clips that are not kept any longer, where any are to be deleted."""
        if self._retention.has_limits:
            self._keeper.start()

    @property
    def clips(self) -> list[EventClip]:
        """Those asked for, the newest last; the sixteen newest at most."""
        with self._lock:
            return list(self._clips)

    def files(self) -> list[ClipFile]:
        """All clips on the disk, the newest first."""
        root = self._retention.root
        found = sorted(self._retention.files(), reverse=True)
        return [ClipFile(path.relative_to(root).as_posix(), path, ended, size) for ended, size, path in found]

    @property
    def kept_bytes(self) -> int:
        """How much is kept."""
        return self._bytes

    def offer(self, packet: EncodedPacket) -> None:
        """Keep a packet, and add it to the clips that are being written."""
        with self._lock:
            if packet.is_picture and packet.is_keyframe:
                if self._groups and self._groups[-1][0].format is not packet.format:
                    self._forget(len(self._groups))  # one file cannot hold both
                self._groups.append([])
            if self._groups:
                self._groups[-1].append(packet)
                self._bytes += len(packet.data)
            if packet.arrival is not None:
                while len(self._groups) > 1 and _arrival(self._groups[1]) <= packet.arrival - self._seconds:
                    self._forget(1)
            if self._bytes > _LIMIT_BYTES:
                self._forget(max(1, len(self._groups) - 1))
            for clip in self._clips:
                if clip.state == "recording":
                    clip.offer(packet)

    def record(self, before_seconds: float | None, after_seconds: float) -> EventClip:
        """Begin a clip with the last keyframe at least `before_seconds` ago, or the oldest kept.

        Without a number, that is ten seconds, or as much as is kept.

        Raises:
            ConfigError: if the times are out of range, nothing is kept yet, or four clips are being written.
        """
        if before_seconds is None:
            before_seconds = min(_BEFORE_SECONDS, self._seconds)
        if not 0 <= before_seconds <= self._seconds:
            raise ConfigError(f"before_seconds must lie between 0 and the camera's clip_seconds ({self._seconds:g})")
        if not 0 <= after_seconds <= MOST_SECONDS:
            raise ConfigError(f"after_seconds must lie between 0 and {MOST_SECONDS:g}")
        with self._lock:
            if not self._groups or self._finished.is_set():
                raise ConfigError("there is no picture yet to begin a clip with")
            if sum(clip.state == "recording" for clip in self._clips) >= _MOST_AT_ONCE:
                raise ConfigError(f"{_MOST_AT_ONCE} clips are being recorded already; wait for one to end")
            now = time.monotonic()
            early = [group for group in self._groups if _arrival(group) <= now - before_seconds]
            groups = list(self._groups)[max(0, len(early) - 1) :]
            packets = [packet for group in groups for packet in group]
            taken = [clip.path for clip in self._clips if clip.state == "recording"]
            path = self._target.free_file(time.time() - (now - _arrival(groups[0])), taken)
            clip = EventClip(self._camera, path, self._target, packets, self._sound(), after_seconds, self._clear_away)
            self._clips.append(clip)
        return clip

    def finish(self) -> None:
        """End all clips now; `join` waits for that."""
        with self._lock:
            self._finished.set()
            self._forget(len(self._groups))
            for clip in self._clips:
                clip.stop()

    def join(self, timeout: float) -> bool:
        """Wait until all clips are written, or `timeout` seconds; whether they are."""
        deadline = time.monotonic() + timeout
        return all(clip.join(max(0.0, deadline - time.monotonic())) for clip in self.clips)

    def _clear_away_again(self) -> None:
        while True:
            self._clear_away(None)
            if self._finished.wait(_CLEAR_AWAY_SECONDS):
                return

    def _clear_away(self, newest: Path | None) -> None:
        with self._clearing:
            self._retention.enforce(newest)

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= sum(len(packet.data) for packet in self._groups.popleft())


def _arrival(group: list[EncodedPacket]) -> float:
    """Arrival of the keyframe that a group begins with."""
    return group[0].arrival or 0.0

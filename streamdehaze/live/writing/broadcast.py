"""All sinks of a camera: one encoder in a thread, and a thread for each sink."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from streamdehaze.errors import StreamDehazeError
from streamdehaze.frame import Frame
from streamdehaze.live.background import Background
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.status import CameraCounters, SinkStatus
from streamdehaze.live.writing.clips import ClipRecorder
from streamdehaze.live.writing.retention import Retention
from streamdehaze.live.writing.sink import LiveSink
from streamdehaze.live.writing.size import StreamSize
from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.writing.encoding.encode import StreamSetup, VideoEncoder, layout_of
from streamdehaze.video.writing.encoding.encoding import Encoding
from streamdehaze.video.writing.sound import SoundFormat
from streamdehaze.video.writing.target import LiveTarget

log = logging.getLogger("streamdehaze.live")

_LIMIT_FRAMES = 8
_POLL_SECONDS = 0.1


class Broadcast(Background):
    """Encodes clear frames and hands the packets to the sinks.

    Args:
        config: of the camera.
        counters: of what is dropped here.
        on_room: called when a queue that was full no longer is.

    Raises:
        ConfigError: if a target cannot be written to.
    """

    def __init__(
        self, config: CameraConfig, counters: CameraCounters, on_room: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(f"encoder-{config.name}")
        self._config, self._counters, self._on_room = config, counters, on_room
        self._changed = threading.Condition()
        self._frames: deque[tuple[Frame, float, bool]] = deque()
        self._waiting_sound: deque[EncodedPacket] = deque()
        self._sound: SoundFormat | None = None
        self._encoding = Encoding.for_viewers(config.codec, "live", config.bitrate)
        self._encoder: VideoEncoder | None = None
        self._size = StreamSize(config.size_change)
        self._said = ""
        limits = config.keep_hours, config.keep_bytes
        self._sinks = [
            LiveSink(
                target,
                config.name,
                segment_seconds=config.segment_seconds,
                segment_bytes=config.segment_bytes,
                retention=Retention(target.address.full, *limits if target.rotates else ()),
                sound=lambda: self._sound,
                drop=counters.drop,
                written=self._written,
            )
            for target in (LiveTarget.for_encoder(to, config.name, config.codec, config.trust) for to in config.to)
        ]
        self.clips: ClipRecorder | None = None
        """Writes clips on request, where the configuration names a file for them."""
        if config.clips is not None:
            target = LiveTarget.for_encoder(config.clips, config.name, config.codec)
            kept = Retention(target.address.full, config.clip_keep_hours, config.clip_keep_bytes)
            self.clips = ClipRecorder(target, config.name, config.clip_seconds, lambda: self._sound, kept)

    @property
    def playlist(self) -> Path | None:
        """The HLS playlist it writes, if it writes one."""
        return next((sink.playlist for sink in self._sinks if sink.playlist is not None), None)

    @property
    def connected(self) -> bool:
        """Whether a sink takes what is sent."""
        return any(sink.connected for sink in self._sinks)

    @property
    def is_full(self) -> bool:
        """Whether `put` would drop a frame."""
        return len(self._frames) >= _LIMIT_FRAMES

    def start(self) -> None:
        """Begin."""
        if self._config.is_encoded:
            super().start()
        for sink in self._sinks:
            sink.start()
        if self.clips is not None:
            self.clips.start()

    def finish(self, timeout: float) -> bool:
        """Encode and write what is there, end files and streams; returns after `timeout` seconds at the latest.

        Returns:
            Whether all of it was done by then.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            self.stop()
            self._changed.notify_all()
        self.join(timeout / 2)
        for sink in self._sinks:
            sink.stop()
        if self.clips is not None:
            self.clips.finish()
        for sink in self._sinks:
            sink.join(max(0.0, deadline - time.monotonic()))
        clips_written = self.clips is None or self.clips.join(max(0.0, deadline - time.monotonic()))
        return clips_written and not self.alive and not any(sink.alive for sink in self._sinks)

    def status(self) -> tuple[SinkStatus, ...]:
        """The state of each sink."""
        return tuple(sink.status() for sink in self._sinks)

    def hears(self, sound: SoundFormat | None) -> None:
        """The camera was opened; its sound has this format from now on."""
        self._size.reopened()
        self._sound = sound

    def put(self, frame: Frame, arrival: float, *, wait: bool = False) -> None:
        """Send a clear frame, without waiting: when the encoder is behind, the oldest is dropped.

        Args:
            frame: to send.
            arrival: when its packet came, monotonic seconds.
            wait: no frame is dropped, here or at a sink; whoever puts frames in then looks at `is_full` first.
        """
        if not self._config.is_encoded:
            return
        with self._changed:
            if self.is_full and not wait:
                self._frames.popleft()
                self._counters.drop("sink_full")
            self._frames.append((frame, arrival, wait))
            self._changed.notify_all()

    def put_sound(self, packet: EncodedPacket, *, wait: bool = False) -> None:
        """Send a packet of sound, its times already those of the clear stream; with `wait`, after its picture."""
        if wait:
            self._waiting_sound.append(packet)
        else:
            self._offer([packet])

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            frame, arrival, wait = taken
            began = time.monotonic()
            try:
                packets = self._encode(frame, arrival)
            except Exception as error:
                self._failed(error)
                continue
            self._counters.observe("encode", time.monotonic() - began)
            self._offer(packets, wait=wait)
            self._offer(self._sound_until(frame.pts), wait=True)
        self._offer(self._flushed())
        self._offer(self._sound_until(None), wait=True)

    def _take(self) -> tuple[Frame, float, bool] | None:
        """The next frame; None when all are encoded and the end is wanted."""
        with self._changed:
            while not self._frames:
                if self._stop.is_set():
                    return None
                self._changed.wait(_POLL_SECONDS)
            was_full = self.is_full
            taken = self._frames.popleft()
        if was_full:
            self._on_room()
        return taken

    def _encode(self, frame: Frame, arrival: float) -> list[EncodedPacket]:
        wanted = any(sink.wants_keyframe for sink in self._sinks)
        held: list[EncodedPacket] = []
        encoder, is_new = self._encoder, self._size.is_new(frame)
        if encoder is None or is_new:
            held = self._flushed()
            encoder = self._encoder = VideoEncoder(StreamSetup.live(frame, self._encoding))
        elif encoder.setup.layout != layout_of(frame):
            frame = self._size.fit(frame, encoder.setup.width, encoder.setup.height)
        return held + [EncodedPacket.of(packet, encoder, arrival) for packet in encoder.encode(frame, keyframe=wanted)]

    def _sound_until(self, pts: int | None) -> Iterator[EncodedPacket]:
        """Sound that has waited for the picture of this time; all of it for None."""
        waiting = self._waiting_sound
        while waiting and (pts is None or (waiting[0].pts or 0) <= pts):
            yield waiting.popleft()

    def _flushed(self) -> list[EncodedPacket]:
        """What an encoder with a look-ahead still holds; it is not used afterwards."""
        encoder, self._encoder = self._encoder, None
        try:
            return [] if encoder is None else [EncodedPacket.of(packet, encoder) for packet in encoder.flush()]
        except Exception as error:
            self._failed(error)
            return []

    def _offer(self, packets: Iterable[EncodedPacket], *, wait: bool = False) -> None:
        for packet in packets:
            for sink in self._sinks:
                sink.offer(packet, wait=wait)
            if self.clips is not None:
                self.clips.offer(packet)

    def _failed(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, StreamDehazeError) else f"encoding failed: {error}"
        if reason != self._said:
            log.error("%s: %s", self._config.name, reason, extra={"camera": self._config.name})
            self._said = reason
        self._encoder = None
        self._counters.drop("sink_down")

    def _written(self, sink: LiveSink, arrival: float, seconds: float) -> None:
        self._counters.observe("write", seconds)
        first = next((each for each in self._sinks if each.connected), None)
        if sink is first:
            self._counters.delivered(time.monotonic() - arrival)

"""One attempt at a camera: opened, read and decoded by a thread that may be left to its fate."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from streamdehaze.address import Address
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.encoded import Encoded, SoundFormat
from streamdehaze.video.fault import Fault, UnusableError, fault_of, look_up
from streamdehaze.video.pyav import ANY_METADATA
from streamdehaze.video.reading.open import demux, what_is

_NETWORK_PROTOCOLS = (
    "rtsp,rtsps,rtp,srtp,udp,udplite,tcp,tls,http,https,httpproxy,crypto,data,rtmp,rtmps,rtmpt,rtmpe,rtmpte,srt"
)
"""A playlist from a camera names further addresses; none of them may be a file of this machine."""
_FILE_PROTOCOLS = "file,crypto,data"
_ANALYSE_SECONDS = 1.0
"""FFmpeg looks so long at a stream before it hands out packets, at most."""


class Receiver(Protocol):
    """What a connection tells of; called from its thread, never after it was abandoned but for one call under way."""

    def opened(self, connection: Connection, video: VideoStream) -> None:
        """The camera answers; `video` is the stream that will be decoded."""

    def picture(self, connection: Connection, picture: av.VideoFrame, arrival: float) -> None:
        """A picture has been decoded; its packet came at `arrival` (monotonic seconds)."""

    def sound(self, connection: Connection, packet: Encoded) -> None:
        """A packet of sound has come; its times are the camera's own, in its `time_base`."""

    def begins_again(self, connection: Connection) -> None:
        """The file starts again from its beginning."""

    def skipped(self, connection: Connection, reason: str) -> None:
        """A frame was dropped before it was a picture: "waiting_for_keyframe" or "damaged"."""


class Connection:
    """Reads a camera until it ends, fails or is abandoned.

    The thread is a daemon, for a name server or a peer that trickles bytes can hold it for a while; it owns nothing
    but its FFmpeg container, and frees that when it gets hold of itself again.
    """

    def __init__(self, config: CameraConfig, address: Address, receiver: Receiver) -> None:
        self._config, self._address, self._receiver = config, address, receiver
        self._abandoned = threading.Event()
        self.changed = threading.Condition()
        """Notified when anything below changes."""
        self.is_open = False
        self.has_pictures = False
        self.last_sign = time.monotonic()
        """When the last picture came, or, while a keyframe is waited for, the last packet; at first, when it began."""
        self.fault: Fault | None = None
        """Why it is over; None at the end of a file."""
        self.over = False
        self.sound_format: SoundFormat | None = None
        self._thread = threading.Thread(target=self._run, name=f"camera-{config.name}", daemon=True)

    def start(self) -> None:
        """Begin to open the camera."""
        self._thread.start()

    def abandon(self) -> None:
        """Want no more of it; it ends by itself, at once if the camera is sending."""
        self._abandoned.set()

    @property
    def abandoned(self) -> bool:
        """Whether nothing more is wanted of it."""
        return self._abandoned.is_set()

    @property
    def alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait for its thread."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while True:
                self._play()
                if is_file(self._config.url) and not self.has_pictures and not self.abandoned:
                    raise UnusableError(f"not one picture of {self._address.shown} could be decoded")
                if not self._config.loop or self._abandoned.is_set() or not is_file(self._config.url):
                    break
                self._receiver.begins_again(self)
            if not is_file(self._config.url) and not self.abandoned:
                self.fault = Fault("lost", f"{self._address.shown} ended its stream")
        except Exception as error:
            seconds = self._config.stall_seconds if self.is_open else self._config.open_seconds
            interrupted = not self.is_open and time.monotonic() - self.last_sign >= seconds
            # What FFmpeg calls an interruption depends on where it was.
            told = TimeoutError() if interrupted and isinstance(error, av.error.FFmpegError) else error
            self.fault = fault_of(told, self._address, timeout=seconds)
        finally:
            with self.changed:
                self.over = True
                self.changed.notify_all()

    def _play(self) -> None:
        container = _open(self._config, self._address)
        try:
            if self._abandoned.is_set():
                return
            video = _video_of(container, self._address)
            sounds = [stream for stream in container.streams.audio if stream.codec_context is not None]
            sound = sounds[0] if sounds and self._config.audio and self._config.to else None
            if sound is not None:
                self.sound_format = SoundFormat(sound)
            self._receiver.opened(self, video)
            self._sign(is_open=True)
            self._read(container, video, sound)
        finally:
            container.close()

    def _read(self, container: InputContainer, video: VideoStream, sound: Any) -> None:
        pace = _Pace(self._abandoned) if self._config.realtime and is_file(self._config.url) else None
        key_deadline = time.monotonic() + self._config.keyframe_seconds
        decoding = False
        for packet in demux(container, video) if sound is None else demux(container, video, sound):
            arrival = time.monotonic()
            if self._abandoned.is_set():
                return
            if packet.stream_index != video.index:
                if decoding and packet.size and self.sound_format is not None:
                    self._receiver.sound(self, Encoded.of(packet, self.sound_format))
                continue
            if not decoding:
                if not packet.size:
                    continue
                if not packet.is_keyframe and arrival < key_deadline:
                    self._sign()
                    self._receiver.skipped(self, "waiting_for_keyframe")
                    continue
                decoding = True
                if not packet.is_keyframe:  # a stream of rolling intra refresh has none
                    video.codec_context.flags |= av.codec.context.Flags.output_corrupt
            for picture in self._pictures(video, packet):
                if pace is not None:
                    pace.wait(picture)
                    arrival = time.monotonic()
                if self._abandoned.is_set():
                    return
                self._receiver.picture(self, picture, arrival)
                self._sign(has_pictures=True)

    def _pictures(self, video: VideoStream, packet: Any) -> Iterator[av.VideoFrame]:
        try:
            pictures = video.decode(packet)
        except av.error.FFmpegError:
            self._receiver.skipped(self, "damaged")
            return
        whole_only = not int(video.codec_context.flags) & int(av.codec.context.Flags.output_corrupt)
        for picture in pictures:
            if picture.is_corrupt and whole_only:
                self._receiver.skipped(self, "damaged")
            else:
                yield picture

    def _sign(self, *, is_open: bool = False, has_pictures: bool = False) -> None:
        news = (is_open and not self.is_open) or (has_pictures and not self.has_pictures)
        self.last_sign = time.monotonic()
        self.is_open |= is_open
        self.has_pictures |= has_pictures
        if news:
            with self.changed:
                self.changed.notify_all()


class _Pace:
    """Holds a file's pictures back until it is their time."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._start: tuple[float, float] | None = None

    def wait(self, picture: av.VideoFrame) -> None:
        if picture.pts is None or picture.time_base is None:
            self._stop.wait(1 / 25)
            return
        seconds = float(picture.pts * picture.time_base)
        now = time.monotonic()
        if self._start is None:
            self._start = (now, seconds)
        due = self._start[0] + seconds - self._start[1]
        if due > now:
            self._stop.wait(due - now)


def is_file(url: str) -> bool:
    """Whether it is a file, which has an end, rather than a stream or a device."""
    return not what_is(url).is_live


def _open(config: CameraConfig, address: Address) -> InputContainer:
    target, container_format, options = address.full, None, dict(_options(config, address.scheme))
    if not address.scheme:
        if target.startswith("/dev/video"):
            container_format = "v4l2"
        else:
            target = f"file:{target}"
            if not os.path.exists(address.full):
                raise FileNotFoundError(address.shown)
    look_up(address)
    # FFmpeg's own limits first; PyAV's, which interrupt whatever FFmpeg does, are the net below.
    patience = (config.open_seconds, config.stall_seconds + 1)
    container: InputContainer = av.open(
        target,
        "r",
        format=container_format,
        container_options={**options, **config.input_options},
        timeout=patience if address.scheme else None,
        **ANY_METADATA,
    )
    return container


def _options(config: CameraConfig, scheme: str) -> Iterator[tuple[str, str]]:
    if not scheme:
        yield "protocol_whitelist", _FILE_PROTOCOLS
        return
    microseconds = str(round(config.stall_seconds * 1e6))
    yield "protocol_whitelist", _NETWORK_PROTOCOLS
    yield "analyzeduration", str(round(_ANALYSE_SECONDS * 1e6))
    yield "fpsprobesize", "0"  # a camera of one frame a second would be looked at for many
    if scheme in ("rtsp", "rtsps"):
        yield "rtsp_transport", config.transport
        yield "timeout", microseconds
        yield "allowed_media_types", "video+audio"
    elif scheme in ("rtmp", "rtmps", "http", "https"):
        yield "rw_timeout", microseconds
    elif scheme in ("udp", "srt"):
        yield "timeout", microseconds


def _video_of(container: InputContainer, address: Address) -> VideoStream:
    if not container.streams.video:
        raise UnusableError(f"{address.shown} has no video")
    for stream in container.streams.video:
        if stream.codec_context is not None:
            # Frame threads would hold back as many frames as there are threads.
            stream.thread_type = "SLICE"
            return stream
    raise UnusableError(f"{address.shown} sends a codec this FFmpeg has no decoder for")

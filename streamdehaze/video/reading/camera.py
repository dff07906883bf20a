"""One connection to a camera: opened, read and decoded in a thread that can be abandoned."""

from __future__ import annotations

import logging
import struct
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from pydantic import Field, model_validator

from streamdehaze.address import NAME_OF_VARIABLE, Address, read_secret, scheme_of
from streamdehaze.errors import ConfigError, UnsupportedFormatError
from streamdehaze.frame import Frame
from streamdehaze.toml import Table
from streamdehaze.video.fault import Fault, fault_of, silence
from streamdehaze.video.planes import frame_from_av
from streamdehaze.video.pyav import fraction, frame_rate
from streamdehaze.video.reading.decoding.decoder import Decoder
from streamdehaze.video.reading.decoding.h264 import whole_pictures
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.open import (
    HardwareDecoding,
    NoVideoError,
    Transport,
    demux,
    has_parameters,
    open_live,
    what_is,
)
from streamdehaze.video.reading.times.timeline import TICK
from streamdehaze.video.trust import Trust

log = logging.getLogger("streamdehaze.live")

_PICTURES = frozenset({"image2", "image2pipe", "jpeg_pipe", "png_pipe", "webp_pipe"})
"""Formats of a single picture, which a camera sends a new one of at each request."""
_WITHOUT_CLOCK = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v", *_PICTURES})
"""Formats that carry no times: FFmpeg stamps them as if there were 25 pictures a second."""
_MOST_REFUSED = 10
"""Packets in a row that the decoder refuses before the camera is given up."""


class CameraOptions(Table):
    """How a camera is reached and read."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w][\w .,:()+-]*$")
    """Unique; in pages, metrics and logs."""
    url: str = Field(min_length=1, repr=False)
    """An address (rtsp://, rtmp://, http:// …), a V4L2 device (/dev/video0) or a file."""
    username: str | None = None
    """In place of the one in `url`."""
    password_env: str | None = Field(default=None, pattern=NAME_OF_VARIABLE)
    """Environment variable that holds the password."""
    password_file: Path | None = None
    """File whose first line is the password."""
    transport: Transport = "tcp"
    """How RTSP carries the pictures; "http" tunnels them through a web port."""
    input_options: dict[str, str] = Field(default_factory=dict)
    """Options for FFmpeg, such as video_size and framerate of a V4L2 device."""
    tls_verify: bool | None = None
    """Check the certificates of TLS servers; by default those of https sources and of whatever is sent to."""
    ca_file: Path | None = None
    """Certificates (PEM) to trust instead of the system's."""
    stall_seconds: float = Field(default=5.0, gt=0)
    """Reconnect after this many seconds without a frame."""
    open_seconds: float = Field(default=10.0, gt=0)
    """Give up an attempt to open the camera after this many seconds, and try again."""
    keyframe_seconds: float = Field(default=20.0, ge=0)
    """Wait this long for a keyframe, then decode without one."""
    hwaccel: HardwareDecoding = "none"
    """Where to decode: "cuda", or "auto" where there is such a device."""
    snapshot_seconds: float = Field(default=1.0, gt=0)
    """Ask for the next picture after this long, where an address gives one at a time."""
    max_pixels: int = Field(default=8192 * 4320, ge=1)
    """Refuse pictures of more pixels than this."""
    realtime: bool = False
    """Play a file as fast as it was filmed."""
    loop: bool = False
    """Start a file over when it ends."""

    @model_validator(mode="after")
    def _one_password(self) -> CameraOptions:
        if self.password_env is not None and self.password_file is not None:
            raise ValueError("password_env and password_file contradict each other; give one")
        return self

    def address(self) -> Address:
        """Where to connect to, the password looked up now.

        Raises:
            ConfigError: if the password is not where it should be, or the address cannot be read.
        """
        secret = read_secret(env=self.password_env, file=self.password_file)
        return Address.of(self.url, username=self.username, password=secret)

    @property
    def trust(self) -> Trust:
        """What is asked of servers' certificates."""
        return Trust(self.tls_verify, self.ca_file)

    @property
    def shown_url(self) -> str:
        """The address without secrets."""
        try:
            return Address.of(self.url).shown
        except ConfigError:  # a variable in it is not set, or it cannot be read
            return f"{scheme_of(self.url)}://…"

    @property
    def is_live(self) -> bool:
        """Whether it is a stream or a device, rather than a file, which ends."""
        try:
            return what_is(Address.of(self.url).full).is_live
        except ConfigError:
            return True


class Receiver(Protocol):
    """What a connection reports to; called from its thread, after it was abandoned only by a call under way then."""

    def opened(self, connection: Connection, codec: str, rate: Fraction | None, sound: Any) -> None:
        """The camera is open; called again whenever a file starts over.

        Args:
            connection: to the camera.
            codec: of its video, by FFmpeg's name.
            rate: frames per second; None if unknown.
            sound: PyAV's stream of the sound; None without any, or if it is not wanted.
        """

    def frame(self, connection: Connection, frame: Frame, arrival: float) -> None:
        """A frame, its time the camera's own; its packet came at `arrival` (monotonic seconds)."""

    def sound(self, connection: Connection, packet: Any) -> None:
        """A PyAV packet of sound has come; its times are the camera's own."""

    def sent(self, connection: Connection, moment: float, arrival: float) -> None:
        """A keyframe that came at `arrival` was taken at `moment` by the camera's clock, seconds since 1970."""

    def skipped(self, connection: Connection, reason: str) -> None:
        """A frame was dropped before it was decoded: "waiting_for_keyframe" or "damaged"."""


class Connection:
    """Reads a camera until it ends, fails or is abandoned.

    The thread is a daemon: DNS or a slow peer can block it. It owns only its FFmpeg container, and closes it once
    unblocked.

    Args:
        options: of the camera.
        address: where it is.
        receiver: of frames and sound.
        sound: whether sound is wanted.
    """

    def __init__(self, options: CameraOptions, address: Address, receiver: Receiver, *, sound: bool) -> None:
        self._options, self._address, self._receiver, self._wants_sound = options, address, receiver, sound
        self._is_live = options.is_live
        self._abandoned = threading.Event()
        self.changed = threading.Condition()
        """Notified when anything below changes."""
        self.is_open = False
        self.has_pictures = False
        self.last_sign = time.monotonic()
        """When the last picture came, or, while waiting for a keyframe, the last packet; at first, when it began."""
        self.fault: Fault | None = None
        """Why it is over; None at the end of a file."""
        self.over = False
        self._thread = threading.Thread(target=self._run, name=f"camera-{options.name}", daemon=True)

    def start(self) -> None:
        """Begin to open the camera."""
        self._thread.start()

    def abandon(self) -> None:
        """Give it up; it ends by itself, at once if the camera is sending."""
        self._abandoned.set()

    @property
    def abandoned(self) -> bool:
        """Whether it was given up."""
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
            if self._is_live:
                self._read_live()
                if not self.abandoned:
                    self.fault = Fault("lost", f"{self._address.shown} ended its stream")
            else:
                self._read_file()
                while self._options.loop and not self.abandoned:
                    self._read_file()
        except NoVideoError as error:  # the pictures of a stream may begin after its sound
            self.fault = Fault("unsupported", str(error), permanent=not self._is_live)
        except Exception as error:
            # FFmpeg itself waits for stall_seconds; what it calls a silence or an interruption depends on where it was.
            waited, seconds = time.monotonic() - self.last_sign, self._options.stall_seconds
            silent = isinstance(error, av.error.InvalidDataError) and waited >= seconds
            if waited >= self._options.open_seconds:
                silent, seconds = isinstance(error, av.error.FFmpegError), self._options.open_seconds
            if self.is_open and self._is_live and isinstance(error, TimeoutError | av.error.ExitError):
                self.fault = silence(self._address, self._options.stall_seconds)
                return
            cause = TimeoutError() if silent and not self.is_open else error
            self.fault = fault_of(cause, self._address, timeout=seconds)
        finally:
            with self.changed:
                self.over = True
                self.changed.notify_all()

    def _read_file(self) -> None:
        pace = _Pace(self._abandoned) if self._options.realtime else None
        with FileSource(
            self._address.full,
            hwaccel=self._options.hwaccel,
            on_damage="skip",
            stop=self._abandoned,
            input_options=self._options.input_options,
        ) as source:
            source.collect(self._opened(source.others, source.info.codec, source.info.average_rate))
            frames, damaged, headless = iter(source), 0, 0
            while not self.abandoned:
                arrival = time.monotonic()
                frame = next(frames, None)
                for _ in range(source.damaged - damaged):
                    self._receiver.skipped(self, "damaged")
                for _ in range(source.headless - headless):
                    self._receiver.skipped(self, "waiting_for_keyframe")
                damaged, headless = source.damaged, source.headless
                if frame is not None:
                    if pace is not None:
                        pace.wait(frame)
                        arrival = time.monotonic()
                    self._show(frame, arrival)
                while source.packets:  # after the first picture, which their times depend on
                    self._receiver.sound(self, source.packets.popleft())
                if frame is None:
                    return

    def _read_live(self) -> None:
        while True:
            began = time.monotonic()
            is_picture = self._read_stream()
            wait = self._options.snapshot_seconds - (time.monotonic() - began)
            if not is_picture or self._abandoned.wait(max(0.0, wait)):
                return

    def _read_stream(self) -> bool:
        """Read a stream to its end; whether it was a single picture, which has to be asked for again."""
        options = self._options
        media = open_live(
            self._address,
            open_seconds=options.open_seconds,
            stall_seconds=options.stall_seconds,
            transport=options.transport,
            options=options.input_options,
            max_pixels=options.max_pixels,
            trust=options.trust,
            hwaccel=options.hwaccel,
        )
        try:
            if self.abandoned:
                return False
            video = media.main_video()
            codec = video.codec_context.codec.canonical_name
            streams = [] if self.is_open else self._opened(media.container.streams, codec, frame_rate(video))
            self._demux(media.container, video, streams)
            return media.container.format.name in _PICTURES
        finally:
            media.close()

    def _demux(self, container: InputContainer, video: VideoStream, sound: Sequence[Stream]) -> None:
        key_deadline = time.monotonic() + self._options.keyframe_seconds
        has_clock = container.format.name not in _WITHOUT_CLOCK
        decoder = Decoder(video, live=True, max_pixels=self._options.max_pixels)
        decoding = False
        for packet in whole_pictures(demux(container, video, *sound), video):
            arrival = time.monotonic()
            if self.abandoned:
                return
            if packet.stream_index != video.index:
                if decoding and packet.size:
                    self._receiver.sound(self, packet)
                continue
            if packet.is_keyframe and (moment := _sent_at(packet)) is not None:
                self._receiver.sent(self, moment, arrival)
            if not decoding:
                if not packet.size:
                    continue
                if not packet.is_keyframe and arrival < key_deadline:
                    self._sign()
                    self._receiver.skipped(self, "waiting_for_keyframe")
                    continue
                decoding = True
                if not packet.is_keyframe:
                    decoder.start_without_keyframe()
            pictures = decoder.decode(packet)
            if pictures is None:
                self._receiver.skipped(self, "damaged")
                if decoder.refused >= _MOST_REFUSED:
                    raise UnsupportedFormatError(
                        f"{self._address.shown} sends pictures that cannot be decoded, or that have more pixels than "
                        f"max_pixels ({self._options.max_pixels}) allows"
                    )
            for picture in pictures or ():
                if decoder.is_damaged(picture):
                    self._receiver.skipped(self, "damaged")
                else:
                    time_base = fraction(picture.time_base) or TICK
                    pts = picture.pts if has_clock else None
                    self._show(frame_from_av(picture, pts=pts, time_base=time_base), arrival)

    def _opened(self, streams: Any, codec: str, rate: Fraction | None) -> list[Stream]:
        """Report that the camera is open; the streams to read in addition to the video."""
        playable = [stream for stream in streams if stream.type == "audio" and stream.codec_context is not None]
        sound = next(filter(has_parameters, playable), None) if self._wants_sound else None
        if self._wants_sound and playable and sound is None:  # no container takes it without its parameters
            text = "%s: its sound is left out: it has not begun, so that its format is not known"
            log.info(text, self._options.name, extra={"camera": self._options.name})
        self._receiver.opened(self, codec, rate, sound)
        self._sign(is_open=True)
        return [] if sound is None else [sound]

    def _show(self, frame: Frame, arrival: float) -> None:
        if not self.abandoned:
            self._receiver.frame(self, frame, arrival)
            self._sign(has_pictures=True)

    def _sign(self, *, is_open: bool = False, has_pictures: bool = False) -> None:
        news = (is_open and not self.is_open) or (has_pictures and not self.has_pictures)
        self.last_sign = time.monotonic()
        self.is_open |= is_open
        self.has_pictures |= has_pictures
        if news:
            with self.changed:
                self.changed.notify_all()


def _sent_at(packet: Packet[VideoStream]) -> float | None:
    """When a packet was sent by the camera's own clock, seconds since 1970.

    FFmpeg knows from RTCP sender reports (RFC 3550, 6.4.1), and hands it on with each packet as AVProducerReferenceTime
    (libavcodec/defs.h: int64 microseconds, int flags). None without them.
    """
    if not packet.has_sidedata("prft"):
        return None
    (microseconds,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    return float(microseconds) / 1e6


class _Pace:
    """Holds a file's frames back until their time has come."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._lead: float | None = None

    def wait(self, frame: Frame) -> None:
        seconds = float((frame.pts or 0) * frame.time_base)
        if self._lead is None:
            self._lead = time.monotonic() - seconds
        self._stop.wait(max(0.0, self._lead + seconds - time.monotonic()))

"""What a path or address stands for, and opening it for reading, or one sentence on why that cannot be done."""

from __future__ import annotations

import enum
import errno
import functools
import io
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streamdehaze.address import Address, scheme_of
from streamdehaze.errors import SourceError
from streamdehaze.extras import install_command
from streamdehaze.video.fault import look_up
from streamdehaze.video.picture.formats import format_for, is_picture
from streamdehaze.video.picture.heif import HEIF_SUFFIXES
from streamdehaze.video.picture.pattern import is_sequence, numbered_files
from streamdehaze.video.pyav import ANY_METADATA
from streamdehaze.video.reading.bytes import Pipe, StoredFile, is_named_pipe, named_pipe, standard_input
from streamdehaze.video.reading.encryption import refuse_encrypted
from streamdehaze.video.trust import Trust

HardwareDecoding = Literal["none", "auto", "cuda"]
Transport = Literal["tcp", "udp", "http"]

PROBED_SECONDS = 900
"""How much of a file is searched at most for what its streams are like; FFmpeg's own 5 s are for pipes."""
_TEXT_ART = frozenset({"tty", "bin", "xbin", "adf", "idf"})
"""Formats in which FFmpeg draws any text file as a video of letters."""
_UNREAD_PHOTOS = frozenset(
    {
        ".heic", ".heif", ".hif", ".jxl", ".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf",
        ".pef", ".srw",
    }
)  # fmt: skip
"""Photos that FFmpeg or Pillow might open, but would lose part or all of."""
_FAR_FILES = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts", ".m4v", ".jpg", ".png"})
_ANALYSE_SECONDS = 1.0
"""The longest FFmpeg looks at a stream before it hands out packets."""

_FURTHER = {"probesize": str(200 << 20), "analyzeduration": str(PROBED_SECONDS * 1_000_000)}
"""The same as FFmpeg's options, for streams that begin late."""

log = logging.getLogger("streamdehaze")


class NoVideoError(SourceError):
    """Nothing in it can be shown."""


class Kind(enum.Enum):
    """What a path, an address or a binary stream is."""

    FILE = "file"
    PIPE = "pipe"
    """Standard input, a FIFO or a binary stream: read once."""
    STREAM = "stream"
    """An address."""
    DEVICE = "device"
    """A V4L2 device."""
    SESSION = "session"
    """A file (SDP) that tells where a stream comes in by RTP."""
    PICTURE = "picture"
    SEQUENCE = "sequence"
    """Numbered pictures, "%05d.png"."""

    @property
    def is_live(self) -> bool:
        """Whether it has no end, and cannot be read again."""
        return self in (Kind.STREAM, Kind.DEVICE, Kind.SESSION)


_FORMATS = {Kind.DEVICE: "v4l2", Kind.SESSION: "sdp"}
"""FFmpeg's names for what looks like a file and is not one."""
_LOCAL = "file,pipe,fd,crypto,data,subfile,concat"
_NETWORK = "rtsp,rtsps,rtp,srtp,udp,udplite,tcp,tls,http,https,httpproxy,crypto,data,rtmp,rtmps,rtmpt,rtmpe,rtmpte,srt"
_PROTOCOLS: Mapping[Kind, str] = {
    **dict.fromkeys(Kind, _LOCAL),
    Kind.STREAM: _NETWORK,
    Kind.SESSION: "file,rtp,srtp,udp,udplite,crypto",
}
"""A playlist or concat file names further places: a local one reaches no network, one from afar no local file."""


def what_is(media: str | os.PathLike[str] | IO[bytes]) -> Kind:
    """The kind of what was named; something that does not exist is a file, or a picture by its extension."""
    if not isinstance(media, str | os.PathLike):
        return Kind.PIPE
    text = os.fspath(media)
    if scheme_of(text):
        return Kind.STREAM
    if text.startswith(("/dev/video", "/dev/v4l/")):
        return Kind.DEVICE
    if text.lower().endswith(".sdp"):
        return Kind.SESSION
    if text == "-" or is_named_pipe(text):
        return Kind.PIPE
    if is_sequence(text):
        return Kind.FILE if format_for(Path(text).suffix) is None else Kind.SEQUENCE
    return Kind.PICTURE if is_picture(text) else Kind.FILE


def is_far_file(address: str) -> bool:
    """Whether an address names a video or picture file on a web server."""
    parts = urlsplit(address)
    return parts.scheme.startswith("http") and os.path.splitext(parts.path)[1].lower() in _FAR_FILES


def demux(
    container: InputContainer, *streams: Stream, late: Callable[[], None] = lambda: None
) -> Iterator[Packet[Any]]:
    """The packets of some streams, or of all that were there when the file was opened.

    PyAV knows no others, and ends at the first packet of a stream that begins later: `late` is called for each.
    """
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            late()


def videos_of(container: InputContainer) -> list[VideoStream]:
    """The streams that are films, and no covers or thumbnails."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & pictures]


def default_of(videos: Sequence[VideoStream]) -> VideoStream:
    """The one that the file calls its default, or the first."""
    return next((stream for stream in videos if Disposition.default in stream.disposition), videos[0])


@dataclass(frozen=True)
class Media:
    """What was opened for reading."""

    container: InputContainer
    name: str
    """For messages: a path, or an address without its secrets."""
    file: StoredFile | Pipe | None = None
    """What FFmpeg reads it through, where that is ours."""

    def main_video(self, number: int | None = None) -> VideoStream:
        """The stream to decode: the default one, or the first that is not a cover picture.

        Args:
            number: of the stream in the file, where a certain one is wanted.

        Raises:
            SourceError: if there is none (`NoVideoError`), or no decoder for it.
        """
        streams = videos_of(self.container)
        if not streams:
            kinds = sorted({"a cover" if each.type == "video" else each.type for each in self.container.streams})
            found = f"no video stream, only {' and '.join(kinds)}" if kinds else "no streams at all"
            raise NoVideoError(f"'{self.name}' has {found}")
        wanted = [stream for stream in streams if stream.index == number]
        if number is not None and not wanted:
            known = ", ".join(str(stream.index) for stream in streams)
            raise SourceError(f"'{self.name}' has no video stream {number}; --video-stream can be {known}")
        video = wanted[0] if wanted else default_of(streams)
        if video.codec_context is None:
            raise SourceError(f"'{self.name}': this FFmpeg has no decoder for its video stream")
        return video

    def close(self) -> None:
        """Close it; packets and frames already handed out stay valid."""
        self.container.close()
        if self.file is not None:
            self.file.close()


def open_media(
    media: str | os.PathLike[str] | IO[bytes],
    hwaccel: HardwareDecoding = "none",
    stop: threading.Event | None = None,
    options: Mapping[str, str] | None = None,
) -> Media:
    """Open a file, an image sequence ("%05d.png"), a pipe ("-" for standard input) or a binary stream.

    Args:
        media: what to open.
        hwaccel: where to decode; "auto" falls back to software, "cuda" does not.
        stop: once set, waiting for a pipe ends.
        options: for FFmpeg's demuxer.

    Raises:
        Cancelled: if `stop` is set while a pipe is silent.
        SourceError: if it is missing, a folder, empty, unreadable, or no media FFmpeg knows.
    """
    kind = what_is(media)
    container_format = None
    options = {"protocol_whitelist": _PROTOCOLS[kind], **(options or {})}
    target: Any
    if not isinstance(media, str | os.PathLike):
        target, name = media, str(getattr(media, "name", "the stream"))
    elif kind is Kind.PIPE and os.fspath(media) == "-":
        target, name = standard_input(stop or threading.Event()), "standard input"
    else:
        name = os.fspath(media)
        _refuse_missing(name, kind)
        try:
            target = named_pipe(name, stop or threading.Event()) if kind is Kind.PIPE else _stored(name)
        except OSError as error:
            raise SourceError(f"'{name}' cannot be read ({error.strerror})") from error
        if not os.path.exists(name):
            container_format = "image2"
            options["start_number"] = str(_first_number(Path(name)))
    file = target if isinstance(target, (StoredFile, Pipe)) else None
    try:
        opened = Media(_open(target, name, container_format, options, hwaccel), name, file)
        if isinstance(file, StoredFile) and _is_incomplete(opened.container):
            log.debug("%s: streams that begin late are looked for further on", name)
            opened.container.close()
            opened = Media(_open(target, name, container_format, {**_FURTHER, **options}, hwaccel), name, file)
    except BaseException:  # its traceback would hold the file open
        if file is not None:
            file.close()
        raise
    if opened.container.format.name in _TEXT_ART:
        opened.close()
        raise SourceError(f"'{name}' is a text file, not a video file")
    return opened


def open_live(
    address: Address,
    *,
    open_seconds: float,
    stall_seconds: float,
    transport: Transport = "tcp",
    options: Mapping[str, str] | None = None,
    max_pixels: int | None = None,
    trust: Trust | None = None,
    hwaccel: HardwareDecoding = "none",
) -> Media:
    """Open a stream, a V4L2 device or a session.

    Args:
        address: where it is.
        open_seconds, stall_seconds: the longest silence of a server while it is opened and afterwards.
        transport: how RTSP carries the packets.
        options: more of them for FFmpeg's demuxer.
        max_pixels: larger pictures are not decoded to find out more about the stream.
        trust: what is asked of the server's certificate.
        hwaccel: where to decode; "auto" falls back to software, "cuda" does not.

    Raises:
        SourceError, OSError, av.error.FFmpegError: if that fails; see `fault_of`.
    """
    kind = what_is(address.full)
    if kind in _FORMATS and not os.path.exists(address.full):
        raise FileNotFoundError(address.shown)
    if kind is Kind.STREAM and address.scheme not in _NETWORK.split(","):
        raise SourceError(
            f"no camera is read from {address.scheme}:// addresses; use rtsp://, rtmp://, srt:// or http://"
        )
    look_up(address)
    tls = {} if trust is None else trust.check(address, sending=False)
    # FFmpeg's own limits come first; PyAV's, which interrupt whatever FFmpeg does, are the safety net.
    container: InputContainer = av.open(
        address.full,
        "r",
        hwaccel=None if hwaccel == "none" else _device(hwaccel, address.shown),
        format=_FORMATS.get(kind),
        options={} if max_pixels is None else {"max_pixels": str(max_pixels)},
        container_options={
            "protocol_whitelist": _PROTOCOLS[kind],
            **({} if kind is Kind.DEVICE else _stream_options(address.scheme, transport, stall_seconds)),
            **tls,
            **(options or {}),
        },
        timeout=None if kind is Kind.DEVICE else (open_seconds, stall_seconds + 1),
        **ANY_METADATA,
    )
    return Media(container, address.shown)


def _device(hwaccel: HardwareDecoding, name: str) -> HWAccel | None:
    """The device to decode a camera on; None for software where that is acceptable."""
    if _has_cuda():
        return HWAccel("cuda", allow_software_fallback=hwaccel == "auto")
    if hwaccel == "cuda":
        raise SourceError(f"'{name}' cannot be decoded with hwaccel cuda on this machine; use auto or none")
    log.info("no CUDA decoder for %s; decoding in software", name)
    return None


@functools.lru_cache(maxsize=1)
def _has_cuda() -> bool:
    """Whether FFmpeg can open a CUDA device here."""
    try:
        HWAccel("cuda", allow_software_fallback=False).create(av.Codec("h264", "r"))
    except (av.error.FFmpegError, OSError, RuntimeError, NotImplementedError, ValueError):
        return False
    return True


def _stream_options(scheme: str, transport: Transport, stall_seconds: float) -> dict[str, str]:
    options = {
        "analyzeduration": str(round(_ANALYSE_SECONDS * 1e6)),
        "fpsprobesize": "0",  # it would wait for many frames of a camera that sends one a second
    }
    silence = str(round(stall_seconds * 1e6))
    if scheme in ("rtsp", "rtsps"):
        options |= {"rtsp_transport": transport, "timeout": silence, "allowed_media_types": "video+audio"}
    elif scheme in ("rtmp", "rtmps", "http", "https"):
        options["rw_timeout"] = silence
    elif scheme in ("udp", "srt"):
        options["timeout"] = silence
    return options


def _is_incomplete(container: InputContainer) -> bool:
    return any(not has_parameters(stream) for stream in container.streams)


def has_parameters(stream: Stream) -> bool:
    """Whether FFmpeg found out what sound or pictures of a stream are like, without which none can be copied."""
    context: Any = stream.codec_context
    if context is None:
        return True
    if stream.type == "audio":
        return bool(context.sample_rate and context.layout.nb_channels)
    return stream.type != "video" or bool(context.width and context.height)


def _stored(name: str) -> StoredFile | str:
    return StoredFile(name) if os.path.isfile(name) else f"file:{name}"


def _refuse_missing(name: str, kind: Kind) -> None:
    if kind is Kind.STREAM:
        raise SourceError(f"'{scheme_of(name)}://…' is an address, not a file; download it first")
    if kind is Kind.PIPE or is_sequence(name):
        return
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _UNREAD_PHOTOS and os.path.isfile(name):
        shown = suffix[1:].upper()
        remedy = "export it as JPEG or 16-bit TIFF first"
        if suffix in HEIF_SUFFIXES:
            raise SourceError(f"'{name}': {shown} photos need pillow-heif: {install_command('heif')}; or {remedy}")
        raise SourceError(f"'{name}': {shown} photos are not read; {remedy}")
    if os.path.isdir(name):
        raise SourceError(f"'{name}' is a folder, not a video file")
    try:
        with open(name, "rb") as file:
            empty = os.path.isfile(name) and not file.read(1)
    except OSError as error:
        reason = {errno.ENOENT: "does not exist", errno.EACCES: "cannot be read (permission denied)"}
        raise SourceError(f"'{name}' {reason.get(error.errno or 0, f'cannot be read ({error.strerror})')}") from error
    if empty:
        raise SourceError(f"'{name}' is empty (0 bytes)")


def _first_number(pattern: Path) -> int:
    numbers = list(numbered_files(pattern))
    if not numbers:
        raise SourceError(f"no file matches the image sequence '{pattern}'")
    return numbers[0]


def _open(
    target: Any, name: str, container_format: str | None, options: dict[str, str], hwaccel: HardwareDecoding
) -> InputContainer:
    device = None if hwaccel == "none" else HWAccel("cuda", allow_software_fallback=hwaccel == "auto")
    if isinstance(target, StoredFile):
        target.seek(0)
    try:
        container: InputContainer = av.open(
            target,
            "r",
            format=container_format,
            container_options=options,
            hwaccel=device,
            **ANY_METADATA,
        )
        return container
    except (av.error.FFmpegError, OSError, RuntimeError, NotImplementedError) as error:
        if _is_empty(target):
            raise SourceError(f"'{name}' is empty (0 bytes)") from error
        if hwaccel == "auto":
            log.info("no CUDA decoder for %s; decoding in software", name)
            return _open(target, name, container_format, options, "none")
        if hwaccel == "cuda" and _opens_in_software(target, container_format, options):
            raise SourceError(
                f"'{name}' cannot be decoded with --hwaccel cuda on this machine; use --hwaccel auto or none"
            ) from error
        if isinstance(error, av.error.InvalidDataError):
            refuse_encrypted(name)
            raise SourceError(f"'{name}' is not a video file, or is damaged beyond reading") from error
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"'{name}' cannot be opened as a video: {reason}") from error


def _is_empty(target: Any) -> bool:
    if isinstance(target, Pipe):
        return not target.beginning
    return isinstance(target, io.IOBase) and target.seekable() and target.seek(0, io.SEEK_END) == 0


def _opens_in_software(target: Any, container_format: str | None, options: dict[str, str]) -> bool:
    if not isinstance(target, StoredFile):
        return False
    target.seek(0)
    try:
        av.open(target, "r", format=container_format, container_options=options).close()
    except (av.error.FFmpegError, OSError):
        return False
    return True

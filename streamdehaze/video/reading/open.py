"""Opening a media file for reading, or saying in one sentence why that cannot be done."""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from streamdehaze.errors import SourceError
from streamdehaze.video.pyav import ANY_METADATA
from streamdehaze.video.reading.bytes import Pipe, StoredFile, is_named_pipe, named_pipe, standard_input

HardwareDecoding = Literal["none", "auto", "cuda"]

# A playlist or concat file names further files; from a local one nothing but local files is reached.
_PROTOCOLS = "file,pipe,fd,crypto,data,subfile,concat"
_TEXT_ART = frozenset({"tty", "bin", "xbin", "adf", "idf"})
"""Formats in which FFmpeg draws any text file as a video of letters."""
_SEQUENCE = re.compile(r"%0?(\d*)d")

log = logging.getLogger("streamdehaze")


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """The packets of some streams, or of all that were there when the file was opened.

    PyAV knows no others, and ends at the first packet of one that begins later.
    """
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            log.debug("a packet of a stream that begins later")


@dataclass(frozen=True)
class Media:
    """A file that was opened for reading."""

    container: InputContainer
    name: str
    """To show."""
    file: StoredFile | Pipe | None
    """What FFmpeg reads it through, where that is ours."""

    def close(self) -> None:
        """Close it; packets and frames already handed out stay good."""
        self.container.close()
        if self.file is not None:
            self.file.close()


def open_media(
    media: str | os.PathLike[str] | IO[bytes], hwaccel: HardwareDecoding, stop: threading.Event | None = None
) -> Media:
    """Open a file, an image sequence ("%05d.png"), standard input ("-") or a binary stream.

    Once `stop` is set, waiting for standard input ends.

    Raises:
        Cancelled: if `stop` is set while standard input is silent.
        SourceError: if it is missing, a folder, empty, unreadable, or no media FFmpeg knows.
    """
    options = {"protocol_whitelist": _PROTOCOLS}
    target: Any
    container_format = None
    if hasattr(media, "read"):
        target, name = media, str(getattr(media, "name", "the stream"))
    elif os.fspath(media) == "-":
        target, name = standard_input(stop or threading.Event()), "standard input"
    else:
        name = os.fspath(media)
        if not is_named_pipe(media):
            _check_exists(name)
        try:
            target = _target(name, stop)
        except OSError as error:
            raise SourceError(f"'{name}' cannot be read ({error.strerror})") from error
        if not os.path.exists(name):
            container_format = "image2"
            options["start_number"] = str(_first_number(Path(name)))
    file = target if isinstance(target, (StoredFile, Pipe)) else None
    try:
        opened = Media(_open(target, name, container_format, options, hwaccel), name, file)
    except BaseException:  # its traceback would hold the file open
        if file is not None:
            file.close()
        raise
    if opened.container.format.name in _TEXT_ART:
        opened.close()
        raise SourceError(f"'{name}' is a text, not a video file")
    return opened


def _target(name: str, stop: threading.Event | None) -> Any:
    if is_named_pipe(name):
        return named_pipe(name, stop or threading.Event())
    return StoredFile(name) if os.path.isfile(name) else f"file:{name}"


def _check_exists(name: str) -> None:
    if "://" in name:
        raise SourceError(f"'{name.split('://')[0]}://…' is an address, not a file; download it first")
    if _SEQUENCE.search(name) and not os.path.exists(name):
        return
    if os.path.isdir(name):
        raise SourceError(f"'{name}' is a folder, not a video file")
    try:
        with open(name, "rb") as file:
            empty = os.path.isfile(name) and not file.read(1)
    except OSError as error:
        reason = {errno.ENOENT: "does not exist", errno.EACCES: "may not be read (permission denied)"}
        raise SourceError(f"'{name}' {reason.get(error.errno or 0, f'cannot be read ({error.strerror})')}") from error
    if empty:
        raise SourceError(f"'{name}' is empty (0 bytes)")


def _first_number(pattern: Path) -> int:
    number = _SEQUENCE.search(pattern.name)
    if number is not None and pattern.parent.is_dir():
        before, after = re.escape(pattern.name[: number.start()]), re.escape(pattern.name[number.end() :])
        matches = (re.fullmatch(rf"{before}(\d+){after}", entry) for entry in os.listdir(pattern.parent))
        numbers = [int(match[1]) for match in matches if match]
        if numbers:
            return min(numbers)
    raise SourceError(f"no file matches the image sequence '{pattern}'")


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
        if hwaccel == "auto":
            log.info("no CUDA decoder for %s; decoding in software", name)
            return _open(target, name, container_format, options, "none")
        if hwaccel == "cuda" and _opens_in_software(target, container_format, options):
            raise SourceError(
                f"'{name}' cannot be decoded with --hwaccel cuda on this machine; use --hwaccel auto or none"
            ) from error
        if isinstance(error, av.error.InvalidDataError):
            raise SourceError(f"'{name}' is not a video file, or is damaged beyond reading") from error
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"'{name}' cannot be opened as a video: {reason}") from error


def _opens_in_software(target: Any, container_format: str | None, options: dict[str, str]) -> bool:
    if not isinstance(target, StoredFile):
        return False
    target.seek(0)
    try:
        av.open(target, "r", format=container_format, container_options=options).close()
    except (av.error.FFmpegError, OSError):
        return False
    return True

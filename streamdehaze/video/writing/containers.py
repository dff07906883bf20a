"""Containers that are open for writing: into a file, or nowhere, to try a muxer or to hold a stream's parameters."""

from __future__ import annotations

import contextlib
import logging
import time
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.pyav import ANY_METADATA
from streamdehaze.video.writing import aspect

log = logging.getLogger("streamdehaze")

_WITHOUT_AAC = frozenset({"mxf", "mxf_d10", "mxf_opatom", "mpeg", "vob", "dvd", "svcd", "vcd", "ogg"})
"""Containers that refuse AAC, though FFmpeg says they take it, only when the header is written."""


class Output:
    """A container that is written.

    Args:
        container: open for writing.
        path: of a file that is removed if it is given up while empty, so that a full disk is not strewn with them.
        memory: what it is written into, if that is not a file.
    """

    def __init__(self, container: OutputContainer, path: Path | None = None, memory: BinaryIO | None = None) -> None:
        self.container, self.path, self.memory = container, path, memory
        self._is_shaped = False
        self.bytes = 0
        """Total size of the packets that a camera sent."""
        self.since = time.monotonic()

    @property
    def answered(self) -> bool:
        """Whether what is written gets anywhere."""
        return True

    def mux(self, packet: Packet[Any]) -> None:
        """Write a packet.

        Raises:
            OSError, av.error.FFmpegError: if that fails.
        """
        self.container.mux_one(packet)

    def shape(self, stream: Any, ratio: Fraction | None) -> None:
        """Give the pixels of a video a width by their height, where PyAV leaves that out."""
        is_seekable = self.path is not None or self.memory is not None
        if ratio and ratio != 1 and is_seekable and self.container.format.name.split(",")[0] in aspect.FORMATS:
            stream.metadata["title"] = stream.metadata.get("title", "") + aspect.room_for(ratio)
            self._is_shaped = True

    def close(self) -> None:
        """Finish it properly.

        Raises:
            OSError, av.error.FFmpegError: if that fails.
        """
        self.container.close()
        if self._is_shaped:
            with contextlib.nullcontext(self.memory) if self.path is None else open(self.path, "r+b") as file:
                if file is not None:
                    aspect.write_aspects(file)

    def give_up(self) -> None:
        """Release it, whatever state it is in."""
        close_quietly(self.container)
        with contextlib.suppress(OSError):
            if self.path is not None and self.path.stat().st_size == 0:
                self.path.unlink()


class CameraTrack:
    """A stream of an output that takes a camera's packets: those from before the output's beginning are left out.

    Args:
        stream: of the output's container.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._last_dts = stream, -1

    def mux(self, output: Output, packet: EncodedPacket, delay: Fraction) -> None:
        """Write a packet, `delay` seconds later than it says."""
        muxed, ticks = packet.packet(), round(delay / packet.time_base)
        dts = (packet.dts if packet.dts is not None else packet.pts or 0) + ticks
        if dts > self._last_dts:
            self._last_dts = muxed.dts = dts
            muxed.pts = None if packet.pts is None else packet.pts + ticks
            muxed.stream = self._stream
            output.bytes += len(packet.data)
            output.mux(muxed)


class NullFile:
    """A file that forgets what is written to it."""

    name = "trial"

    def __init__(self) -> None:
        self._position = self._size = 0

    def write(self, data: bytes) -> int:
        """Count the bytes."""
        self._position += len(data)
        self._size = max(self._size, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as a file would."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position


def _nowhere(container_format: str, options: dict[str, str] | None) -> OutputContainer:
    """A container whose file forgets what is written to it."""
    container: OutputContainer = av.open(
        NullFile(), "w", format=container_format, container_options=options or {}, **ANY_METADATA
    )
    return container


@contextlib.contextmanager
def trial_container(container_format: str, options: dict[str, str] | None = None) -> Iterator[OutputContainer]:
    """A container to try out; it is closed at the end of the block, however far the trial got."""
    container = _nowhere(container_format, options)
    try:
        yield container
    finally:
        close_quietly(container)


def holding_container(owner: object, container_format: str, options: dict[str, str] | None = None) -> OutputContainer:
    """A container for the parameters of streams, open as long as `owner` lives.

    PyAV never frees one that was not closed, and from release 19 on nothing can be done with the streams of one that
    was.
    """
    container = _nowhere(container_format, options)
    weakref.finalize(owner, close_quietly, container).atexit = False
    return container


def holds(container_format: str, encoder: str) -> bool:
    """Whether FFmpeg says that a container takes what an encoder makes."""
    with contextlib.suppress(ValueError, av.error.FFmpegError), trial_container(container_format) as output:
        output.add_stream(encoder, rate=25)
        return True
    return False


def holds_aac(container_format: str) -> bool:
    """Whether a container takes AAC."""
    return container_format not in _WITHOUT_AAC and holds(container_format, "aac")


def home_of(container_format: str, encoder: str) -> str:
    """The container to open an encoder in for a file of `container_format`; that itself, if FFmpeg says it takes it.

    Matroska also holds what AVI holds, under the same four characters, but FFmpeg's list of its codecs leaves that out.

    Raises:
        ValueError: if the format takes nothing of the kind.
    """
    for home in (container_format, *(["avi"] if container_format == "matroska" else [])):
        if holds(home, encoder):
            return home
    raise ValueError(f"a {container_format} file does not take what {encoder} makes")


def add_parameters(template: Stream, output: OutputContainer) -> Stream:
    """A stream with the parameters of `template` alone, and whatever codec tag the muxer likes.

    FFmpeg's list of a container's codecs, which PyAV asks, is shorter than what the muxer writes. Whether it takes the
    stream only shows when the header is written.

    Raises:
        ValueError: if the container takes no such kind of stream at all.
    """
    with contextlib.suppress(ValueError):
        return output.add_stream_from_template(template, opaque=True)
    # PyAV looks up the codec of the template's context, but copies the parameters of its stream. So put these into a
    # stream whose context has a codec that is on the list.
    with trial_container(output.format.name) as listed:
        carrier = listed.add_stream(output.default_video_codec)
        BitStreamFilterContext("null", in_stream=template, out_stream=carrier)
        copy = output.add_stream_from_template(carrier, opaque=True)
    copy.time_base = template.time_base
    return copy


def close_quietly(container: Any) -> None:
    """Close an output whose content no longer matters."""
    try:
        container.close()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        log.debug("closing: %s", error)

"""Every packet of a file on one clock, as far as it can be read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from streamdehaze.video.pyav import fraction
from streamdehaze.video.reading.open import demux
from streamdehaze.video.reading.times.continuity import Continuity

log = logging.getLogger("streamdehaze")

_RATE_INSIDE = frozenset({"mpegvideo", "m4v", "h264", "hevc", "vvc"})
"""Raw streams that FFmpeg times by a rate in their headers."""
_RAW = frozenset({"mjpeg", "obu", "image2", *_RATE_INSIDE})
"""Other formats that say nothing about time, as do pictures one after the other ("jpeg_pipe")."""
_READ_RETRIES = 16
"""Unreadable places in a row after which reading stops as at the end of the file."""


def takes_rate(container_format: str) -> bool:
    """Whether files of a format, by the name of FFmpeg's reader, are read at the rate that the user asks for."""
    return container_format in _RAW or container_format.endswith("_pipe")


class Demuxer:
    """Reads the packets of a file; places that cannot be read are skipped.

    Args:
        container: the file.
        video: its stream that is decoded.
        origin: where the file's clock starts, seconds.
        rate: frames a second that the user asks for; None for the times in the file.
        warn_once: gets the key of a warning, and what to log.
        note_damage: called for each place that cannot be read; what it raises ends the reading.
    """

    def __init__(
        self,
        container: InputContainer,
        video: VideoStream,
        *,
        origin: Fraction,
        rate: Fraction | None,
        warn_once: Callable[..., None],
        note_damage: Callable[[], None],
    ) -> None:
        self._container, self._video, self._origin = container, video, origin
        self._rate = rate if container.format.name in _RATE_INSIDE else None
        self._note_damage = note_damage
        self._continuity = Continuity(container, warn_once)
        self._spaced = 0
        self.until = Fraction(0)
        """How far decoding times have come, seconds."""
        self.pictures = 0
        """Packets of the video so far."""
        self.late = 0
        """Packets so far of streams that were not there yet when the file was opened, which are lost."""

    @property
    def is_spaced(self) -> bool:
        """Whether pictures are timed by their rate, so that reading must begin with the first."""
        return self._rate is not None

    @property
    def has_free_clock(self) -> bool:
        """Whether the clock counts from an instant that means nothing, and may start over."""
        return self._continuity.applies

    def packets(self) -> Iterator[av.Packet[Stream]]:
        """The packets to the end of the file; then an empty one of the video, which empties a decoder."""
        failures = 0
        while failures < _READ_RETRIES:
            try:
                for packet in demux(self._container, late=self._note_late):
                    if packet.size:
                        failures = 0
                        self.pictures += packet.stream_index == self._video.index
                        self._continuity.place(packet)
                        self._note_progress(packet)
                        self._time(packet)
                        yield packet
                break
            except (av.error.FFmpegError, OSError) as error:
                failures += 1
                log.debug("%s", error)
                self._note_damage()
        last: av.Packet[Any] = av.Packet()
        last.stream = self._video
        if self._video.time_base:
            last.time_base = self._video.time_base
        yield last

    def space(self, packet: av.Packet[Stream]) -> None:
        """Give the next whole picture of a raw stream the time that it has at the rate asked for."""
        if self._rate is None or not packet.size or packet.stream_index != self._video.index:
            return
        step = 1 / (self._rate * fraction(packet.time_base))
        packet.pts, packet.dts, packet.duration = None, round(self._spaced * step), round(step)
        self._spaced += 1
        self._note_progress(packet)

    def _note_late(self) -> None:
        self.late += 1

    def _note_progress(self, packet: av.Packet[Stream]) -> None:
        if packet.dts is not None and packet.time_base:
            self.until = max(self.until, (packet.dts + (packet.duration or 0)) * packet.time_base)

    def _time(self, packet: av.Packet[Stream]) -> None:
        """Give data that are not in step with anything, as MISB ST 1402 has it, the time of what is around them."""
        time_base = fraction(packet.time_base)
        if packet.stream_index != self._video.index and packet.pts is None and packet.dts is None and time_base:
            packet.pts = packet.dts = int((self.until or self._origin) / time_base)

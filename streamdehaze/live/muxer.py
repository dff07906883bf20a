"""A file, playlist or stream being written: what one connection of a sink lasts."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any

import av.error
from av.container import OutputContainer

from streamdehaze.live.encoded import Encoded, SoundFormat
from streamdehaze.live.encoder import PictureFormat
from streamdehaze.live.sound import AacSound, add_sound
from streamdehaze.live.target import SinkTarget

log = logging.getLogger("streamdehaze.live")


class Muxer:
    """A container being written; its times begin at 0."""

    def __init__(self, target: SinkTarget, first: Encoded, sound: SoundFormat | None, *, again: bool) -> None:
        self.format = first.format
        self.sound_format = sound
        self.bytes = 0
        self.since = time.monotonic()
        self.converted_sound = ""
        """The codec of sound that is made AAC; empty if it goes through as it is."""
        self._aac: AacSound | None = None
        self._remote = target.connect(again=again) if target.is_remote else None
        self._container: OutputContainer = self._remote.container if self._remote else target.open(again=again)
        self._path = target.path_of(self._container)
        try:
            self._container.add_stream_from_template(first.format.stream, opaque=True)
            self._video: Any = self._container.streams[0]
            self._sound: Any = None
            if sound is not None:
                self._sound, self._aac = add_sound(self._container, sound, target.format)
                self.converted_sound = sound.codec if self._aac else ""
            self._start = (first.dts or 0) * first.time_base
            self._last: dict[int, int] = {}
            self._container.start_encoding()
        except BaseException:
            self.give_up()
            raise

    @property
    def answered(self) -> bool:
        """Whether what is written gets somewhere."""
        return self._remote is None or self._remote.answered

    def seconds_at(self, packet: Encoded) -> float:
        """How long it is when `packet` begins."""
        return float((packet.dts or 0) * packet.time_base - self._start)

    def write(self, packet: Encoded) -> None:
        """Mux a packet; sound from before the beginning is left out."""
        try:
            self._write(packet)
            if self._remote is not None:
                self._remote.flush()
        except BrokenPipeError:
            raise self._remote.verdict() if self._remote else ConnectionError from None

    def _write(self, packet: Encoded) -> None:
        if isinstance(packet.format, PictureFormat):
            self._mux(packet, self._video)
        elif self._aac is not None:
            for converted in self._aac.convert(packet):
                self._mux(converted, self._sound)
        elif self._sound is not None:
            self._mux(packet, self._sound)

    def _mux(self, packet: Encoded, stream: Any) -> None:
        muxed = packet.packet(stream)
        shift = round(self._start / packet.time_base)
        muxed.pts = None if packet.pts is None else packet.pts - shift
        muxed.dts = (packet.dts if packet.dts is not None else packet.pts or 0) - shift
        if muxed.dts < 0 or muxed.dts <= self._last.get(stream.index, -1):
            return
        self._last[stream.index] = muxed.dts
        self.bytes += len(packet.data)
        self._container.mux_one(muxed)

    def close(self) -> None:
        """Finish it properly."""
        self._container.close()
        if self._remote is not None:
            self._remote.close()

    def give_up(self) -> None:
        """Let go of it, whatever state it is in."""
        if self._remote is not None:
            self._remote.kill()
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError, ValueError):
            log.debug("closing a lost sink failed", exc_info=True)
        if self._path is not None:  # a full disk shall not be strewn with empty files
            with contextlib.suppress(OSError):
                if self._path.stat().st_size == 0:
                    self._path.unlink()

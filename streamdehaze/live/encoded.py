"""Packets on their way to sinks: plain bytes and times, independent of the container they came from."""

from __future__ import annotations

import io
import weakref
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet

from streamdehaze.video.pyav import fraction


def container_of(owner: object, format: str) -> OutputContainer:
    """A container in memory that is there as long as `owner`.

    PyAV never frees one that was not closed, and from release 19 on nothing can be done with the streams of one that
    was.
    """
    container = av.open(io.BytesIO(), "w", format=format)
    weakref.finalize(owner, container.close).atexit = False
    return container


class SoundFormat:
    """The parameters of a camera's sound, kept in a container of their own that outlives the connection."""

    def __init__(self, stream: Any) -> None:
        self.codec: str = stream.codec_context.codec.canonical_name
        self.stream: Any = container_of(self, "nut").add_stream_from_template(stream)
        context = stream.codec_context
        self._rate, self._layout = context.sample_rate, context.layout.name
        self._extradata = bytes(context.extradata or b"")
        self._facts = (self.codec, self._rate, self._layout, self._extradata)

    def decoder(self) -> Any:
        """A new decoder for it."""
        context: Any = av.CodecContext.create(self.codec, "r")
        context.sample_rate, context.layout = self._rate, self._layout
        if self._extradata:
            context.extradata = self._extradata
        return context

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SoundFormat) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(self._facts)


@dataclass(frozen=True)
class Encoded:
    """An encoded picture, or a packet of sound."""

    data: bytes = field(repr=False)
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction
    """Seconds a tick of the times."""
    is_keyframe: bool
    format: Any = field(repr=False)
    """What a muxer needs to know: a `SoundFormat` or a `PictureFormat`; another object after any change."""
    arrival: float | None = None
    """Of the frame it was made of, monotonic seconds."""

    @classmethod
    def of(cls, packet: Packet[Any], format: Any, arrival: float | None = None) -> Encoded:
        """A copy of a PyAV packet."""
        return cls(
            bytes(packet),
            packet.pts,
            packet.dts,
            packet.duration or 0,
            fraction(packet.time_base),
            packet.is_keyframe,
            format,
            arrival,
        )

    def packet(self, stream: Any) -> Packet[Any]:
        """A new PyAV packet for a muxer's `stream`."""
        packet: Packet[Any] = Packet(self.data)
        packet.stream = stream
        packet.time_base = self.time_base
        packet.pts, packet.dts, packet.duration = self.pts, self.dts, self.duration
        packet.is_keyframe = self.is_keyframe
        return packet

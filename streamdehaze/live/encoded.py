"""Packets on their way to sinks: plain bytes and times, independent of the container they came from."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet


class SoundFormat:
    """The parameters of a camera's sound, kept in a container of their own that outlives the connection."""

    def __init__(self, stream: Any) -> None:
        self.codec: str = stream.codec_context.codec.canonical_name
        with av.open(io.BytesIO(), "w", format="nut") as holder:
            self.stream: Any = holder.add_stream_from_template(stream)
        self.time_base: Fraction = stream.time_base
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
            packet.time_base,
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

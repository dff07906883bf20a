"""A camera's sound in a form that a container holds: as it is, or converted to AAC."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.packet import Packet

from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.reading.times.timeline import TICK
from streamdehaze.video.writing.containers import holding_container
from streamdehaze.video.writing.encoding.codecs import TRANSPORT_STREAM_CODECS

_TRANSPORT_STREAMS = frozenset({"mpegts", "hls"})
_BITS_A_SAMPLE = 3
_LONGEST_GAP_SECONDS = 0.2
"""Sound that continues later than this after the sound before keeps its own time; less is jitter."""


class SoundFormat:
    """The parameters of a camera's sound, kept in a container of their own that outlives the connection."""

    def __init__(self, stream: Any) -> None:
        self.codec: str = stream.codec_context.codec.canonical_name
        self.stream: Any = holding_container(self, "nut").add_stream_from_template(stream)
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


class CameraSound:
    """Sound on its way into a container: as the camera sends it, or as AAC.

    Args:
        sound: as the camera sends it.
        container_format: FFmpeg's name of the format that the packets end up in.
    """

    def __init__(self, sound: SoundFormat, container_format: str) -> None:
        self.format = sound
        self.aac = None if _holds(container_format, sound) else AacSound(sound)
        """What converts it; None if it goes through as it is."""
        self.stream: Any = None
        """In the container."""

    def add_to(self, output: OutputContainer, *, after_video: bool) -> None:
        """Add a stream for it."""
        if after_video:
            self.stream = output.add_stream_from_template((self.aac or self.format).stream, opaque=True)

    def drain(self, output: OutputContainer, delay: Fraction) -> None:
        """Nothing waits."""

    def convert(self, packet: EncodedPacket) -> Iterator[EncodedPacket]:
        """What is to be written for a packet of the camera's."""
        if self.aac is None:
            yield packet
        else:
            yield from self.aac.convert(packet)


def _holds(container_format: str, sound: SoundFormat) -> bool:
    if container_format in _TRANSPORT_STREAMS and sound.codec not in TRANSPORT_STREAM_CODECS:
        return False
    with av.open("nowhere", "w", format=container_format) as tried:  # opens nothing before something is written
        try:
            tried.add_stream_from_template(sound.stream, opaque=True)
        except ValueError:  # the format has no way to store it
            return False
    return True


class AacSound:
    """Decodes sound and encodes it as AAC; the times stay."""

    def __init__(self, sound: SoundFormat) -> None:
        self._decoder: Any = sound.decoder()
        holder = holding_container(self, "mp4")
        rate = max(self._decoder.sample_rate, 8000)
        layout = "mono" if self._decoder.layout.nb_channels == 1 else "stereo"
        self.stream: Any = holder.add_stream("aac", rate=rate, layout=layout)
        self.stream.codec_context.bit_rate = _BITS_A_SAMPLE * rate
        self._resampler = AudioResampler("fltp", layout, rate, frame_size=1024)
        self._tick = Fraction(1, rate)
        holder.start_encoding()
        self._next: Fraction | None = None

    def convert(self, packet: EncodedPacket) -> Iterator[EncodedPacket]:
        """The AAC packets that come of a packet of sound; none of a damaged one."""
        try:
            frames = self._decoder.decode(Packet(packet.data))
        except av.error.FFmpegError:
            return
        begins = Fraction(packet.pts or 0) * packet.time_base
        for frame in frames:
            if self._next is None or abs(begins - self._next) > _LONGEST_GAP_SECONDS:
                self._next = begins
            frame.time_base = self._tick
            frame.pts = round(self._next / self._tick)
            self._next += Fraction(frame.samples, frame.sample_rate)
            for resampled in self._resampler.resample(frame):
                for encoded in self.stream.encode(resampled):
                    stamp = round((encoded.pts or 0) * self._tick / TICK)
                    length = round((encoded.duration or 0) * self._tick / TICK)
                    yield EncodedPacket(bytes(encoded), stamp, stamp, length, TICK, True, packet.format)

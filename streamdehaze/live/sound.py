"""A camera's sound in a form that a container holds: as it is, or made AAC."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
from av.audio.resampler import AudioResampler
from av.container import OutputContainer

from streamdehaze.live.encoded import Encoded, SoundFormat, container_of
from streamdehaze.video.reading.timeline import TICK
from streamdehaze.video.writing.codecs import TRANSPORT_STREAM_CODECS

_TRANSPORT_STREAMS = frozenset({"mpegts", "hls"})
_BITS_A_SAMPLE = 3
_LONGEST_GAP_SECONDS = 0.2
"""Sound that goes on later than this after the sound before keeps its own time; less is jitter."""


def add_sound(container: OutputContainer, sound: SoundFormat, format: str) -> tuple[Any, AacSound | None]:
    """Add a stream for this sound to a container, and what converts it where `format` does not hold that codec.

    Args:
        container: what the packets are written to.
        sound: as the camera sends it.
        format: FFmpeg's name of the format they get to in the end.
    """
    if _holds(format, sound):
        return container.add_stream_from_template(sound.stream, opaque=True), None
    aac = AacSound(sound)
    return container.add_stream_from_template(aac.stream, opaque=True), aac


def _holds(format: str, sound: SoundFormat) -> bool:
    if format in _TRANSPORT_STREAMS and sound.codec not in TRANSPORT_STREAM_CODECS:
        return False
    with av.open("nowhere", "w", format=format) as tried:  # opens nothing before something is written
        try:
            tried.add_stream_from_template(sound.stream, opaque=True)
        except ValueError:  # FFmpeg says the format has no way to store it
            return False
    return True


class AacSound:
    """Decodes sound and encodes it as AAC; the times stay."""

    def __init__(self, sound: SoundFormat) -> None:
        self._decoder: Any = sound.decoder()
        holder = container_of(self, "mp4")
        rate = max(self._decoder.sample_rate, 8000)
        layout = "mono" if self._decoder.layout.nb_channels == 1 else "stereo"
        self.stream: Any = holder.add_stream("aac", rate=rate, layout=layout)
        self.stream.codec_context.bit_rate = _BITS_A_SAMPLE * rate
        self._resampler = AudioResampler("fltp", layout, rate, frame_size=1024)
        self._tick = Fraction(1, rate)
        holder.start_encoding()
        self._next: Fraction | None = None

    def convert(self, packet: Encoded) -> Iterator[Encoded]:
        """The AAC packets that come of a packet of sound; none of a damaged one."""
        try:
            frames = self._decoder.decode(av.Packet(packet.data))
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
                    yield Encoded(bytes(encoded), stamp, stamp, length, TICK, True, packet.format)

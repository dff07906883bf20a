"""Sound in a form that a container holds: as it is, or converted to AAC."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet

from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.pyav import fraction
from streamdehaze.video.reading.times.timeline import TICK
from streamdehaze.video.writing.containers import CameraTrack, Output, add_parameters, holding_container
from streamdehaze.video.writing.encoding.codecs import TRANSPORT_STREAM_CODECS

_SOUND_CODECS = {
    "mpegts": TRANSPORT_STREAM_CODECS,
    "hls": TRANSPORT_STREAM_CODECS,
    "flv": frozenset({"aac", "mp3"}),
}
"""What receivers and players understand in a format, where FFmpeg writes more."""
_UNLISTED = {"matroska": frozenset({"pcm_alaw", "pcm_mulaw"})}
"""What FFmpeg writes into a format although its list of the format's codecs, which PyAV asks, does not have it."""
_NEED_PARAMETERS = frozenset({"mp4", "rtsp", "hls"})
"""Formats whose head holds the parameters of AAC (playlists: that of fragments), which MPEG-TS has in each packet."""
_OF_FEW_BITS = frozenset({"adpcm_g726", "adpcm_g726le"})
"""Sound of two to five bits a sample, which its packets do not tell."""
_BITS_A_SAMPLE = 3
"""AAC bits per sample of mono and stereo; more channels get as much for each pair."""
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""The usual order of each number of channels, where nothing says another."""
_LAYOUTS = frozenset({"mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1"})
"""What AAC holds."""
_LONGEST_GAP_SECONDS = 0.2
"""Sound that continues later than this after the sound before keeps its own time; less is jitter."""
_LONGEST_LIVE_GAP_SECONDS = 0.08
"""The same for cameras, whose sound follows pictures that are slewed to the time of their arrival."""
_RESTART_SECONDS = 2.0
"""Sound that begins this long before the end of the sound before is another one."""


class SoundFormat:
    """The parameters of a camera's sound, kept in a container of their own that outlives the connection."""

    def __init__(self, stream: Any) -> None:
        context = stream.codec_context
        holder = holding_container(self, "nut")
        self.codec: str = context.codec.canonical_name
        self.is_foreign = context.codec.name not in holder.supported_codecs
        """Whether it is known to RTP alone, as the G.726 of cameras is: containers only hold it converted."""
        self.stream: Any = add_parameters(stream, holder)
        self._rate, self._layout = context.sample_rate, context.layout.name
        self._extradata = bytes(context.extradata or b"")
        self._bits = round((context.bit_rate or 0) / self._rate) if self.codec in _OF_FEW_BITS else 0
        self._facts = (self.codec, self._rate, self._layout, self._extradata, self._bits)

    @property
    def tells_its_parameters(self) -> bool:
        """Whether it is AAC whose parameters come with each packet (ADTS)."""
        return self.codec == "aac" and not self._extradata

    def decoder(self) -> Any:
        """A new decoder for it."""
        context: Any = av.CodecContext.create(self.codec, "r")
        context.sample_rate, context.layout = self._rate, self._layout
        if self._extradata:
            context.extradata = self._extradata
        if self._bits:
            context.options = {"bits_per_coded_sample": str(self._bits)}
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
        self.aac = None if _holds(container_format, sound) else AacSound(sound.decoder(), ("mono", "stereo"), live=True)
        """What converts it; None if it goes through as it is."""
        self._waiting: deque[EncodedPacket] = deque()

    def add_to(self, output: Output, *, after_video: bool) -> None:
        """Add a stream for it, after the video's."""
        if not after_video:
            return
        stream = add_parameters((self.aac or self.format).stream, output.container)
        self._track = CameraTrack(stream)

    def put(self, packet: EncodedPacket) -> None:
        """Take a packet of the camera's; what is to be written of it waits for `drain`."""
        begins = Fraction(packet.pts or 0) * packet.time_base
        self._waiting.extend([packet] if self.aac is None else self.aac.convert(Packet(packet.data), begins))

    def drain(self, output: Output, delay: Fraction, *, last: bool = False) -> None:
        """Write what waits, `delay` seconds later than it says."""
        while self._waiting:
            self._track.mux(output, self._waiting.popleft(), delay)


def _holds(container_format: str, sound: SoundFormat) -> bool:
    if sound.is_foreign:
        return False
    if sound.tells_its_parameters and container_format in _NEED_PARAMETERS:
        return False
    if sound.codec not in _SOUND_CODECS.get(container_format, {sound.codec}):
        return False
    if sound.codec in _UNLISTED.get(container_format, ()):
        return True
    with av.open("nowhere", "w", format=container_format) as tried:  # opens nothing before something is written
        try:
            tried.add_stream_from_template(sound.stream, opaque=True)
        except ValueError:  # the format has no way to store it
            return False
    return True


class AacSound:
    """Decodes sound and encodes it as AAC; the times stay.

    Args:
        decoder: an audio codec context that decodes it.
        layouts: orders of channels that are kept; others become stereo.
        live: it is a camera's: what comes too early is left out, so that sound stays with the pictures.
    """

    def __init__(self, decoder: Any, layouts: Container[str] = _LAYOUTS, *, live: bool = False) -> None:
        self._live = live
        self._decoder = decoder
        given = decoder.layout
        layout = given.name if given.name in layouts else USUAL_LAYOUTS.get(given.nb_channels, "stereo")
        layout = layout if layout in layouts else "stereo"
        rate = min((each for each in _RATES if each >= decoder.sample_rate), default=_RATES[-1])
        holder = holding_container(self, "mp4")
        self.stream: Any = holder.add_stream("aac", rate=rate, layout=layout)
        self.stream.codec_context.bit_rate = _BITS_A_SAMPLE * rate * max(1, given.nb_channels // 2)
        self._resampler = AudioResampler("fltp", layout, rate, frame_size=1024)
        self._tick = Fraction(1, rate)
        holder.start_encoding()
        self._next: Fraction | None = None

    def convert(self, packet: Packet[Any] | None, begins: Fraction = Fraction(0)) -> Iterator[EncodedPacket]:
        """The AAC packets that come of a packet of sound; none of a damaged one, the last ones of None.

        Args:
            packet: of the input.
            begins: when it is heard, seconds.
        """
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            frames = []
        for frame in frames:
            if frame.pts is not None and packet is not None and packet.pts is not None:
                begins = frame.pts * fraction(frame.time_base)  # later, where the first samples are not to be heard
            gap = Fraction(0) if self._next is None else begins - self._next
            if self._live and -_RESTART_SECONDS < gap < -_LONGEST_LIVE_GAP_SECONDS:
                continue
            longest = _LONGEST_LIVE_GAP_SECONDS if self._live else _LONGEST_GAP_SECONDS
            if self._next is None or abs(gap) > longest:
                self._next = begins
            frame.time_base = self._tick
            frame.pts = round(self._next / self._tick)
            self._next += Fraction(frame.samples, frame.sample_rate)
            yield from self._encoded(self._resampler.resample(frame))
        if packet is None:
            yield from self._encoded([*self._resampler.resample(None), None])

    def _encoded(self, frames: Iterable[AudioFrame | None]) -> Iterator[EncodedPacket]:
        for frame in frames:
            for encoded in self.stream.encode(frame):
                stamp = round((encoded.pts or 0) * self._tick / TICK)
                length = round((encoded.duration or 0) * self._tick / TICK)
                yield EncodedPacket(bytes(encoded), stamp, stamp, length, TICK, True)

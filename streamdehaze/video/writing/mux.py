"""A container being written: encoded pictures and the streams that go with them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

from av.container import OutputContainer
from av.packet import Packet

from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.reading.window import Window
from streamdehaze.video.writing.containers import Output
from streamdehaze.video.writing.encode import VideoEncoder
from streamdehaze.video.writing.passthrough import current_metadata
from streamdehaze.video.writing.sound import CameraSound


@runtime_checkable
class Companions(Protocol):
    """Streams that go with a video."""

    def add_to(self, output: OutputContainer, *, after_video: bool) -> None:
        """Add the streams that come before the video, or after it."""
        ...

    def drain(self, output: OutputContainer, delay: Fraction) -> None:
        """Write all packets that wait, `delay` seconds later than they were."""
        ...


class Muxer:
    """Writes packets into an output.

    Args:
        output: open, and still empty.
        video: the encoder whose packets come, or one of the same setup.
        companions: written along with them.
    """

    def __init__(self, output: Output, video: VideoEncoder, companions: Companions | None = None) -> None:
        self.output, self._companions = output, companions
        self._delay = video.setup.delay * video.setup.tick
        try:
            if companions is not None:
                companions.add_to(output.container, after_video=False)
            self._video = self._add_video(video)
            if companions is not None:
                companions.add_to(output.container, after_video=True)
            self._label(video)
        except BaseException:
            self.give_up()
            raise

    def _add_video(self, video: VideoEncoder) -> Any:
        container, setup, encoder = self.output.container, video.setup, video.stream.codec_context
        stream: Any = container.add_stream_from_template(video.stream, opaque=True)
        stream.time_base = setup.tick
        stream.codec_context.framerate = encoder.framerate
        if container.format.name == setup.format:  # the encoder's own tag, such as ProRes's for its profile
            stream.codec_context.codec_tag = encoder.codec_tag
        stream.metadata.update(setup.tags)
        if setup.source is not None:
            stream.disposition = setup.source.video.disposition
        if setup.matrix is not None:
            stream.set_display_matrix(setup.matrix)
        return stream

    def _label(self, video: VideoEncoder) -> None:
        source = video.setup.source
        if source is not None:
            self.output.container.metadata.update(current_metadata(source.container.metadata))
            if source.chapters:
                self.output.container.set_chapters(Window(offset=-self._delay).chapters(source.chapters))

    def write(self, packets: Iterable[Packet[Any]] = ()) -> None:
        """Write what waits of the other streams, then these packets of the video."""
        if self._companions is not None:
            self._companions.drain(self.output.container, self._delay)
        for packet in packets:
            packet.stream = self._video
            self.output.mux(packet)

    def close(self) -> None:
        """Finish the output properly."""
        self.output.close()

    def give_up(self) -> None:
        """Release the output, whatever state it is in."""
        self.output.give_up()


class LiveMuxer(Muxer):
    """Writes the packets of a camera's stream; the times of each output begin at 0.

    Args:
        output: open, and still empty.
        first: the first packet to come, a picture.
        sound: the camera's, if it goes along.
    """

    def __init__(self, output: Output, first: EncodedPacket, sound: CameraSound | None) -> None:
        assert isinstance(first.format, VideoEncoder)
        self.format, self.sound = first.format, sound
        self.bytes = 0
        self.since = time.monotonic()
        self._start = (first.dts or 0) * first.time_base
        self._last: dict[int, int] = {}
        super().__init__(output, first.format, sound)
        try:
            output.container.start_encoding()
        except BaseException:
            self.give_up()
            raise

    def seconds_at(self, packet: EncodedPacket) -> float:
        """How long the output is when `packet` begins."""
        return float((packet.dts or 0) * packet.time_base - self._start)

    def send(self, packet: EncodedPacket) -> None:
        """Mux a packet; sound from before the beginning is left out."""
        if packet.is_picture:
            self._send(packet, self._video)
        elif self.sound is not None:
            for converted in self.sound.convert(packet):
                self._send(converted, self.sound.stream)

    def _send(self, packet: EncodedPacket, stream: Any) -> None:
        muxed = packet.packet()
        muxed.stream = stream
        shift = round(self._start / packet.time_base)
        muxed.pts = None if packet.pts is None else packet.pts - shift
        muxed.dts = (packet.dts if packet.dts is not None else packet.pts or 0) - shift
        if muxed.dts < 0 or muxed.dts <= self._last.get(stream.index, -1):
            return
        self._last[stream.index] = muxed.dts
        self.bytes += len(packet.data)
        self.output.mux(muxed)

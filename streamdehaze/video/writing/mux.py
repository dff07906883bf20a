"""A container being written: encoded pictures and the streams that go with them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from av.container import OutputContainer
from av.packet import Packet

from streamdehaze.video.mp4 import add_video_boxes
from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.readback.facts import current_metadata
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.times.window import Window
from streamdehaze.video.writing.containers import Output
from streamdehaze.video.writing.encoding.codecs import APPLE_TAG, MOV_FAMILY
from streamdehaze.video.writing.encoding.encode import StreamSetup, VideoEncoder
from streamdehaze.video.writing.sound import CameraSound
from streamdehaze.video.writing.spherical import carried_boxes


@runtime_checkable
class Companions(Protocol):
    """Streams that go with a video."""

    def add_to(self, output: OutputContainer, *, after_video: bool) -> None:
        """Add the streams that come before the video, or after it."""
        ...

    def drain(self, output: OutputContainer, delay: Fraction, *, last: bool = False) -> None:
        """Write all packets that wait, `delay` seconds later than they were; with `last`, nothing waits any longer."""
        ...


class Muxer:
    """Encodes a video into an output, and writes its companions along with it.

    Args:
        output: open, and still empty.
        setup: of the video.
        companions: the streams that go with it.

    Raises:
        SinkError: if the encoder refuses the pictures.
    """

    def __init__(self, output: Output, setup: StreamSetup, companions: Companions | None = None) -> None:
        self.output, self._companions = output, companions
        self._delay = setup.delay * setup.tick
        try:
            if companions is not None:
                companions.add_to(output.container, after_video=False)
            self.encoder = VideoEncoder(setup, output.container)
            self._video = self.encoder.muxed
            if companions is not None:
                companions.add_to(output.container, after_video=True)
            if setup.source is not None:
                self._label(setup, setup.source)
        except BaseException:
            output.give_up()
            raise

    def _label(self, setup: StreamSetup, source: FileSource) -> None:
        self._video.metadata.update(setup.tags)
        self._video.disposition = source.video.disposition
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
        """Write what still waits of the other streams, and finish the output properly."""
        if self._companions is not None:
            self._companions.drain(self.output.container, self._delay, last=True)
        self.output.close()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def carry_boxes(source: FileSource, path: Path, container_format: str, *, hevc: bool) -> None:
    """Give a finished MP4 or MOV the stereo and spherical description of its input; HEVC that of Dolby Vision, too."""
    if container_format in MOV_FAMILY and source.path is not None and os.path.isfile(source.path):
        boxes = carried_boxes(source.path, hevc=hevc)
        if boxes:
            add_video_boxes(path, boxes)


class PacketMuxer:
    """Writes the packets of a camera's stream, encoded already; the times of each output begin at 0.

    Args:
        output: open, and still empty.
        first: the first packet to come, a picture.
        sound: the camera's, if it goes along.
    """

    def __init__(self, output: Output, first: EncodedPacket, sound: CameraSound | None) -> None:
        assert isinstance(first.format, VideoEncoder)
        self.output, self.format, self.sound = output, first.format, sound
        self.bytes = 0
        self.since = time.monotonic()
        self._start = (first.dts or 0) * first.time_base
        self._last: dict[int, int] = {}
        try:
            self._video = self._add_video(first.format.setup)
            if sound is not None:
                sound.add_to(output.container)
            if first.arrival is not None:  # what Matroska stores as DateUTC, MP4 as its creation time
                began = time.time() - (self.since - first.arrival)
                output.container.metadata["creation_time"] = _iso(began)
            output.container.start_encoding()
        except BaseException:
            output.give_up()
            raise

    def _add_video(self, setup: StreamSetup) -> Any:
        stream = self.output.container.add_stream_from_template(self.format.stream, opaque=True)
        stream.time_base = setup.tick
        if setup.encoding.encoder.units == "hevc" and self.output.container.format.name in ("hls", "mp4"):
            stream.codec_context.codec_tag = APPLE_TAG
        return stream

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

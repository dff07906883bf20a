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

from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.times.window import Window
from streamdehaze.video.syntax.mp4 import add_video_boxes
from streamdehaze.video.writing.containers import CameraTrack, Output
from streamdehaze.video.writing.encoding.codecs import APPLE_TAG, MOV_FAMILY
from streamdehaze.video.writing.encoding.encode import StreamSetup, VideoEncoder
from streamdehaze.video.writing.sound import CameraSound
from streamdehaze.video.writing.spherical import carried_boxes


@runtime_checkable
class Companions(Protocol):
    """Streams that go with a video."""

    def add_to(self, output: Output, *, after_video: bool) -> None:
        """Add the streams that come before the video, or after it."""
        ...

    def drain(self, output: Output, delay: Fraction, *, last: bool = False) -> None:
        """Write all packets that wait, `delay` seconds later than they were; with `last`, nothing waits any longer."""
        ...


class Muxer:
    """Writes a video into an output, and its companions along with it.

    Args:
        output: open, and still empty.
        video: its setup, for the output to get an encoder; or the first packet of a camera's stream, a picture that is
            encoded already. The output's times begin with that, at 0.
        companions: the streams that go with it.

    Raises:
        SinkError: if the encoder refuses the pictures.
    """

    def __init__(
        self, output: Output, video: StreamSetup | EncodedPacket, companions: Companions | None = None
    ) -> None:
        self.output, self._companions = output, companions
        self.encoder: VideoEncoder
        """What makes the packets of the video."""
        self._video: Any
        self._delay: Fraction
        try:
            if companions is not None:
                companions.add_to(output, after_video=False)
            if isinstance(video, StreamSetup):
                self._add_encoder(video)
            else:
                self._add_copy(video)
            if companions is not None:
                companions.add_to(output, after_video=True)
            output.container.start_encoding()
        except BaseException:
            output.give_up()
            raise
        self._track = CameraTrack(self._video)

    def _add_encoder(self, setup: StreamSetup) -> None:
        """Add a stream with an encoder of its own, and what the source says about itself."""
        container, source = self.output.container, setup.source
        self.encoder = VideoEncoder(setup, container)
        self._video = self.encoder.muxed
        self._delay = setup.delay * setup.tick
        self._video.metadata.update(setup.tags)
        if source is not None:
            self.output.shape(self._video, source.video.sample_aspect_ratio)
            self._video.disposition = source.video.disposition
            container.metadata.update(setup.file_tags)
            if source.chapters:
                container.set_chapters(Window(offset=-self._delay).chapters(source.chapters))

    def _add_copy(self, first: EncodedPacket) -> None:
        """Add a stream for the packets of an encoder that is open elsewhere, and the date of the first one."""
        assert isinstance(first.format, VideoEncoder)
        container, self.encoder = self.output.container, first.format
        self._video = _copy_of(self.encoder, container)
        self._delay = -(first.dts or 0) * first.time_base
        if first.arrival is not None:  # what Matroska stores as DateUTC, MP4 as its creation time
            container.metadata["creation_time"] = _iso(time.time() - (self.output.since - first.arrival))

    def write(self, packets: Iterable[Packet[Any]] = ()) -> None:
        """Write what waits of the other streams, then these packets of the video."""
        if self._companions is not None:
            self._companions.drain(self.output, self._delay)
        for packet in packets:
            packet.stream = self._video
            self.output.mux(packet)

    def send(self, packet: EncodedPacket) -> None:
        """Write a packet of a camera's stream; what comes from before the first one is left out."""
        if packet.is_picture:
            self._track.mux(self.output, packet, self._delay)
        elif isinstance(self._companions, CameraSound):
            self._companions.put(packet)
            self.write()

    def seconds_at(self, packet: EncodedPacket) -> float:
        """How long the output is when a camera's `packet` begins."""
        return float((packet.dts or 0) * packet.time_base + self._delay)

    def close(self) -> None:
        """Write what still waits of the other streams, and finish the output properly."""
        if self._companions is not None:
            self._companions.drain(self.output, self._delay, last=True)
        self.output.close()


def _copy_of(encoder: VideoEncoder, output: OutputContainer) -> Any:
    """A stream that takes the packets of an encoder which is open elsewhere."""
    stream: Any = output.add_stream_from_template(encoder.stream, opaque=True)
    stream.time_base = encoder.setup.tick
    if encoder.setup.encoding.encoder.units == "hevc" and output.format.name in ("hls", "mp4"):
        stream.codec_context.codec_tag = APPLE_TAG
    return stream


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def carry_boxes(source: FileSource, path: Path, container_format: str, *, hevc: bool) -> None:
    """Give a finished MP4 or MOV the stereo and spherical description of its input; HEVC that of Dolby Vision, too."""
    if container_format in MOV_FAMILY and source.path is not None and os.path.isfile(source.path):
        boxes = carried_boxes(source.path, hevc=hevc)
        if boxes:
            add_video_boxes(path, boxes)

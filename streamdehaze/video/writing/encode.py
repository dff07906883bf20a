"""An open container whose pictures are encoded; all that is decided once its first picture is known."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer

from streamdehaze.video.hdr import display_matrix, light_levels
from streamdehaze.video.planes import PictureWriter, color_of
from streamdehaze.video.pyav import fraction
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.window import Window
from streamdehaze.video.writing.choose import Encoding
from streamdehaze.video.writing.codecs import (
    DROPS_METADATA,
    HOLDS_ASPECT,
    HOLDS_CHAPTERS,
    HOLDS_ROTATION,
    MOV_FAMILY,
    NO_PRESENTATION_TIMES,
    TAKES_NEGATIVE_TIMES,
    WITHOUT_B_FRAMES,
)
from streamdehaze.video.writing.opening import opening_encoder
from streamdehaze.video.writing.passthrough import Passthrough, current_metadata

log = logging.getLogger("streamdehaze")

_MOV_CLOCK_LIMIT = 10_000_000
"""Finest clock of a whole MOV or MP4 file: finer ones overflow what old players count with."""
_REORDERED = 3
"""Pictures by which encoders' decoding times run ahead of the presentation, at most."""
_FINEST_SLOTS = 240
"""Frames a second an AVI file is divided into, at most; uneven times beyond that are rounded."""
_LONGEST_REORDERING = 64
"""Pictures back to which a decoding time can refer."""


@dataclass(frozen=True)
class Beginning:
    """What the first picture of a video decides for all that follow it."""

    name: str
    """The file in words."""
    format: str
    """FFmpeg's name of the container format."""
    picture: av.VideoFrame
    original: av.VideoFrame
    """As it was decoded: the side data of the whole video hang on it."""
    rate: Fraction
    """Frames a second, for what must write one down."""
    tick: Fraction
    """Seconds a unit of the times that are written."""
    delay: int
    """Ticks by which everything moves, where the container cannot hold the time of the beginning."""
    said: set[str] = field(default_factory=set, repr=False)
    """Warnings that were given; each is given once."""

    @classmethod
    def of(
        cls,
        name: str,
        container_format: str,
        picture: av.VideoFrame,
        original: av.VideoFrame,
        rate: Fraction,
        source: FileSource | None,
    ) -> Beginning:
        """The beginning of a video with this first `picture`."""
        if picture.pts is None or container_format in NO_PRESENTATION_TIMES:
            tick = 1 / (_slots_rate(container_format, source) or rate)
        else:
            tick = fraction(picture.time_base)
        delay = 0
        if picture.pts is not None and picture.time_base is not None:
            first = round(picture.pts * picture.time_base / tick)
            if container_format in MOV_FAMILY and first < 0:
                log.warning("%s: times start at 0 instead of %.3f s", name, float(first * tick))
                delay = -first  # an edit list would hide the pictures before 0
            elif container_format in NO_PRESENTATION_TIMES and source is not None:
                delay = -int(source.origin / tick)  # to whole slots; the priming of sound is less
        return cls(name, container_format, picture, original, rate, tick, delay)

    @property
    def step(self) -> int:
        """Ticks from picture to picture, about."""
        return max(1, round(1 / (self.rate * self.tick)))

    def warn_once(self, key: str, message: str, *values: object) -> None:
        """Log a warning, unless one of this `key` was given before."""
        if key not in self.said:
            self.said.add(key)
            log.warning(message, *values)


_ALPHA_MODE = "alpha_mode"
"""Tag of WebM video whose transparency travels beside it, as a second picture in each block."""


class Output:
    """A container with one encoded video and what travels beside it.

    Args:
        container: opened for writing, and still empty.
        beginning: of the video; also of one of which this container gets a later part.
        encoding: the encoder.
        source: where tags and chapters come from.
        passthrough: the streams to copy.
        writer: makes pictures for the encoder.
        last_pts: time of the picture before the first one to come, in ticks.
    """

    def __init__(
        self,
        container: OutputContainer,
        beginning: Beginning,
        encoding: Encoding,
        source: FileSource | None,
        passthrough: Passthrough | None,
        writer: PictureWriter,
        *,
        last_pts: int | None = None,
    ) -> None:
        self.container = container
        self.last_pts = last_pts
        self._beginning = beginning
        self._encoding = encoding
        self._source = source
        self._passthrough = passthrough
        self._writer = writer
        self._format = beginning.format
        self._tick, self._step, self._delay = beginning.tick, beginning.step, beginning.delay
        self._size = (beginning.picture.width, beginning.picture.height)
        self._times: dict[int, tuple[int, int]] = {}
        self._first_pts = self._count = 0
        self._durations: dict[int, int] = {}
        index = None if source is None else source.video.index
        if passthrough is not None:
            passthrough.add_to(container, before=index)
        self.video = self._add_video(beginning.picture, beginning.original, beginning.rate)
        if passthrough is not None:
            passthrough.add_to(container, since=index)
        self.lost = self._copy_the_rest(beginning.picture, beginning.original)
        """Properties that container and encoder cannot hold, in words."""

    def _add_video(self, picture: av.VideoFrame, original: av.VideoFrame, rate: Fraction) -> Any:
        encoding = self._encoding
        rate = encoding.rate_for(rate)
        stream: Any = self.container.add_stream(encoding.encoder.name, rate=rate)
        context = stream.codec_context
        encoding.apply(context, *self._size)
        on_grid = encoding.encoder.counts_frames
        context.time_base = 1 / rate if on_grid else self._tick
        stream.time_base = self._tick
        starts_early = picture.pts is not None and 0 <= picture.pts < _REORDERED * self._step
        if self._format in WITHOUT_B_FRAMES or (self._format == "mpegts" and starts_early):
            context.max_b_frames = 0
        encoded = self._writer.convert(picture, *self._size, encoding.pixel_format)
        color = color_of(encoded)
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        context.colorspace = color.matrix
        if color.full_range is not None:
            context.color_range = 2 if color.full_range else 1
        if self._source is not None:
            ratio = self._source.video.sample_aspect_ratio
            if ratio:
                context.sample_aspect_ratio = ratio
            if hasattr(context, "field_order"):  # not before PyAV 18, and so not on Python 3.10
                context.field_order = self._source.video.codec_context.field_order if picture.interlaced_frame else 1
            tags = current_metadata(self._source.video.metadata)
            stream.metadata.update({key: value for key, value in tags.items() if key.lower() != _ALPHA_MODE})
            if self._source.window.offset:
                stream.metadata.pop("timecode", None)  # it names the first picture, which was cut off
            stream.disposition = self._source.video.disposition
        if picture.interlaced_frame and encoding.encoder.interlaces:
            stream.options.setdefault("flags", "+ildct+ilme")
        if self._format in MOV_FAMILY and encoding.encoder.name == "libx265":
            context.codec_tag = "hvc1"  # the tag that Apple's players insist on
        option = encoding.encoder.hdr_option
        levels = light_levels(original)
        if levels and option is not None:
            given = stream.options.get(option)
            parameters = levels.encoder_parameters(option)
            stream.options[option] = f"{given}:{parameters}" if given else parameters
        matrix = display_matrix(original)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        return stream

    def _copy_the_rest(self, picture: av.VideoFrame, original: av.VideoFrame) -> list[str]:
        """Chapters, metadata and the clocks of the container; what it cannot hold, in words."""
        options = self.container.container_options
        options.update(self._encoding.container_options)
        if self._format in TAKES_NEGATIVE_TIMES or (self._format == "mpegts" and (picture.pts or 0) < 0):
            options["avoid_negative_ts"] = "disabled"
        if self._format in MOV_FAMILY:
            ticks = [self._tick.denominator]
            if self._source is not None:
                ticks += [s.time_base.denominator for s in self._source.others if s.time_base]
            options["video_track_timescale"] = str(self._tick.denominator)
            options["movie_timescale"] = str(min(math.lcm(1000, *ticks), _MOV_CLOCK_LIMIT))
        lost = self._lost(original)
        if self._source is None:
            return lost
        self.container.metadata.update(current_metadata(self._source.container.metadata))
        if self._source.chapters:
            delay = Window(offset=-self._delay * self._tick)
            self.container.set_chapters(delay.chapters(self._source.chapters))
        return lost

    def _lost(self, original: av.VideoFrame) -> list[str]:
        """Properties of the video that neither encoder nor container writes down."""
        encoder = self._encoding.encoder
        lost = []
        if light_levels(original) and encoder.hdr_option is None:
            lost.append(f"HDR light levels (with the encoder {encoder.name})")
        if display_matrix(original) is not None and self._format not in HOLDS_ROTATION:
            lost.append(f"rotation by {original.rotation} degrees")
        if self._source is None:
            return lost
        if any(key.lower() == _ALPHA_MODE and value == "1" for key, value in self._source.video.metadata.items()):
            lost.append("transparency (which FFmpeg's decoder of VP8 and VP9 leaves out)")
        aspect = self._source.video.sample_aspect_ratio or 1
        if aspect != 1 and not encoder.writes_aspect and self._format not in HOLDS_ASPECT:
            lost.append(f"sample aspect ratio {aspect.numerator}:{aspect.denominator}")
        if self._format in DROPS_METADATA and current_metadata(self._source.container.metadata):
            lost.append("metadata")
        if self._source.chapters and self._format not in HOLDS_CHAPTERS:
            lost.append(f"{len(self._source.chapters)} chapters")
        return lost

    def encode(self, picture: av.VideoFrame) -> list[av.Packet[Any]]:
        """The packets that come out of the encoder for the next picture, with times in ticks."""
        first = self._beginning.picture
        before = (first.width, first.height, first.format.name)
        layout = (picture.width, picture.height, picture.format.name)
        if layout != before:
            self._beginning.warn_once(
                "rescaled",
                "%s: pictures change from %dx%d %s to %dx%d %s and are scaled back",
                self._beginning.name, *before, *layout,
            )  # fmt: skip
        encoded = self._writer.convert(picture, *self._size, self._encoding.pixel_format)
        self._place_in_time(encoded)
        with opening_encoder():  # the first picture opens the encoder
            return self._timed(self.video.encode(encoded))

    def end_encoding(self) -> list[av.Packet[Any]]:
        """The packets the encoder still holds."""
        return self._timed(self.video.encode(None))

    def mux(self, packets: list[av.Packet[Any]]) -> None:
        """Write what waits of the other streams, then these packets of the video."""
        if self._passthrough is not None:
            self._passthrough.drain(self.container, self._delay * self._tick)
        for packet in packets:
            self.container.mux_one(packet)

    def _place_in_time(self, picture: av.VideoFrame) -> None:
        """Give the picture its time in ticks of the stream, later than the picture before."""
        if picture.pts is None:
            pts = 0 if self.last_pts is None else self.last_pts + self._step
        else:
            pts = picture.pts
            if picture.time_base is not None and picture.time_base != self._tick:
                pts = round(pts * picture.time_base / self._tick)
        pts += self._delay
        if self.last_pts is not None and pts <= self.last_pts:
            self._beginning.warn_once(
                "moved", "%s: pictures of the same or an earlier time were moved forward", self._beginning.name
            )
            pts = self.last_pts + 1
        self.last_pts = pts
        duration = picture.duration
        if self._encoding.encoder.counts_frames:
            self._times[self._count] = (pts, duration)
            picture.pts, picture.time_base = self._count, self.video.codec_context.time_base
            self._first_pts = pts if self._count == 0 else self._first_pts
            self._count += 1
        else:
            self._durations[pts] = duration
            picture.pts, picture.time_base = pts, self._tick

    def _timed(self, packets: list[av.Packet[Any]]) -> list[av.Packet[Any]]:
        """Packets with the times of their pictures, where the encoder knows only numbers, and with durations."""
        for packet in packets:
            if self._encoding.encoder.counts_frames:
                assert packet.pts is not None
                number = packet.pts
                early = packet.dts if packet.dts is not None else number
                packet.pts, duration = self._times[number]
                packet.dts = self._times[early][0] if early >= 0 else self._first_pts + early * self._step
                self._times.pop(number - _LONGEST_REORDERING, None)
                packet.time_base = self._tick
            else:
                duration = self._durations.pop(packet.pts, 0) if packet.pts is not None else 0
            if duration:
                packet.duration = duration
        return packets


def _slots_rate(container_format: str, source: FileSource | None) -> Fraction | None:
    """For AVI, whose frames are slots of equal length: the rate at which every time falls into its own slot."""
    exact = None if source is None else fraction(source.video.base_rate)
    return exact if container_format in NO_PRESENTATION_TIMES and exact and exact <= _FINEST_SLOTS else None

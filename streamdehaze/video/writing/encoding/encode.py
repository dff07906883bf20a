"""An open encoder, and all that is decided once the first picture of a video is known."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet

from streamdehaze.errors import SinkError
from streamdehaze.frame import ColorSpec, Frame
from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.planes import PictureWriter, color_of
from streamdehaze.video.pyav import fraction, frame_rate
from streamdehaze.video.readback.facts import current_metadata, stream_metadata, with_reel
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.times.clock import NO_PRESENTATION_TIMES
from streamdehaze.video.reading.times.timeline import TICK
from streamdehaze.video.sidedata import display_matrix, first_field, user_data
from streamdehaze.video.syntax.sei import PictureNotes, with_user_data, without_fixed_rate
from streamdehaze.video.timecode import later
from streamdehaze.video.writing.animation import ANIMATIONS, Animation
from streamdehaze.video.writing.containers import add_parameters, holding_container, home_of
from streamdehaze.video.writing.encoding.codecs import (
    APPLE_TAG,
    FREE_CLOCKS,
    MOV_FAMILY,
    MOV_TAGS,
    TAKES_NEGATIVE_TIMES,
    WITHOUT_B_FRAMES,
    WITHOUT_TIMES,
)
from streamdehaze.video.writing.encoding.encoding import Encoding
from streamdehaze.video.writing.encoding.hdr10 import LightLevels, light_levels
from streamdehaze.video.writing.encoding.opening import opening_encoder
from streamdehaze.video.writing.encoding.parameters import add_parameter

log = logging.getLogger("streamdehaze")

_MOV_CLOCK_LIMIT = 10_000_000
"""Finest clock of a whole MOV or MP4 file: finer ones overflow what old players count with."""
_REORDERED = 3
"""Pictures by which encoders' decoding times run ahead of the presentation, at most."""
_FINEST_SLOTS = 240
"""Frames a second an AVI file is divided into, at most; uneven times beyond that are rounded."""
_LONGEST_REORDERING = 64
"""Pictures back to which a decoding time can refer."""
_LIVE_FORMAT = "matroska"
"""Encoders lay packets out for it; every container that streams are sent in takes these."""
_LIVE_RATE = Fraction(25)
"""Encoders want one; the times of the pictures are what counts."""
_LIVE_TICKS = 2 * int(_LIVE_RATE)
"""A second, of the clock of H.264: one for each field."""
_INTRA = 1
"""FFmpeg's picture type of a keyframe."""
_ALPHA_MODE = "alpha_mode"
"""Tag of WebM video whose transparency is stored separately, as a second picture in each block."""

UNEVEN = "uneven"
"""Noted of frames that are not as far apart as their rate says, where the container keeps no times."""

_PROGRESSIVE = 1
_FIELD_ORDERS = {"top": (2, 4), "bottom": (3, 5)}
"""FFmpeg's numbers by the field shown first, for pictures whose fields are stored apart and together."""

FrameLayout = tuple[int, int, str, ColorSpec]
"""Width, height, pixel format and colour."""


def layout_of(frame: Frame) -> FrameLayout:
    """What an encoder is opened for."""
    return frame.width, frame.height, frame.pixel_format.name, frame.color


@dataclass(frozen=True)
class StreamSetup:
    """What encoding, container and first picture of a video decide for all pictures that follow."""

    name: str
    """Name of the output, for messages."""
    format: str
    """FFmpeg's name of the container format."""
    encoding: Encoding
    width: int
    """Width of the encoded pictures, pixels."""
    height: int
    layout: FrameLayout
    """Layout of the pictures as they come."""
    color: ColorSpec
    """As it is encoded."""
    rate: Fraction
    """Frames a second, for containers and encoders that must state a rate."""
    tick: Fraction
    """Seconds a unit of the times that are written."""
    delay: int = 0
    """Ticks by which everything moves, where the container cannot hold the time of the first picture."""
    first_pts: int | None = None
    first_field: str | None = None
    """The field of interlaced pictures that is shown first, "top" or "bottom"."""
    levels: LightLevels = field(default_factory=LightLevels)
    matrix: tuple[int, ...] | None = None
    """By which players turn and flip the pictures."""
    time_code: str = ""
    """Of the first picture, where no file says it."""
    skipped: int = 0
    """Pictures of the input before the first one, where a beginning is cut off; its time code moves by them."""
    source: FileSource | None = None
    """The input: tags, aspect, field order and rates come from it."""
    keyframe_seconds: float | None = None
    """Longest time from keyframe to keyframe; None where the encoder decides."""
    warned: set[str] = field(default_factory=set, repr=False)
    """Warnings that were given, each once; and what is noted for the comparison at the end."""

    @classmethod
    def of(
        cls,
        name: str,
        container_format: str,
        frame: Frame,
        encoding: Encoding,
        rate: Fraction,
        source: FileSource | None,
    ) -> StreamSetup:
        """The setup of a file's video with this first `frame`."""
        if frame.pts is None or container_format in (*NO_PRESENTATION_TIMES, "yuv4mpegpipe"):  # whose tick is its rate
            tick = 1 / (_slots_rate(container_format, source) or rate)
        else:
            tick = frame.time_base
        delay = 0
        if frame.pts is not None:
            first = round(frame.pts * frame.time_base / tick)
            if container_format in MOV_FAMILY and first < 0:
                log.warning("%s: times start at 0 instead of %.3f s", name, float(first * tick))
                delay = -first  # an edit list would hide the pictures before 0
            elif container_format in NO_PRESENTATION_TIMES and source is not None:
                delay = -int(source.begins / tick)  # to whole slots; the priming of sound is less
            elif container_format not in FREE_CLOCKS and source is not None and source.has_free_clock:
                delay = -max(0, int(source.begins / tick))  # players would show nothing for that long
        writer = PictureWriter()
        picture = writer.picture(frame)
        original = frame.opaque if isinstance(frame.opaque, av.VideoFrame) else picture
        return cls(
            name,
            container_format,
            encoding,
            frame.width,
            frame.height,
            layout_of(frame),
            color_of(encoding.convert(writer, picture, frame.width, frame.height)),
            rate,
            tick,
            delay,
            frame.pts,
            first_field(original),
            light_levels(original),
            display_matrix(original),
            source=source,
            skipped=0 if source is None else _skipped(source, frame, rate),
        )

    @classmethod
    def live(cls, frame: Frame, encoding: Encoding, keyframe_seconds: float = 2.0) -> StreamSetup:
        """The setup of a stream whose frames have times in `TICK`."""
        width, height = max(2, frame.width & ~1), max(2, frame.height & ~1)  # 4:2:0 has even sides
        writer = PictureWriter()
        color = color_of(encoding.convert(writer, writer.picture(frame), width, height))
        return cls(
            "the stream", _LIVE_FORMAT, encoding, width, height, layout_of(frame), color, _LIVE_RATE, TICK,
            keyframe_seconds=keyframe_seconds,
        )  # fmt: skip

    @property
    def is_constant(self) -> bool:
        """Whether all pictures of the input come at one rate."""
        video = None if self.source is None else self.source.video
        return (
            video is not None
            and bool(fraction(video.base_rate))
            and (fraction(video.base_rate) == fraction(video.average_rate) == self.rate)
        )

    @property
    def step(self) -> int:
        """Ticks from picture to picture, about."""
        return max(1, round(1 / (self.rate * self.tick)))

    @property
    def container_options(self) -> dict[str, str]:
        """FFmpeg's options for the container."""
        options = self.encoding.container_options
        if self.format in TAKES_NEGATIVE_TIMES or (self.format == "mpegts" and (self.first_pts or 0) < 0):
            options["avoid_negative_ts"] = "disabled"
        if self.format == "mpegts" and self.source is not None:
            options["mpegts_service_id"] = str(self.source.service.number)
        if self.format in ANIMATIONS and self.source is not None and (played := Animation.of(self.source.path)):
            options |= played.options(self.format, whole=not self.source.window.trims)
        if self.format in MOV_FAMILY:
            others = [] if self.source is None else self.source.others
            ticks = [self.tick.denominator, *(s.time_base.denominator for s in others if s.time_base)]
            options["video_track_timescale"] = str(self.tick.denominator)
            options["movie_timescale"] = str(min(math.lcm(1000, *ticks), _MOV_CLOCK_LIMIT))
            tags = {} if self.source is None else current_metadata(self.source.tags)
            if any(key.lower() not in MOV_TAGS for key in tags):
                options["movflags"] = "use_metadata_tags"  # keys as Apple writes them: camera, place, date
        return options

    @property
    def undecoded(self) -> list[str]:
        """What FFmpeg's decoder leaves out of the pictures, so that no comparison of pictures shows it, as text."""
        tags = {} if self.source is None else self.source.video.metadata
        if any(key.lower() == _ALPHA_MODE and value == "1" for key, value in tags.items()):
            return ["transparency (which FFmpeg's decoder of VP8 and VP9 leaves out)"]
        return []

    @property
    def tags(self) -> dict[str, str]:
        """Metadata of the video stream."""
        if self.source is None:
            return {"timecode": self.time_code} if self.time_code else {}
        tags = stream_metadata(with_reel(self.source.video))
        return self._timed({key: value for key, value in tags.items() if key.lower() != _ALPHA_MODE})

    @property
    def file_tags(self) -> dict[str, str]:
        """Metadata of the file."""
        return {} if self.source is None else self._timed(current_metadata(self.source.tags))

    def _timed(self, tags: dict[str, str]) -> dict[str, str]:
        """The same with the time code of the first picture; of the input it is that of its first picture."""
        before = None if self.source is None else frame_rate(self.source.video)
        parts = max(1, round(self.rate / (before or self.rate)))
        for key in [key for key in tags if key.lower() == "timecode"] if self.skipped or parts > 1 else ():
            tags[key] = later(tags[key], self.skipped, self.rate, parts)
        return {key: value for key, value in tags.items() if value or key.lower() != "timecode"}

    def warn_once(self, key: str, message: str, *values: object) -> None:
        """Log a warning, unless one of this `key` was given before."""
        if key not in self.warned:
            self.warned.add(key)
            log.warning(message, *values)


class VideoEncoder:
    """An open encoder, and the parameters muxers ask for.

    Args:
        setup: of the video, also one of which this encoder gets a later part.
        container: gets its stream; None for packets that are muxed later.
        last_pts: time of the picture before the first one to come, in ticks.

    Raises:
        SinkError: if there is no such encoder here, or it refuses the pictures.
    """

    def __init__(
        self, setup: StreamSetup, container: OutputContainer | None = None, *, last_pts: int | None = None
    ) -> None:
        self.setup = setup
        self.first_pts = self.last_pts = 0
        """Times of its first and newest picture, in ticks."""
        self._previous = last_pts
        self._encoding = setup.encoding
        self._writer = PictureWriter()
        self._key_due: int | None = None
        self._times: dict[int, tuple[int, int]] = {}
        self._durations: dict[int, int] = {}
        self._count = self._delay = 0
        # A stream's clock is that of its container only where frames cannot be counted: cameras send when they like.
        self._counts = self._encoding.encoder.counts_frames and not self._encoding.at_once
        self._units = self._encoding.encoder.units
        self._is_fixed = self._encoding.at_once and self._units == "h264"
        """Whether the encoder calls the rate fixed, though cameras send when they like."""
        self._user_data: dict[int, tuple[list[bytes], PictureNotes | None]] = {}
        name = self._encoding.encoder.name
        # PyAV gives the parameters of an encoder to muxers only as a container's stream.
        try:
            home = home_of(setup.format, name)
            is_at_home = container is not None and home == setup.format
            options = setup.container_options if home == setup.format else {}
            holder: Any = container if is_at_home else holding_container(self, home, options)
            self.stream: Any = holder.add_stream(name, rate=self._encoding.rate_for(setup.rate))
        except (ValueError, av.error.FFmpegError) as error:
            raise SinkError(f"there is no encoder '{name}' here; choose another codec, libx264 say") from error
        self._configure()
        try:
            with opening_encoder():
                self.stream.codec_context.open()
            if self._is_fixed:
                self.stream.codec_context.extradata = without_fixed_rate(self.header, _LIVE_TICKS)
            if not is_at_home:
                holder.start_encoding()
            self.muxed: Any = self.stream
            """The stream of `container`."""
            if container is not None and not is_at_home:
                self.muxed = add_parameters(self.stream, container)
                # Ut Video tells how its samples are arranged by its tag alone.
                self.muxed.codec_context.codec_tag = self.stream.codec_context.codec_tag
        except (ValueError, av.error.FFmpegError) as error:
            size = f"{setup.width}x{setup.height}"
            raise SinkError(f"the encoder {name} cannot be opened for {size} pictures: {error}") from error

    @property
    def header(self) -> bytes:
        """The encoder's own header (FFmpeg's "extradata")."""
        return bytes(self.stream.codec_context.extradata or b"")

    def _configure(self) -> None:
        setup, encoding = self.setup, self._encoding
        context = self.stream.codec_context
        encoding.apply(context, setup.width, setup.height)
        self.stream.time_base = setup.tick
        context.time_base = 1 / encoding.rate_for(setup.rate) if self._counts else setup.tick
        if self._counts and encoding.encoder.units == "h264" and setup.is_constant:
            add_parameter(context.options, "x264-params", "force-cfr=1")
        starts_early = setup.first_pts is not None and 0 <= setup.first_pts < _REORDERED * setup.step
        if setup.format in WITHOUT_B_FRAMES or (setup.format == "mpegts" and starts_early):
            context.max_b_frames = 0
            context.options.pop("bf", None)
        color = setup.color
        context.color_primaries, context.color_trc, context.colorspace = color.primaries, color.transfer, color.matrix
        if color.full_range is not None:
            context.color_range = 2 if color.full_range else 1
        if setup.source is not None:
            ratio = setup.source.video.sample_aspect_ratio
            if ratio:
                context.sample_aspect_ratio = ratio
            if setup.source.chroma_location not in (None, "unspecified"):
                context.options.setdefault("chroma_sample_location", setup.source.chroma_location)
            if hasattr(context, "field_order"):  # not before PyAV 18, and so not on Python 3.10
                context.field_order = self._field_order(setup.source.video.codec_context.field_order)
        if setup.first_field is not None and encoding.encoder.interlaces:
            context.options.setdefault("flags", "+ildct+ilme")
            if encoding.encoder.units == "h264" and setup.first_field == "bottom":
                # x264 hears of it from the first picture too late: half of its headers would say top.
                add_parameter(context.options, "x264-params", "bff=1")
        if setup.format in MOV_FAMILY and encoding.encoder.units == "hevc":
            context.codec_tag = APPLE_TAG
        if setup.matrix is not None:
            self.stream.set_display_matrix(setup.matrix)
        option = encoding.encoder.hdr_option
        if setup.levels and option is not None:
            add_parameter(context.options, option, setup.levels.encoder_parameters(option))

    def _field_order(self, stated: int) -> int:
        """FFmpeg's number of the order of fields: the one `stated` by the input, unless its pictures say another."""
        shown_first = self.setup.first_field
        if shown_first is None:
            return _PROGRESSIVE
        separate, together = _FIELD_ORDERS[shown_first]
        return stated if stated in (separate, together) else together

    def encode(self, frame: Frame, *, keyframe: bool = False) -> list[Packet[Any]]:
        """The packets that come out for the next frame, with times in ticks; with `keyframe`, it is one."""
        setup = self.setup
        picture = self._writer.picture(frame)
        before, layout = setup.layout[:3], layout_of(frame)[:3]
        if layout != before:
            setup.warn_once(
                "rescaled", "%s: pictures change from %dx%d %s to %dx%d %s and are scaled back",
                setup.name, *before, *layout,
            )  # fmt: skip
        picture = self._encoding.convert(self._writer, picture, setup.width, setup.height)
        pts = self._place_in_time(picture)
        if self._units and isinstance(frame.opaque, av.VideoFrame):
            data, notes = user_data(frame.opaque), self._notes_of(frame.opaque)
            if data or notes is not None:
                self._user_data[pts] = data, notes
        if setup.keyframe_seconds is not None and (keyframe or self._key_due is None or pts >= self._key_due):
            picture.pict_type = _INTRA
            self._key_due = pts + round(setup.keyframe_seconds / setup.tick)
        return self._timed(self.stream.encode(picture))

    def flush(self) -> list[Packet[Any]]:
        """The packets the encoder still holds; it takes no more frames."""
        return self._timed(self.stream.encode(None))

    def _place_in_time(self, picture: av.VideoFrame) -> int:
        """Give the picture its time in ticks of the stream, later than the picture before."""
        setup = self.setup
        if picture.pts is None:
            pts = 0 if self._previous is None else self._previous + setup.step
        else:
            pts = round(picture.pts * fraction(picture.time_base) / setup.tick)
        pts += setup.delay
        if setup.format in WITHOUT_TIMES and self._count:
            expected = self._count / (setup.rate * setup.tick)
            if abs(pts - self.first_pts - expected) > setup.step:
                setup.warned.add(UNEVEN)
        if self._previous is not None and pts <= self._previous:
            setup.warn_once("moved", "%s: pictures of the same or an earlier time were moved forward", setup.name)
            pts = self._previous + 1
        self._previous = self.last_pts = pts
        self.first_pts = pts if self._count == 0 else self.first_pts
        duration = round((picture.duration or 0) * fraction(picture.time_base) / setup.tick)
        if self._counts:
            self._times[self._count] = (pts, duration)
            picture.pts, picture.time_base = self._count, self.stream.codec_context.time_base
        else:
            self._durations[pts] = duration
            picture.pts, picture.time_base = pts, setup.tick
        self._count += 1
        return pts

    def _timed(self, packets: list[Packet[Any]]) -> list[Packet[Any]]:
        """Packets with the times of their pictures, where the encoder knows only numbers, and with durations."""
        timed = []
        for packet in packets:
            if self._counts:
                assert packet.pts is not None
                number = packet.pts
                early = packet.dts if packet.dts is not None else number
                packet.pts, duration = self._times[number]
                packet.dts = self._times[early][0] if early >= 0 else self._time_before_first(early)
                self._times.pop(number - _LONGEST_REORDERING, None)
                packet.time_base = self.setup.tick
            else:
                duration = self._durations.pop(packet.pts, 0) if packet.pts is not None else 0
            if duration:
                packet.duration = duration
            if self._is_fixed and packet.is_keyframe:
                copy = EncodedPacket.of(packet)
                packet = replace(copy, data=without_fixed_rate(copy.data, _LIVE_TICKS)).packet()
            if packet.pts in self._user_data:
                packet = self._with_user_data(packet, *self._user_data.pop(packet.pts))
            timed.append(packet)
        return timed

    def _time_before_first(self, number: int) -> int:
        """The decoding time of the first pictures, which x264 keeps as far apart as their presentation."""
        self._delay = max(self._delay, -number)
        if self._delay not in self._times or 0 not in self._times:
            return self.first_pts + number * self.setup.step
        return self._times[number + self._delay][0] - (self._times[self._delay][0] - self._times[0][0])

    def _notes_of(self, picture: av.VideoFrame) -> PictureNotes | None:
        """What a picture says of its looks; Dolby Vision where the container will say so, grain that is not in it."""
        notes, source = picture.opaque, self.setup.source
        if not isinstance(notes, PictureNotes):
            return None
        if self._units != "hevc" or self.setup.format not in MOV_FAMILY:
            notes = replace(notes, dolby_vision=())
        return notes if source is not None and source.leaves_grain_out else replace(notes, film_grain=())

    def _with_user_data(self, packet: Packet[Any], data: list[bytes], notes: PictureNotes | None) -> Packet[Any]:
        """The same with user data of the input's picture."""
        assert self._units
        copy = EncodedPacket.of(packet)
        return replace(copy, data=with_user_data(copy.data, self._units, data, notes)).packet()


def _skipped(source: FileSource, first: Frame, rate: Fraction) -> int:
    """How many pictures of the input come before `first`, that of a window."""
    if source.window.start is None or first.pts is None:
        return 0
    start = source.video.start_time
    begins = source.origin if start is None else start * fraction(source.video.time_base)
    return max(0, round((first.pts * first.time_base + source.window.offset - begins) * rate))


def _slots_rate(container_format: str, source: FileSource | None) -> Fraction | None:
    """For AVI, whose frames are slots of equal length: the rate at which every time falls into its own slot."""
    exact = None if source is None else fraction(source.video.base_rate)
    if exact and source is not None and source.info.time_base != source.video.time_base:
        exact *= 2  # a frame is made of each field
    return exact if container_format in NO_PRESENTATION_TIMES and exact and exact <= _FINEST_SLOTS else None

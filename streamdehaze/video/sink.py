"""A video file being written: the pictures encoded, everything else copied from the source."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any

import av
import av.error
from av.container import OutputContainer

from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.video.encoder import (
    EncodeOptions,
    Encoding,
    Pictures,
    choose_encoding,
    close_quietly,
    configure,
    grid_rate,
)
from streamdehaze.video.families import (
    DROPS_METADATA,
    HOLDS_ASPECT,
    HOLDS_CHAPTERS,
    HOLDS_ROTATION,
    MOV_FAMILY,
    NO_PRESENTATION_TIMES,
    TAKES_NEGATIVE_TIMES,
    WITHOUT_B_FRAMES,
)
from streamdehaze.video.hdr import display_matrix, light_levels
from streamdehaze.video.passthrough import Passthrough, current_metadata, describe
from streamdehaze.video.planes import PictureWriter, color_of
from streamdehaze.video.protocols import Source
from streamdehaze.video.source import FileSource
from streamdehaze.video.target import Target
from streamdehaze.video.window import Window

log = logging.getLogger("streamdehaze")

_MOV_CLOCK_LIMIT = 10_000_000
"""Finest clock of a whole MOV or MP4 file: finer ones overflow what old players count with."""


_REORDERED = 3
"""Pictures by which encoders' decoding times run ahead of the presentation, at most."""
_FINEST_SLOTS = 240
"""Frames a second an AVI file is divided into, at most; uneven times beyond that are rounded."""
_LONGEST_REORDERING = 64
"""Pictures back to which a decoding time can refer."""


class FileSink:
    """Encodes frames into a file and copies the source's other streams beside them.

    The file has its final name only once `close` has succeeded; until then it is NAME.part.EXT.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: Source,
        *,
        encode: EncodeOptions | None = None,
        overwrite: bool = False,
        container: str | None = None,
    ) -> None:
        """Get ready to write `path`, or standard output for "-"; nothing is written before the first frame.

        Args:
            path: the file to write; its ending chooses the container.
            source: where the frames come from; of a `FileSource`, all other streams are copied.
            encode: the encoder and its settings.
            overwrite: replace a file that is there already.
            container: FFmpeg's name of the container format, where the ending of `path` shall not decide
                (standard output is "matroska" otherwise).

        Raises:
            SinkError: if the file cannot be written there or no encoder fits; before any work is done.
        """
        self._source = source if isinstance(source, FileSource) else None
        self._target = Target.of(path, container, overwrite, None if self._source is None else self._source.path)
        info = source.info
        profile = None if self._source is None else self._source.video.codec_context.profile
        self._pictures = Pictures(
            info.width, info.height, info.pixel_format, info.codec, profile, grid_rate(info.average_rate)
        )
        self._rate = grid_rate(info.average_rate)
        self._encoding = choose_encoding(self._pictures, self._target.format, encode or EncodeOptions())
        self._passthrough = None if self._source is None else Passthrough(self._source, self._target.format)
        self.dropped: list[str] = []
        """What the target container refused, in words."""
        self.frames = 0
        """Frames written so far."""
        self._writer = PictureWriter()
        self._open: _Opened | None = None
        self._finished = False
        if self._passthrough is not None:
            self.dropped += [describe(stream) for stream in self._passthrough.refused]

    @property
    def encoder(self) -> str:
        """FFmpeg's name of the encoder in use."""
        return self._encoding.encoder.name

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the pixel format that is encoded."""
        return self._encoding.pixel_format

    def write(self, frame: Frame) -> None:
        """Encode the next frame in presentation order.

        Raises:
            SinkError: if the encoder or the file system refuses it; nothing is left of the file then.
        """
        with self._or_nothing():
            if self._open is None:
                self._open = self._begin(frame)
            self._open.write(self._writer.picture(frame))
            self.frames += 1

    def close(self) -> None:
        """Finish the file and give it its final name.

        Raises:
            SinkError: if no frame was written, or the end could not be written.
        """
        if self._finished:
            return
        with self._or_nothing():
            if self._open is None:
                raise SinkError(f"no frame reached {self._target.name}, so it was not written")
            self._open.finish()
            self._target.publish()
        self._finished = True

    def abort(self) -> None:
        """Give the file up: nothing stays under its final name, nor beside it."""
        if self._finished:
            return
        self._finished = True
        if self._open is not None:
            close_quietly(self._open.output)
        self._target.discard()

    def __enter__(self) -> FileSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @contextlib.contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Turn what FFmpeg and the file system complain of into one sentence, with the partial file removed."""
        if self._finished:
            raise SinkError(f"{self._target.name} is finished already")
        try:
            yield
        except SinkError:
            self.abort()
            raise
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            reason = getattr(error, "strerror", None) or error
            raise SinkError(f"{self._target.name} cannot be written: {reason}") from error

    def _begin(self, frame: Frame) -> _Opened:
        picture = self._writer.picture(frame)
        opened = _Opened(self._target, self._encoding, self._source, self._passthrough, self._writer)
        original = frame.opaque if isinstance(frame.opaque, av.VideoFrame) else picture
        self.dropped += opened.begin(picture, original, self._rate)
        if self.dropped:
            log.warning("%s cannot hold, and so lacks: %s", self._target.name, ", ".join(self.dropped))
        settings = " ".join(f"{key}={value}" for key, value in self._encoding.options.items())
        log.info("%s: encoder %s, pixel format %s, %s", self._target.name, self.encoder, self.pixel_format, settings)
        return opened


class _Opened:
    """The output once the first picture is known."""

    def __init__(
        self,
        target: Target,
        encoding: Encoding,
        source: FileSource | None,
        passthrough: Passthrough | None,
        writer: PictureWriter,
    ) -> None:
        self._name = target.name
        self._format = target.format
        self._encoding = encoding
        self._source = source
        self._passthrough = passthrough
        self._writer = writer
        self.output: OutputContainer = target.open()
        self._size = (0, 0)
        self._input_layout: tuple[int, int, str] = (0, 0, "")
        self._tick = Fraction(1, 1)
        self._step = 1
        self._delay = 0
        self._last_pts: int | None = None
        self._times: dict[int, tuple[int, int]] = {}
        self._first_pts = self._count = 0
        self._durations: dict[int, int] = {}
        self._said_rescaled = self._said_moved = False

    def begin(self, picture: av.VideoFrame, original: av.VideoFrame, rate: Fraction) -> list[str]:
        """Open the encoder for pictures like this one and add all streams; what the container cannot hold.

        The side data of the whole video hang on the decoder's `original` picture.
        """
        self._size = (picture.width, picture.height)
        self._input_layout = (picture.width, picture.height, picture.format.name)
        if picture.pts is None or self._format in NO_PRESENTATION_TIMES:
            self._tick = 1 / (self._slots_rate() or rate)
        else:
            assert picture.time_base is not None
            self._tick = picture.time_base
        self._step = max(1, round(1 / (rate * self._tick)))
        self._delay = self._delay_for(picture)
        index = None if self._source is None else self._source.video.index
        if self._passthrough is not None:
            self._passthrough.add_to(self.output, before=index)
        self.video = self._add_video(picture, original, rate)
        if self._passthrough is not None:
            self._passthrough.add_to(self.output, since=index)
        return self._copy_the_rest(picture, original)

    def _slots_rate(self) -> Fraction | None:
        """For AVI, whose frames are slots of equal length: the rate at which every time falls into its own slot."""
        exact = None if self._source is None else self._source.video.base_rate
        return exact if self._format in NO_PRESENTATION_TIMES and exact and exact <= _FINEST_SLOTS else None

    def _delay_for(self, picture: av.VideoFrame) -> int:
        """Ticks by which everything moves, where the container cannot hold the time of the beginning."""
        if picture.pts is None or picture.time_base is None:
            return 0
        first = round(picture.pts * picture.time_base / self._tick)
        if self._format in MOV_FAMILY and first < 0:
            log.warning("%s: times start at 0 instead of %.3f s", self._name, float(first * self._tick))
            return -first  # an edit list would hide the pictures before 0
        if self._format in NO_PRESENTATION_TIMES and self._source is not None:
            return -int(self._source.origin / self._tick)  # to whole slots; the priming of sound is less
        return 0

    def _add_video(self, picture: av.VideoFrame, original: av.VideoFrame, rate: Fraction) -> Any:
        encoding = self._encoding
        rate = encoding.rate_for(rate)
        stream: Any = self.output.add_stream(encoding.encoder.name, rate=rate)
        context = stream.codec_context
        configure(stream, encoding, *self._size)
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
            stream.metadata.update(current_metadata(self._source.video.metadata))
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
        options = self.output.container_options
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
        self.output.metadata.update(current_metadata(self._source.container.metadata))
        if self._source.chapters:
            delay = Window(offset=-self._delay * self._tick)
            self.output.set_chapters(delay.chapters(self._source.chapters))
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
        aspect = self._source.video.sample_aspect_ratio or 1
        if aspect != 1 and not encoder.writes_aspect and self._format not in HOLDS_ASPECT:
            lost.append(f"sample aspect ratio {aspect.numerator}:{aspect.denominator}")
        if self._format in DROPS_METADATA and current_metadata(self._source.container.metadata):
            lost.append("metadata")
        if self._source.chapters and self._format not in HOLDS_CHAPTERS:
            lost.append(f"{len(self._source.chapters)} chapters")
        return lost

    def write(self, picture: av.VideoFrame) -> None:
        layout = (picture.width, picture.height, picture.format.name)
        if layout != self._input_layout and not self._said_rescaled:
            log.warning(
                "%s: pictures change from %dx%d %s to %dx%d %s and are scaled back",
                self._name, *self._input_layout, *layout,
            )  # fmt: skip
            self._said_rescaled = True
        encoded = self._writer.convert(picture, *self._size, self._encoding.pixel_format)
        self._place_in_time(encoded)
        if self._passthrough is not None:
            self._passthrough.drain(self.output, self._delay * self._tick)
        self._mux(self.video.encode(encoded))

    def finish(self) -> None:
        """Write what the encoder still holds, and the end of the file."""
        self._mux(self.video.encode(None))
        if self._passthrough is not None:
            self._passthrough.drain(self.output, self._delay * self._tick)
        self.output.close()

    def _place_in_time(self, picture: av.VideoFrame) -> None:
        """Give the picture its time in ticks of the stream, later than the picture before."""
        if picture.pts is None:
            pts = 0 if self._last_pts is None else self._last_pts + self._step
        else:
            pts = picture.pts
            if picture.time_base is not None and picture.time_base != self._tick:
                pts = round(pts * picture.time_base / self._tick)
        pts += self._delay
        if self._last_pts is not None and pts <= self._last_pts:
            if not self._said_moved:
                log.warning("%s: pictures of the same or an earlier time were moved forward", self._name)
                self._said_moved = True
            pts = self._last_pts + 1
        self._last_pts = pts
        duration = picture.duration
        if self._encoding.encoder.counts_frames:
            self._times[self._count] = (pts, duration)
            picture.pts, picture.time_base = self._count, self.video.codec_context.time_base
            self._first_pts = pts if self._count == 0 else self._first_pts
            self._count += 1
        else:
            self._durations[pts] = duration
            picture.pts, picture.time_base = pts, self._tick

    def _mux(self, packets: list[av.Packet[Any]]) -> None:
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
            self.output.mux_one(packet)

"""Everything in a file that is not the main picture, copied packet by packet without decoding."""

from __future__ import annotations

import errno
import logging
from collections import Counter
from fractions import Fraction
from typing import Any

import av
import av.error
from av.container import OutputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streamdehaze.errors import counted
from streamdehaze.video.pyav import fraction, has_flag
from streamdehaze.video.readback.facts import StreamFacts, codec_name, stream_metadata
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.open import has_parameters
from streamdehaze.video.writing.containers import Output, add_parameters, holds_aac, trial_container
from streamdehaze.video.writing.encoding.codecs import MOV_FAMILY, TRANSPORT_STREAM_CODECS
from streamdehaze.video.writing.encoding.encoding import AudioCodec
from streamdehaze.video.writing.sound import USUAL_LAYOUTS, AacSound

log = logging.getLogger("streamdehaze")

_COVERS_IN_HEADER = frozenset({"matroska"})
_HIDING_LEAD_INS = MOV_FAMILY | {"mpegts"}
"""Containers in which pictures may lie before the beginning: by an edit list, or on a clock that starts anywhere."""
_MOST_REORDERED = 16
"""Pictures a decoder of H.264 or HEVC waits for at most before it shows the first."""
_FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE, errno.EROFS, errno.EFBIG, errno.ENOMEM})
"""Errors of the place that is written to, not of a stream."""
_NO_TEXT = b"\0\0"
_JITTER = Fraction(1, 10)
"""Seconds by which packets are moved silently: a block of sound, as containers without exact times round it."""


class Passthrough:
    """Copies a source's other streams into an output, as far as its container takes them.

    Args:
        source: where they come from.
        container_format: FFmpeg's name of the output's format; which streams it takes is tested at once.
        audio: "aac" converts sound to AAC, "none" leaves it out.
    """

    def __init__(self, source: FileSource, container_format: str, audio: AudioCodec = "copy") -> None:
        self._source = source
        self._sounds: dict[int, AacSound] = {}
        converts = audio == "aac" and holds_aac(container_format)
        self.accepted: list[Stream] = []
        self._covers: dict[int, bytes] = {}
        for stream in source.others:
            if audio == "none" and stream.type == "audio":
                continue
            as_it_is = codec_name(stream) == "aac" and _takes([stream], container_format)
            if converts and not as_it_is and (sound := _to_aac(stream)) is not None:
                self._sounds[stream.index] = sound
                self.accepted.append(stream)
                continue
            if container_format in _COVERS_IN_HEADER and _is_cover(stream):
                self._covers[stream.index] = source.first_packet(stream)
                takes = bool(self._covers[stream.index])
            else:
                others = _in_packets([each for each in self.accepted if each.index not in self._sounds])
                takes = _takes([stream], container_format) and (
                    not others or _takes([*others, stream], container_format)
                )
                if takes and _judges_packets(container_format, stream):
                    takes = _takes_packet(stream, source.first_packet(stream), container_format)
            if takes:
                self.accepted.append(stream)
        for stream in self.accepted if source.options.get("video_stream") is None else ():
            if stream.type == "video" and not _is_cover(stream):
                log.warning(
                    "%s: video stream %d is copied as it is; --video-stream %d works on it instead, all on every one",
                    source.name, stream.index, stream.index,
                )  # fmt: skip
        hides = container_format in _HIDING_LEAD_INS
        source.collect(self.accepted, lead_in=hides)
        self._outputs: dict[int, Stream] = {}
        self.cut_short: list[str] = []
        """Streams of which the container refused a packet in the middle, as text."""
        self._is_mov = container_format in MOV_FAMILY
        self.written: Counter[int] = Counter()
        """Packets written so far of each stream, by its index in the source."""
        self._earliest_dts: dict[int, int] = {}
        self._undated: dict[int, tuple[int, int]] = {}
        self._least_step = 0 if _may_stand_still(container_format) else 1
        self._repaired = False
        cut = source.window.start is not None and not hides and not source.options.get("keep_clock")
        self._headless = {each.index: 0 for each in self.accepted if each.type == "video" and cut}
        """For each stream whose beginning was left out, the pictures so far without the keyframe they need."""
        self._whole: set[int] = set()
        """Those of them that have come to a keyframe."""

    def add_to(self, output: Output, *, after_video: bool) -> None:
        """Add the streams that come before the video in the input, or after it, so that their order stays."""
        for stream in self.accepted:
            if (stream.index > self._source.video.index) == after_video:
                if stream.index in self._covers:
                    _attach_cover(stream, self._covers[stream.index], output.container)
                else:
                    sound = self._sounds.get(stream.index)
                    converted = None if sound is None else sound.stream
                    copy: Any = copy_stream(stream, output.container, converted)
                    if isinstance(stream, VideoStream):
                        output.shape(copy, stream.sample_aspect_ratio)
                    if output.container.format.name == "avi" and codec_name(stream).startswith("adpcm"):
                        copy.codec_context.bit_rate = self._source.block_bit_rate(stream) or copy.codec_context.bit_rate
                    self._outputs[stream.index] = copy

    @property
    def source(self) -> FileSource:
        """Where the streams come from."""
        return self._source

    @property
    def place(self) -> int:
        """How many films come before the one that is worked on."""
        films = [each for each in self.accepted if each.type == "video" and not _is_cover(each)]
        return sum(each.index < self._source.video.index for each in films)

    @property
    def in_words(self) -> tuple[str, ...]:
        """The streams that are copied, as they are called in messages."""
        return tuple(
            f"{StreamFacts.of(stream)}{', converted to AAC' if stream.index in self._sounds else ''}"
            for stream in self.accepted
        )

    @property
    def missing(self) -> list[str]:
        """What was read of the source and could not be written, as text."""
        late = self._source.late
        return [
            *(f"the end of {stream}" for stream in self.cut_short),
            *(
                f"the first {count} pictures of {stream}, which need some that are cut away"
                for stream in map(StreamFacts.of, self.accepted)
                if (count := self._headless.get(stream.index))
            ),
            *([f"{counted(late, 'packet')} of streams that begin too late to be found"] if late else []),
        ]

    def drain(self, output: Output, delay: Fraction, *, last: bool = False) -> None:
        """Write all packets that wait, `delay` seconds later than in the input; with `last`, also the end of sound.

        A stream that the container refuses in the middle is left out from there on; the pictures are worth more.
        """
        waiting = self._source.packets
        if waiting:
            output.container.start_encoding()  # from now on the output's streams have the time bases of its muxer
        while waiting:
            packet = waiting.popleft()
            sound = self._sounds.get(packet.stream_index)
            if sound is not None:
                begins = (packet.pts or packet.dts or 0) * fraction(packet.time_base)
                for converted in sound.convert(packet, begins):
                    self._mux(output, converted.packet(), packet.stream, delay)
            elif packet.is_discard and not self._is_mov:  # only MOV has edit lists
                self._headless[packet.stream_index] = 0
            elif not self._written_by_muxer(packet):
                self._mux(output, packet, packet.stream, delay)
        for stream in self.accepted if last else ():
            if stream.index in self._sounds:
                for converted in self._sounds[stream.index].convert(None):
                    self._mux(output, converted.packet(), stream, delay)

    def _mux(self, output: Output, packet: Packet[Any], origin: Stream, delay: Fraction) -> None:
        """Write a packet that comes from the stream `origin` of the input."""
        index = origin.index
        target = self._outputs.get(index)
        if target is None:
            return
        if packet.time_base:
            _rescale(packet, delay, fraction(target.time_base))
        if index in self._headless and origin.type == "video" and index not in self._whole:
            self._whole |= {index} if packet.is_keyframe else set()
            self._headless[index] += not packet.is_keyframe
        packet.stream = target
        self._repair(packet, index, origin.type)
        try:
            output.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) in _FATAL:
                raise
            del self._outputs[index]
            seconds = float((packet.pts or packet.dts or 0) * fraction(packet.time_base))
            log.warning(
                "%s: %s ends at %.3f s in the output: the container refuses the rest (%s)",
                self._source.name, str(StreamFacts.of(origin)), seconds, getattr(error, "strerror", None) or error,
            )  # fmt: skip
            self.cut_short.append(str(StreamFacts.of(origin)))
            return
        self.written[index] += 1

    def _written_by_muxer(self, packet: Packet[Any]) -> bool:
        """Whether a packet is an end of a subtitle, which MOV and MP4 writers add by themselves."""
        return (
            self._is_mov
            and packet.size == len(_NO_TEXT)
            and packet.stream.type == "subtitle"
            and bytes(packet) == _NO_TEXT
        )

    def _repair(self, packet: Packet[Any], index: int, kind: str) -> None:
        """Make decoding times grow, as muxers require, in the ticks of the output.

        They stand still in damaged and odd files, and where the output's ticks are longer.
        """
        if packet.dts is None and packet.pts is not None:
            packet.dts = self._decoding_time(index, kind, packet.pts)
        if packet.dts is None:
            return
        earliest = self._earliest_dts.get(index, packet.dts)
        if packet.dts < earliest:
            if not self._repaired and (earliest - packet.dts) * fraction(packet.time_base) > _JITTER:
                log.warning("%s: time stamps that went backwards were moved forward", self._source.name)
                self._repaired = True
            packet.dts = earliest
            packet.pts = earliest if packet.pts is None else max(packet.pts, earliest)
        self._earliest_dts[index] = packet.dts + self._least_step

    def _decoding_time(self, index: int, kind: str, pts: int) -> int:
        """When a packet without a decoding time is decoded.

        Matroska keeps none, so that FFmpeg knows none of the first pictures of a video with B-frames: they come before
        all that it knows later.
        """
        if kind != "video":
            return pts
        first, count = self._undated.get(index, (pts, 0))
        self._undated[index] = first, count + 1
        return first - _MOST_REORDERED + count if count < _MOST_REORDERED else pts


def _may_stand_still(container_format: str) -> bool:
    """Whether two packets of a stream may have the same time in a container."""
    return has_flag(av.ContainerFormat(container_format, "w"), Flags.ts_nonstrict)


def _rescale(packet: Packet[Any], delay: Fraction, time_base: Fraction) -> None:
    """Put a packet's times, `delay` seconds later, into ticks of `time_base`."""
    tick = fraction(packet.time_base)
    if tick == time_base and not delay:
        return
    pts, dts, duration = packet.pts, packet.dts, packet.duration
    packet.time_base = time_base
    packet.pts = None if pts is None else round((pts * tick + delay) / time_base)
    packet.dts = None if dts is None else round((dts * tick + delay) / time_base)
    packet.duration = round((duration or 0) * tick / time_base)


def copy_stream(stream: Stream, output: OutputContainer, converted: Stream | None = None) -> Stream:
    """A stream of `output` that takes the packets of `stream`, with its metadata and disposition.

    With `converted`, it takes packets of that instead.

    Raises:
        ValueError: if the container does not take such a stream.
    """
    copy = add_parameters(stream if converted is None else converted, output)
    if converted is None:
        _state_layout(stream, copy)
    copy.metadata.clear()
    copy.metadata.update(stream_metadata(stream.metadata))
    copy.disposition = stream.disposition
    return copy


def _state_layout(stream: Stream, copy: Any) -> None:
    """Name the order of sound channels where the input does not."""
    layout = getattr(stream.codec_context, "layout", None)
    if stream.type == "audio" and layout is not None and layout.name.endswith(" channels"):
        copy.codec_context.layout = USUAL_LAYOUTS.get(layout.nb_channels, layout.name)


def _attach_cover(stream: Stream, content: bytes, output: OutputContainer) -> None:
    """Put a cover picture into the header as a file of its own."""
    codec = stream.codec_context.name
    kind = "jpeg" if codec == "mjpeg" else codec
    name = stream.metadata.get("filename", f"cover.{'jpg' if kind == 'jpeg' else kind}")
    output.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), content)


def _in_packets(streams: list[Stream]) -> list[Stream]:
    """The streams that are not part of the header."""
    return [s for s in streams if s.type != "attachment" and not _is_cover(s)]


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _to_aac(stream: Stream) -> AacSound | None:
    """What converts a stream to AAC; None if it is not sound, or cannot be decoded."""
    context: Any = stream.codec_context
    if stream.type != "audio" or context is None or not has_parameters(stream):
        return None
    try:
        return AacSound(context)
    except (av.error.FFmpegError, ValueError) as error:
        log.debug("%s: %s", stream, error)
        return None


def _takes(streams: list[Stream], container_format: str) -> bool:
    """Whether a container takes these streams, by writing its header for them."""
    if container_format in MOV_FAMILY and any(s.type == "data" and not codec_name(s) for s in streams):
        return False  # it would get a sample description that nothing reads
    if container_format == "avi" and any(not codec_name(stream) for stream in streams):
        return False  # players would take a video without a codec for raw pictures
    if container_format == "mpegts":
        codecs = {codec_name(stream) for stream in streams}
        if not codecs <= TRANSPORT_STREAM_CODECS:
            return False
    try:
        with trial_container(container_format) as output:
            if container_format == "mxf":  # which insists on a picture track
                output.add_stream("mpeg2video", rate=25)
            elif container_format == "dv":
                film = output.add_stream("dvvideo", rate=25)
                film.width, film.height, film.pix_fmt = 720, 576, "yuv420p"
            for stream in streams:
                copy_stream(stream, output)
            output.start_encoding()
            if container_format not in ("mxf", "dv"):  # which cannot end without a packet
                output.close()  # MOV and MP4 look at most of it only now
    except (av.error.FFmpegError, OSError, ValueError) as error:
        log.debug("%s: %s", container_format, error)
        return False
    return True


def _judges_packets(container_format: str, stream: Stream) -> bool:
    """Whether a container that takes the header of such a stream may still refuse its packets.

    MOV has no place for some kinds of ADPCM, AVI none for H.264 as MP4 and Matroska lay it out.
    """
    if container_format in MOV_FAMILY:
        return codec_name(stream).startswith("adpcm")
    return container_format == "avi" and codec_name(stream) == "h264"


def _takes_packet(stream: Stream, content: bytes, container_format: str) -> bool:
    """Whether a container that takes a stream's header takes its first packet, too."""
    try:
        with trial_container(container_format) as output:
            packet: Packet[Any] = Packet(content or b"\0")  # of a pipe the first is not known ahead, nor does it matter
            packet.stream = copy_stream(stream, output)
            packet.pts = packet.dts = 0
            output.mux_one(packet)
            output.close()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        log.debug("%s: %s", container_format, error)
        return False
    return True

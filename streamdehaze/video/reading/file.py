"""Frames of a video file, and the packets of everything else in it."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from streamdehaze.control.curves import curve_of_sidecar, curve_of_tags
from streamdehaze.errors import ConfigError, SourceError, counted
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.video.planes import color_of, frame_from_av, working_format
from streamdehaze.video.protocols import Reader
from streamdehaze.video.pyav import fraction, frame_rate
from streamdehaze.video.readback.facts import StreamFacts, current_metadata
from streamdehaze.video.reading.bytes import Pipe
from streamdehaze.video.reading.companions import CompanionPackets
from streamdehaze.video.reading.decoding.decoder import Decoder
from streamdehaze.video.reading.decoding.deinterlace import Deinterlacer
from streamdehaze.video.reading.decoding.groups import GroupDecoder, Pictures
from streamdehaze.video.reading.decoding.h264 import whole_pictures
from streamdehaze.video.reading.demuxer import Demuxer, takes_rate
from streamdehaze.video.reading.encryption import encrypted, refuse_encrypted
from streamdehaze.video.reading.hdr import NoteReader
from streamdehaze.video.reading.open import (
    PROBED_SECONDS,
    HardwareDecoding,
    Kind,
    Media,
    demux,
    has_parameters,
    open_media,
    videos_of,
    what_is,
)
from streamdehaze.video.reading.options import Deinterlacing, OnDamage
from streamdehaze.video.reading.seek import from_keyframe_before, seek
from streamdehaze.video.reading.services import Service, service_of, services_of
from streamdehaze.video.reading.siting import chroma_location
from streamdehaze.video.reading.times.clock import Clock, has_decoding_times_only
from streamdehaze.video.reading.times.window import Window

log = logging.getLogger("streamdehaze")

_CHAPTER_TYPES = ("subtitle", "data")
"""Types of the track in which MOV and MP4 keep chapters."""
_MOST_DAMAGE = 0.5
"""Share of damaged pictures beyond which the result is not worth keeping (a wrong key, a broken decoder)."""
_FEW_PICTURES = 20
_INTRA_PICTURES = 8
"""Keyframes in a row at the beginning from which a film is taken to have nothing else."""


class FileSource(Reader):
    """Decodes the main video stream of a media file; time stamps are the stream's own integers.

    `origin` is where the file's clock starts, in seconds.
    Packets of the streams named in `collect` wait in `packets` for a sink that copies them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | IO[bytes],
        *,
        start: float | None = None,
        end: float | None = None,
        hwaccel: HardwareDecoding = "none",
        deinterlace: Deinterlacing = False,
        on_damage: OnDamage = "keep",
        at: Fraction | None = None,
        keep_clock: bool = False,
        stop: threading.Event | None = None,
        input_options: Mapping[str, str] | None = None,
        video_stream: int | None = None,
        rate: Fraction | str | None = None,
    ) -> None:
        """Open `path`: a file, "-" for standard input, an image sequence ("%05d.png") or a binary stream.

        Args:
            path: what to read.
            start, end, hwaccel, deinterlace, on_damage, input_options, video_stream, rate: see `ReadOptions`.
            at: begin with a picture at or before this instant of the file's own clock, in seconds; times stay.
            keep_clock: times stay in a window, too, and other videos keep what they are decoded from at its start.
            stop: once set, waiting for standard input ends with `Cancelled`.

        Raises:
            SourceError: if there is no video to read.
            ConfigError: if the window from `start` to `end` is empty.
        """
        self.options: dict[str, Any] = {
            "start": start, "end": end, "hwaccel": hwaccel, "deinterlace": deinterlace, "on_damage": on_damage,
        }  # fmt: skip
        """How it is read, as plain values."""
        if input_options:
            self.options["input_options"] = dict(input_options)
        if rate is not None:
            self.options["rate"] = str(rate)
            input_options = {"framerate": str(rate), **(input_options or {})}
        if video_stream is not None:
            self.options["video_stream"] = video_stream
        if keep_clock:
            self.options["keep_clock"] = True
        self._stop = stop
        self._input_options = input_options
        self._at = at
        self._on_damage = on_damage
        self.path = _path_of(path)
        """None for what can be read only once."""
        self._media = open_media(path, hwaccel, stop, input_options)
        self.container, self.name = self._media.container, self._media.name
        try:
            self.video = self._media.main_video(video_stream)
            if not has_parameters(self.video):
                refuse_encrypted(self.name)
                raise SourceError(
                    f"'{self.name}': the size of its {self.video.codec_context.name} pictures was not found in the "
                    f"first {PROBED_SECONDS} s; it is damaged, or cut before its first keyframe"
                )
            if hwaccel == "cuda" and not self.video.codec_context.is_hwaccel:
                raise SourceError(f"'{self.name}': CUDA has no decoder for {self.video.codec_context.name}")
            if rate is not None and not takes_rate(self.container.format.name):
                raise ConfigError(f"'{self.name}' has times of its own; --rate is for image sequences and raw streams")
            time_base = fraction(self.video.time_base) or Fraction(1, 1000)
            self.origin = _origin(self.container)
            self.window = Window.of(start, end, origin=self.origin, time_base=time_base, shifts=not keep_clock)
            self._log = self._find_log()
            self._notes = NoteReader.find(self.video, self.path, self.name)
        except Exception:
            self._media.close()
            raise
        self._decoder = Decoder(self.video, strict=on_damage != "keep")
        self.decoders = 1
        """How many decode H.264 side by side in software, of a file; set it before the first frame is read."""
        self.companions = [stream for stream in self.container.streams if self._is_companion(stream)]
        """All streams but the video and what is made again from its metadata."""
        self.others = [each for each in self.companions if each.discard != Discard.all or each.type == "attachment"]
        """Those whose packets FFmpeg hands out, or that have none."""
        self.chapters = self.window.chapters(self.container.chapters())
        self._companion_packets = CompanionPackets(self.window)
        self._time_base = time_base
        self.headless = 0
        """Video packets so far before the first keyframe."""
        self.leaves_grain_out = False
        """Whether film grain is left to the players of the output."""
        self._keyframe_seen = False
        self._deinterlacer = Deinterlacer(time_base, fields=deinterlace == "fields") if deinterlace else None
        self._frame_tick = time_base / 2 if deinterlace == "fields" else time_base
        self._rate = frame_rate(self.video) if rate is None else Fraction(rate)
        self._warned = {"spaced"} if rate is not None else set()
        self._clock = Clock(time_base, self._rate, self._warn_once)
        self._info = self._describe()
        self._begun = self._video_over = False
        self._demuxer = Demuxer(
            self.container,
            self.video,
            origin=self.origin,
            rate=None if rate is None else Fraction(rate),
            warn_once=self._warn_once,
            note_damage=self._note_damage,
        )
        self._no_pts = self._demuxer.is_spaced or has_decoding_times_only(self.container.format.name, self.info.codec)

    def reopen(self, *, at: Fraction | None = None) -> FileSource:
        """The same file again, from its beginning or from a picture `at` or before an instant of its own clock.

        Raises:
            SourceError: if it can be read only once, as a pipe, or no longer.
        """
        if self.path is None:
            raise SourceError(f"{self.name} can be read only once")
        again = FileSource(self.path, **self.options, at=at, stop=self._stop)
        again._warned, again.decoders = self._warned, self.decoders
        if self.leaves_grain_out:
            again.leave_grain_out()
        return again

    def leave_grain_out(self) -> None:
        """Have pictures decoded without the film grain that they ask for, as the output will ask for it again."""
        self.leaves_grain_out = True
        context = self.video.codec_context
        context.options = {**context.options, "export_side_data": "film_grain"}

    @property
    def has_odd_length(self) -> bool:
        """Whether it is cut off or its clock went back, as far as it was read, so that it is not as long as it says."""
        return not self._warned.isdisjoint(("reset", "cut off"))

    @property
    def has_free_clock(self) -> bool:
        """Whether its times count from an instant that means nothing, as those of transport streams do."""
        return self._demuxer.has_free_clock

    @property
    def begins(self) -> Fraction:
        """When the first of its streams begins on the clock of the frames, seconds."""
        return Fraction(0) if self.window.offset else self.origin

    @property
    def packets(self) -> deque[av.Packet[Stream]]:
        """Packets of the streams named in `collect`, in the order they were read; a sink takes them out."""
        return self._companion_packets.waiting

    @property
    def late(self) -> int:
        """Packets so far of streams that were not there yet when the file was opened, which are lost."""
        return self._demuxer.late

    def collect(self, streams: list[Stream], *, lead_in: bool = False) -> None:
        """Keep the packets of `streams` in `packets` from now on; the others are dropped.

        With `lead_in`, videos in them begin with what their first picture in the window is decoded from.
        """
        kept = self._companion_packets
        kept.wanted = frozenset(stream.index for stream in streams)
        if self.window.start is not None and (lead_in or self.options.get("keep_clock")):
            kept.led_in = frozenset(each.index for each in videos_of(self.container)) & kept.wanted

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Those of a transport stream from a file or pipe."""
        if isinstance(self._media.file, Pipe):
            return services_of(io.BytesIO(self._media.file.beginning))
        return services_of(self.path) if self.path is not None and os.path.isfile(self.path) else ()

    @property
    def service(self) -> Service:
        """That with the video."""
        return service_of(self.video, self.services)

    @property
    def tags(self) -> dict[str, str]:
        """What the file says of itself, and what the service with the video is called."""
        return {**self.container.metadata, **self.service.tags}

    @property
    def besides(self) -> list[str]:
        """Its other streams, time code, chapters and tags, as text."""
        found = [str(StreamFacts.of(stream)) for stream in self.companions]
        tags = {key.lower(): value for key, value in {**self.video.metadata, **self.tags}.items()}
        found += [f"time code {tags['timecode']}"] if "timecode" in tags else []
        found += [counted(len(self.chapters), "chapter")] if self.chapters else []
        others = sorted({key.lower() for key in current_metadata(self.tags)} - {"timecode"})
        return found + ([f"{'tags' if len(others) > 1 else 'tag'} {', '.join(others)}"] if others else [])

    @cached_property
    def chroma_location(self) -> str | None:
        """FFmpeg's name of where chroma samples lie; None if unknown, as for a pipe."""
        if self.path is None:
            return None
        try:
            with self._opened_again() as media:
                return chroma_location(media.container, media.container.streams[self.video.index])
        except (av.error.FFmpegError, OSError, ValueError) as error:
            log.debug("%s: %s", self.name, error)
            return None

    def first_packet(self, stream: Stream) -> bytes:
        """The first packet of a stream, read ahead: a cover's is its file; b"" from a pipe."""
        return bytes(next(iter(self._ahead(stream, 1)), b""))

    def block_bit_rate(self, stream: Stream) -> int | None:
        """Bits a second of sound in blocks of one size, by the first of them; None from a pipe.

        What headers say of it is often nominal; AVI files are timed by it.
        """
        for packet in self._ahead(stream, 1):
            if seconds := (packet.duration or 0) * fraction(packet.time_base):
                return round(packet.size * 8 / seconds)
        return None

    @property
    def is_intra(self) -> bool:
        """Whether no picture refers to another one, as in what is recorded for editing; False from a pipe."""
        first = self._ahead(self.video, _INTRA_PICTURES)
        return len(first) > 1 and all(packet.is_keyframe for packet in first)

    def _ahead(self, stream: Stream, count: int) -> list[Packet[Any]]:
        """The first packets of a stream; none from a pipe."""
        if self.path is None:
            return []
        with self._opened_again() as media:
            packets = demux(media.container, media.container.streams[stream.index])
            return list(itertools.islice((packet for packet in packets if packet.size), count))

    def __iter__(self) -> Iterator[Frame]:
        """The frames in presentation order, once.

        Raises:
            SourceError: if not a single one can be decoded.
        """
        with contextlib.closing(self._decoded()) as items:
            yield from self._frames(items)

    def _frames(self, items: Iterator[tuple[av.Packet[Any], Pictures]]) -> Iterator[Frame]:
        decoded = yielded = 0
        for packet, pictures in self._walk(items):
            if packet.stream_index != self.video.index or self._video_over:
                continue
            for picture, pts in self._placed(packet, pictures):
                decoded += 1
                if self.window.after(pts, self._frame_tick):
                    self._video_over = True
                    break
                if not self.window.before(pts, self._frame_tick):
                    yielded += 1
                    shifted = self.window.shift(pts, self._frame_tick)
                    yield frame_from_av(picture, pts=shifted, time_base=self._frame_tick, log=self._log)
        self._conclude(decoded, yielded)

    def read_beside(self) -> Iterator[Fraction]:
        """Read the file once without decoding it, for the packets of collected streams; yields how far, in seconds.

        The instants are decoding times on the clock of the result.
        """
        for packet, _ in self._walk((packet, None) for packet in self._read()):
            if packet.stream_index == self.video.index:
                instant = packet.pts if packet.pts is not None else packet.dts
                self._video_over |= instant is not None and self.window.after(instant, self._time_base)
            yield self._demuxer.until - self.window.offset

    def _read(self) -> Iterator[av.Packet[Stream]]:
        """Every packet from the window's start on."""
        beginning = self.window.start if self._at is None else self._at
        if self._demuxer.is_spaced:
            beginning = None  # times are counted from the first packet on
        sought = False
        if beginning is not None and not self.has_free_clock:
            others = [each for each in videos_of(self.container) if each.index in self._companion_packets.led_in]
            sought = seek(
                self.container, self.video, beginning,
                origin=self.origin, time_base=self._time_base, others=others,
            )  # fmt: skip
        packets = whole_pictures(self._demuxer.packets(), self.video, sought=sought)
        if beginning is not None and self.has_free_clock:
            packets = from_keyframe_before(packets, self.video.index, beginning)
        for packet in packets:
            if packet.has_sidedata("encryption_info"):
                raise encrypted(self.name)
            self._demuxer.space(packet)
            yield packet

    def _decoded(self) -> Generator[tuple[av.Packet[Any], Pictures], None, None]:
        """Every packet from the window's start on, those of the video with their pictures."""
        number, context = self.video.index, self.video.codec_context
        options, flags = dict(context.options), context.flags  # PyAV empties them when it opens the context

        def another() -> Decoder:
            with self._opened_again() as media:
                video = media.main_video(number)
                video.codec_context.options, video.codec_context.flags = options, flags
                return Decoder(video)

        packets = self._read() if self._notes is None else self._notes.mark(self._read(), number)
        is_file = self.path is not None and os.path.isfile(self.path)
        if self.decoders > 1 and self._decoder.has_one_thread and is_file:
            return GroupDecoder(self._decoder, another, self.video, self.decoders, self._stop).pictures(packets)
        return (
            (packet, self._decoder.decode(packet) if packet.stream_index == number and not self._video_over else None)
            for packet in packets
        )

    def _opened_again(self) -> contextlib.closing[Media]:
        """The file from its beginning, to look for one thing."""
        assert self.path is not None
        return contextlib.closing(open_media(self.path, options=self._input_options))

    def _walk(
        self, items: Iterator[tuple[av.Packet[Stream], Pictures]]
    ) -> Iterator[tuple[av.Packet[Stream], Pictures]]:
        """What was read up to the window's end, once; packets of collected streams are kept on the way."""
        if self._begun:
            raise RuntimeError("a FileSource is read once; open the file again")
        self._begun = True
        waiting = {s.index for s in self.others if s.type == "audio"} & self._companion_packets.wanted
        for packet, pictures in items:
            if packet.stream_index == self.video.index:
                self._keyframe_seen |= packet.is_keyframe
                self.headless += not self._keyframe_seen and packet.size > 0
            elif self._companion_packets.take(packet):
                waiting.discard(packet.stream_index)
            yield packet, pictures
            if self._video_over and not waiting:
                break

    def _warn_once(self, key: str, message: str, *values: object) -> None:
        if key not in self._warned:
            self._warned.add(key)
            log.warning(f"%s: {message}", self.name, *values)

    def close(self) -> None:
        """Close the file; packets and frames already handed out stay valid."""
        self._media.close()

    def _is_companion(self, stream: Stream) -> bool:
        """Whether a stream goes with the video: not itself, nor one FFmpeg turned into chapters or metadata."""
        if stream.index == self.video.index:
            return False
        if stream.type == "data" and "timecode" in stream.metadata and "timecode" in self.video.metadata:
            return False  # a QuickTime time code track, which the muxer makes again from the metadata
        has_chapters = stream.discard == Discard.all and stream.type in _CHAPTER_TYPES and self.container.chapters()
        return not has_chapters

    def _find_log(self) -> str:
        """The log curve that the camera noted in the file, or next to it."""
        named = curve_of_tags({**self.video.metadata, **self.container.metadata})
        return named or ("" if self.path is None else curve_of_sidecar(Path(self.path)))

    def _describe(self) -> VideoInfo:
        context = self.video.codec_context
        software = context.sw_format if context.is_hwaccel else context.format
        seconds = self._duration()
        doubled = 2 if self._frame_tick != self._time_base else 1
        if seconds is not None and self.window.trims:
            last = seconds if self.window.end is None else min(seconds, self.window.end - self.origin)
            first = 0 if self.window.start is None else self.window.start - self.origin
            seconds = max(last - first, Fraction(0))
        return VideoInfo(
            width=context.width,
            height=context.height,
            pixel_format=working_format(software.name) if software is not None else "yuv420p",
            average_rate=None if self._rate is None else self._rate * doubled,
            time_base=self._frame_tick,
            frame_count=None if self.window.trims else self.video.frames * doubled or None,
            duration_seconds=None if seconds is None else float(seconds),
            codec=context.codec.canonical_name,
            color=replace(color_of(context), log=self._log),
        )

    def _duration(self) -> Fraction | None:
        if self.video.duration:
            return self.video.duration * self._time_base
        return Fraction(self.container.duration, av.time_base) if self.container.duration else None

    def _placed(self, packet: av.Packet[Any], pictures: Pictures) -> Iterator[tuple[av.VideoFrame, int]]:
        """Pictures that came out with a packet and their times on the file's own clock; the last packet is empty."""
        last = not packet.size
        if self._no_pts and packet.dts is not None:
            self._clock.expect(packet.dts)
        if pictures is None:
            self._clock.skip()
            self._note_damage(packet.dts if packet.dts is not None else packet.pts)
        for picture, pts in self._clock.place(pictures or [], last=last):
            if self._decoder.is_damaged(picture):
                self._note_damage(pts)
                if self._on_damage == "skip":
                    continue
            if self._deinterlacer is None:
                yield picture, pts
            else:
                picture.pts = pts
                yield from self._deinterlacer.feed(picture)
        if last and self._deinterlacer is not None:
            yield from self._deinterlacer.finish()

    def _note_damage(self, ticks: int | None = None) -> None:
        """Count damage at an instant of the video, or at the end of what was read so far."""
        self.damaged += 1
        if self._on_damage == "stop":
            instant = self._demuxer.until if ticks is None else ticks * self._time_base
            place = f"near {float(instant - self.origin):.3f} s"
            raise SourceError(f"'{self.name}' is damaged {place}; continue with --on-damage keep or skip")

    def _conclude(self, decoded: int, yielded: int) -> None:
        if decoded == 0 and (self.damaged or not self.window.trims):
            refuse_encrypted(self.name)
            hint = ""
            if self.path is None and "mov" in self.container.format.name:
                hint = "; its index is at its end, which a pipe cannot seek to; give the file name instead"
            raise SourceError(f"'{self.name}': not one frame of its {self.info.codec} video could be decoded{hint}")
        if self.damaged > _MOST_DAMAGE * max(decoded, _FEW_PICTURES) and self._on_damage == "keep":
            raise SourceError(
                f"'{self.name}': {self.damaged} of {decoded} frames are damaged, too many for a film; "
                "--on-damage skip keeps the others"
            )
        if yielded == 0:
            raise SourceError(f"'{self.name}' has no frames between --start and --end")
        if self.damaged:
            done = "skipped" if self._on_damage == "skip" else "skipped or concealed"
            places = "1 damaged place was" if self.damaged == 1 else f"{self.damaged} damaged places were"
            log.warning("%s: %s %s", self.name, places, done)
        if not self.window.trims and self._ends_early():
            self._warn_once("cut off", "the file is cut off and ends early; everything in it was read")

    def _ends_early(self) -> bool:
        if "mov" in self.container.format.name and self.video.frames and self._at is None:  # it lists every packet
            return self._demuxer.pictures < self.video.frames
        if not self.container.duration:
            return False
        return self._demuxer.until < Fraction(self.container.duration, av.time_base) - 1


def _path_of(media: str | os.PathLike[str] | IO[bytes]) -> str | None:
    return os.fspath(media) if isinstance(media, str | os.PathLike) and what_is(media) is not Kind.PIPE else None


def _origin(container: InputContainer) -> Fraction:
    """Where the file's clock starts: the earliest start of a stream, exactly."""
    starts = [s.start_time * s.time_base for s in container.streams if s.start_time is not None and s.time_base]
    if starts:
        return min(starts)
    return Fraction(container.start_time or 0, av.time_base)

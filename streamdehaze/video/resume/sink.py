"""A video file written in segments that outlive the process, and joined once the last one is finished."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from streamdehaze.errors import Cancelled, SinkError, SourceError
from streamdehaze.frame import Frame
from streamdehaze.video.packets import EncodedPacket, PacketFile, read_packets
from streamdehaze.video.readback.check import ReadBack
from streamdehaze.video.readback.facts import SAMPLED_PICTURES
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.resume.cut import Cut, Cutter
from streamdehaze.video.resume.manifest import (
    FileIdentity,
    Manifest,
    Segment,
    plain,
    segment_file,
    write_manifest,
    write_state,
)
from streamdehaze.video.resume.spans import SpanCutter, Spans
from streamdehaze.video.resume.unfinished import WorkFolder, part_folder, sweep
from streamdehaze.video.writing.encoding.codecs import ONE_ENCODER_RUN
from streamdehaze.video.writing.encoding.encode import StreamSetup, VideoEncoder
from streamdehaze.video.writing.encoding.encoding import EncodeOptions, grid_rate
from streamdehaze.video.writing.file import asked_of, encoding_for, leave_grain_out
from streamdehaze.video.writing.mux import Muxer, carry_boxes
from streamdehaze.video.writing.passthrough import Passthrough
from streamdehaze.video.writing.publish import OutputPlan, Writer
from streamdehaze.video.writing.target import FileTarget

SEGMENT_SECONDS = 60.0
"""Shortest segment, seconds of video; a file that is not longer is written in one go."""


def worth_segments(
    path: str | os.PathLike[str], source: FileSource, container: str | None, segment_seconds: float
) -> bool:
    """Whether an output is written in segments: a file made of a file that is longer than one of them."""
    if not segment_seconds or os.fspath(path) == "-" or source.path is None or not os.path.isfile(source.path):
        return False
    if os.path.exists(path) and not os.path.isfile(path):
        return False
    if container in ONE_ENCODER_RUN or Path(path).suffix.lower() in (".gif", ".apng", ".y4m"):
        return False
    seconds = source.info.duration_seconds
    return seconds is None or seconds > segment_seconds or part_folder(path).exists()


class SegmentFileSink(Writer):
    """Encodes a long video in segments, each by an encoder run of its own, into the folder NAME.part.

    Once all are finished, they are joined without encoding anything again: their packets are muxed with the source's
    other streams, chapters and attachments, and the file gets its final name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: FileSource,
        *,
        encode: EncodeOptions | None = None,
        overwrite: bool = False,
        container: str | None = None,
        seconds: float = SEGMENT_SECONDS,
        resume: bool = True,
        stop: threading.Event | None = None,
    ) -> None:
        """Get ready to write `path`; `take_up` comes first, then the frames.

        Args:
            path: the file to write; its extension chooses the container.
            source: the file the frames come from; all its other streams are copied.
            encode: the encoder and its settings.
            overwrite: replace a file that is there already.
            container: FFmpeg's name of the container format; overrides the file extension.
            seconds: of video in a segment, at least.
            resume: continue the work that an earlier run left; else that is removed.
            stop: once set, joining ends with `Cancelled`.

        Raises:
            SinkError: if the file cannot be written there or no encoder fits; before any work is done.
            SourceError: if the source is not a file.
        """
        sweep(path)
        self._target = FileTarget.of(path, container, overwrite, source.path, source.container.format.name)
        super().__init__(self._target.name)
        self._path = Path(path)
        self._source = source
        self._encoding = encoding_for(source, self._target, encode)
        leave_grain_out(source, self._encoding)
        self._spans = Spans.of(source, seconds)
        self._resume = resume
        self._stop = stop or threading.Event()
        self._unread = source.reopen()
        asked = asked_of(source, encode)
        self._passthrough = Passthrough(self._unread, self._target.format, asked.audio)
        self._read_back = ReadBack(self._name, source, asked, self._target.format, self._passthrough)
        self.losses = self._read_back.losses
        self._work: WorkFolder | None = None
        self._segment: OpenSegment | None = None

    @property
    def frames(self) -> int:
        """Frames written so far, by earlier runs too."""
        finished = 0 if self._work is None else self._work.manifest.frames
        return finished + (0 if self._segment is None else self._segment.frames)

    @property
    def ended(self) -> bool:
        """Whether an earlier run finished the last frame, and only the joining is left."""
        return self._work is not None and self._work.manifest.ended

    def take_up(self, settings: Mapping[str, object]) -> Cut | None:
        """Begin the work, or continue what an earlier run left: the cut after which the next frame is wanted.

        Args:
            settings: all that decides what the frames look like, as plain values.

        Raises:
            SinkError: if the folder cannot be used, another run does, or it holds work on another input or with
                other settings.
        """
        with self._working():
            fresh = self.describe({**settings, "segment_seconds": float(self._spans.seconds)})
            self._work = work = WorkFolder(part_folder(self._path), self._name, fresh, resume=self._resume)
            return work.reached()

    def cutter(self, begin: Cut | None, *, remembers: bool) -> Cutter:
        """See `SegmentSink.cutter`."""
        return SpanCutter(self._spans, remembers=remembers, begin=begin)

    def describe(self, settings: Mapping[str, object]) -> Manifest:
        """What segments are made of, without any.

        Args:
            settings: all that decides what the frames look like, as plain values.

        Raises:
            SourceError: if the input cannot be read.
        """
        encoding = self._encoding
        return Manifest(
            input=os.fsencode(os.path.abspath(self._source.name)).decode(errors="replace"),
            identity=self._identity(),
            settings=plain(
                {
                    **settings,
                    **self._source.options,
                    "container": self._target.format,
                    "encoder": encoding.encoder.name,
                    "pixel_format": encoding.pixel_format,
                    "encoder_options": dict(encoding.options),
                }
            ),
        )

    def adopt(self, manifest: Manifest) -> None:
        """Take segments that were made apart; `close` joins them.

        Raises:
            SinkError: if the folder cannot be used, another run does, or a segment is missing or damaged.
        """
        with self._working():
            write_manifest(part_folder(self._path), manifest)
            self._work = WorkFolder(part_folder(self._path), self._name, manifest, resume=True)
            if self._work.manifest.segments != manifest.segments:
                number = len(self._work.manifest.segments)
                raise SinkError(f"segment {number} of {self._name} is missing or damaged; make it again")

    def cut(self, cut: Cut) -> None:
        """End the segment; what came before is safe from now on.

        Raises:
            SinkError: if it cannot be written.
        """
        with self._working():
            self._finish_segment(cut)

    def _write(self, frame: Frame) -> None:
        if self._segment is None:
            self._segment = self._begin_segment()
        self._segment.write(frame)

    def _finish(self) -> None:
        self._finish_segment(None)
        work = self._work
        if work is None or not work.manifest.segments:
            raise SinkError(f"no frame reached {self._name}, so it was not written")
        if not work.manifest.identity.same_content(self._identity()):
            raise SourceError(
                f"'{self._source.name}' changed while it was worked on; once it stays as it is, start over with "
                "--no-resume"
            )
        joined = work.path / f"joined.part{self._path.suffix}"
        self._partials[joined] = self._path
        self._join(work, joined)
        work.about_to_publish(joined)

    def _release(self, *, published: bool) -> None:
        """Finished segments of an output that is given up stay for another run."""
        with contextlib.suppress(OSError):
            if self._segment is not None:
                self._segment.packets.abort()
        self._unread.close()
        if self._work is not None:
            self._work.leave(done=published)

    def _identity(self) -> FileIdentity:
        try:
            return FileIdentity.of(self._source.name)
        except OSError as error:
            raise SourceError(f"'{self._source.name}' cannot be read: {error.strerror}") from error

    @cached_property
    def _setup(self) -> StreamSetup:
        """What the video's first picture decides for all segments, whichever of them is written here."""
        with closing(self._source.reopen()) as again:
            first, *more = itertools.islice(again, SAMPLED_PICTURES)
        setup = self._setup_for(first)
        self._read_back.see(first)
        self._read_back.rehearse(setup, first)
        for frame in more:
            self._read_back.see(frame)
        return setup

    def _setup_for(self, first: Frame) -> StreamSetup:
        rate = grid_rate(self._source.info.average_rate)
        return StreamSetup.of(self._name, self._target.format, first, self._encoding, rate, self._source)

    def plan(self, frame: Frame) -> OutputPlan:
        """How the output would be written; nothing is."""
        encoding = self._setup.encoding
        return OutputPlan(encoding.encoder.name, encoding.pixel_format, self._passthrough.in_words, tuple(self.losses))

    def _begin_segment(self) -> OpenSegment:
        if self._work is None:
            raise RuntimeError("take_up comes before the first frame")
        segments = self._work.manifest.segments
        encoder = VideoEncoder(self._setup, last_pts=segments[-1].last_pts if segments else None)
        return OpenSegment(encoder, PacketFile(segment_file(self._work.path, len(segments))))

    def _finish_segment(self, cut: Cut | None) -> None:
        work, segment = self._work, self._segment
        if work is None or segment is None:
            return
        segments = work.manifest.segments
        made = segment.finish(work.manifest.frames)
        if segments and segments[0].header_hash != made.header_hash:
            raise SinkError(
                f"the encoder {self._encoding.encoder.name} does not make segments that can be joined; "
                "write in one go with --segment-seconds 0"
            )
        end = None if cut is None else write_state(work.path, len(segments), cut)
        work.add(made.model_copy(update={"end": end}))
        self._segment = None

    def _join(self, work: WorkFolder, joined: Path) -> None:
        """Mux the packets of all segments and of the source's other streams into the file `joined`."""
        missing = work.manifest.size_bytes - shutil.disk_usage(work.path).free
        if missing > 0:
            raise SinkError(f"{self._name} cannot be joined: its disk needs {missing / 1e6:.0f} MB more of free space")
        setup = self._setup
        muxer = Muxer(self._target.open(joined, setup.container_options), setup, self._passthrough)
        try:
            delay = setup.delay * setup.tick
            reading = self._unread.read_beside()
            reached = next(reading, None)
            for packet in _packets(work, setup):
                if self._stop.is_set():
                    raise Cancelled("stopped while the segments were joined")
                while packet.dts is not None and reached is not None and reached + delay <= packet.dts * setup.tick:
                    reached = next(reading, None)
                muxer.write([packet.packet()])
            for _ in reading:
                muxer.write()
            muxer.close()
            hevc = self._encoding.encoder.units == "hevc"
            carry_boxes(self._source, joined, self._target.format, hevc=hevc)
            self._read_back.check(joined, work.manifest.frames)
        except BaseException:
            muxer.output.give_up()
            raise


class OpenSegment:
    """A segment being written."""

    def __init__(self, encoder: VideoEncoder, packets: PacketFile) -> None:
        self.encoder, self.packets = encoder, packets
        self.frames = 0

    def write(self, frame: Frame) -> None:
        """Encode a frame."""
        self.packets.write(map(EncodedPacket.of, self.encoder.encode(frame)))
        self.frames += 1

    def finish(self, first_frame: int) -> Segment:
        """Write the last packets; what is noted of the segment, without the cut it ends with."""
        if self.frames:
            self.packets.write(map(EncodedPacket.of, self.encoder.flush()))
        digest = self.packets.finish()
        return Segment(
            first_frame=first_frame,
            frames=self.frames,
            first_pts=self.encoder.first_pts,
            last_pts=self.encoder.last_pts,
            size_bytes=self.packets.size_bytes,
            hash=digest,
            header_hash=hashlib.blake2b(self.encoder.header, digest_size=16).hexdigest(),
            end=None,
        )


def _packets(work: WorkFolder, setup: StreamSetup) -> Iterator[EncodedPacket]:
    """The packets of all segments; decoding times grow across the seams, too."""
    earliest: int | None = None
    for number in range(len(work.manifest.segments)):
        for packet in read_packets(segment_file(work.path, number), setup.tick):
            dts = packet.pts if packet.dts is None else packet.dts
            if dts is not None:  # the encoder's delay reaches back across the seam
                dts = dts if earliest is None else max(dts, earliest)
                earliest = dts + 1
            yield replace(packet, dts=dts)

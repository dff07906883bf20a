"""An output compared with its input: by a rehearsal before the work, and by reading the file back after it."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Container, Iterable
from dataclasses import replace
from pathlib import Path

import av
import av.error

from streamdehaze.errors import SourceError
from streamdehaze.frame import Frame
from streamdehaze.video.pyav import ANY_METADATA, fraction
from streamdehaze.video.readback.boxes import camera_boxes
from streamdehaze.video.readback.compare import Asked, Difference, differences
from streamdehaze.video.readback.facts import (
    FILM_GRAIN,
    SAMPLED_PICTURES,
    FileFacts,
    PictureFacts,
    read_facts,
)
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.syntax.sei import PictureNotes
from streamdehaze.video.writing.containers import Output, holds_aac
from streamdehaze.video.writing.encoding.codecs import MOV_FAMILY, WITHOUT_TIMES
from streamdehaze.video.writing.encoding.encode import UNEVEN, StreamSetup
from streamdehaze.video.writing.encoding.encoding import Encoding
from streamdehaze.video.writing.mux import Companions, Muxer
from streamdehaze.video.writing.passthrough import Passthrough

log = logging.getLogger("streamdehaze")

_SAID_BEFORE = frozenset({"codec", "pixel format"})
"""Topics of which a warning was given when the encoder was chosen."""
_UNREADABLE = (av.error.FFmpegError, OSError, ValueError)


class ReadBack:
    """Finds out what of a file's input an output lacks, and warns of each thing once.

    Reading back costs a header, the first pictures, and in containers without an index of all packets a pass over them.

    Args:
        name: of the output, for messages.
        source: the input.
        asked: what the user asked to be different.
        container_format: FFmpeg's name of the output's.
        companions: the streams that are copied.
    """

    def __init__(
        self, name: str, source: FileSource, asked: Asked, container_format: str, companions: Passthrough
    ) -> None:
        self._name, self._source, self._asked = name, source, asked
        self.companions = companions
        """The streams that are copied."""
        self._keeps_times = container_format not in WITHOUT_TIMES
        self._noted: set[str] = set()
        self._sound_remedy = _sound_remedy(asked, container_format)
        self._pictures = PictureFacts(kinds=_hidden_kinds(source))
        self._seen = 0
        self._unread = _unread(source)
        self.losses: list[str] = []
        """What the output lacks, as text, as far as is known."""

    def see(self, frame: Frame) -> None:
        """Look at a frame that is written; the first few count."""
        if self._seen < SAMPLED_PICTURES and isinstance(frame.opaque, av.VideoFrame):
            aspect = fraction(self._source.video.sample_aspect_ratio)
            self._pictures = self._pictures.and_of(frame.opaque, aspect)
            notes = frame.opaque.opaque
            if isinstance(notes, PictureNotes) and notes.film_grain:
                self._pictures = replace(self._pictures, kinds=self._pictures.kinds | {FILM_GRAIN})
            self._seen += 1

    def rehearse(self, setup: StreamSetup, frame: Frame) -> None:
        """Write header and first picture into memory, and name what is lost by that, before the work begins."""
        self._noted = setup.warned
        try:
            quick = replace(setup, encoding=_quickest(setup.encoding))
            after = _rehearsed(quick, frame, self.companions, self.companions.place)
        except _UNREADABLE as error:
            log.debug("%s: no rehearsal: %s", self._name, error)
            self.name(setup.undecoded)
            return
        accepted = {stream.index for stream in self.companions.accepted}
        if setup.format in MOV_FAMILY:  # which get these when they are finished
            held = after.pictures.kinds | (self._pictures.kinds & {"STEREO3D", "SPHERICAL"})
            after = replace(after, pictures=replace(after.pictures, kinds=held))
        self._compare(after, setup.undecoded, whole=False, accepted=accepted)

    def check(self, path: Path, frames: int) -> None:
        """Read the finished file `path` of `frames` frames back, and name what is lost."""
        self.name(self.companions.missing)
        try:
            after = read_facts(f"file:{path}", video=self.companions.place, count=True)
        except _UNREADABLE as error:
            self.name([f"what FFmpeg could read back ({getattr(error, 'strerror', None) or error})"])
            return
        if 0 < after.video.samples < frames:
            self.name([f"{frames - after.video.samples} of {frames} frames"])
        uneven = ["the times of frames that come unevenly"] * (UNEVEN in self._noted)
        self._compare(after, uneven, whole=True)

    def name(self, lost: Iterable[str], *, silent: frozenset[str] = frozenset()) -> None:
        """Warn of things that are lost, and note them; each once."""
        for each in lost:
            if each not in self.losses:
                self.losses.append(each)
                if each not in silent:
                    log.warning("not kept in %s: %s", self._name, each)

    def _compare(
        self, after: FileFacts, undecoded: Iterable[str], *, whole: bool, accepted: Container[int] = ()
    ) -> None:
        source = self._source
        pictures = self._pictures if self._seen else after.pictures  # nothing is known of frames from elsewhere
        before = FileFacts.of(source.container, source.video, pictures, source.companions, source.tags)
        if not after.format.startswith("mov"):  # which has an index to compare with that of the input
            written = self.companions.written
            streams = tuple(replace(each, packets=written[each.index]) for each in before.streams)
            before = replace(before, streams=streams)
        rate = None if self._keeps_times else source.info.average_rate
        before = replace(before, rate=rate, chroma_location=source.chroma_location)
        asked = replace(self._asked, shortened=True) if source.has_odd_length else self._asked
        asked = replace(asked, headless=source.headless > 0)
        found: list[Difference] = differences(before, after, asked, whole=whole, accepted=accepted,
                                              sound_remedy=self._sound_remedy)  # fmt: skip
        silent = frozenset(each.text for each in found if each.topic in _SAID_BEFORE)
        self.name([*(each.text for each in found), *undecoded, *self._unread], silent=silent)


def _unread(source: FileSource) -> list[str]:
    """What FFmpeg does not show of the input, as text.

    Raises:
        SourceError: if it cannot be read any more.
    """
    path = source.path
    if path is None or not os.path.isfile(path):
        return []
    try:
        lost = camera_boxes(path)
        if len(source.services) > 1:
            names = ", ".join(service.name or str(service.number) for service in source.services)
            lost.append(f"the division into {len(source.services)} services ({names}); all streams are in one")
    except OSError as error:
        raise SourceError(f"'{source.name}' cannot be read ({error.strerror})") from error
    return lost


def _hidden_kinds(source: FileSource) -> frozenset[str]:
    """The kinds of data of pictures that a decoder uses up: how grain is to be drawn, in AV1."""
    if source.info.codec == "av1" and source.path is not None and os.path.isfile(source.path):
        try:
            return read_facts(f"file:{source.path}", 1).pictures.kinds & {FILM_GRAIN}
        except _UNREADABLE as error:
            log.debug("%s: %s", source.name, error)
    return frozenset()


def _sound_remedy(asked: Asked, container_format: str) -> str:
    """What keeps sound that a container does not hold, as text."""
    remedies = ["--audio-codec aac converts it"] * (asked.audio == "copy" and holds_aac(container_format))
    remedies += ["a .mkv file holds it"] * (container_format != "matroska")
    return ", ".join(remedies)


def _quickest(encoding: Encoding) -> Encoding:
    """For a picture whose looks do not matter: as the work needs it, x264 takes 0.3 s to set up for one of 4K."""
    if encoding.encoder.name not in ("libx264", "libx264rgb", "libx265"):
        return encoding
    return replace(encoding, options={**encoding.options, "preset": "ultrafast"})


def _rehearsed(setup: StreamSetup, frame: Frame, companions: Companions, place: int) -> FileFacts:
    """The facts about a file of one picture, made and read in memory; the video is its `place`-th, from 0."""
    memory = io.BytesIO()
    memory.name = "rehearsal"
    container = av.open(memory, "w", format=setup.format, container_options=setup.container_options, **ANY_METADATA)
    muxer = Muxer(Output(container, memory=memory), setup, companions)
    try:
        for packet in (*muxer.encoder.encode(frame), *muxer.encoder.flush()):
            packet.stream = muxer.encoder.muxed
            container.mux_one(packet)  # and no packet of the companions: their headers are enough
        muxer.output.close()
    except BaseException:
        muxer.output.give_up()
        raise
    memory.seek(0)
    return read_facts(memory, pictures=1, video=place)

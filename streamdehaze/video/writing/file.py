"""A video file being written: the pictures encoded, everything else copied from the source."""

from __future__ import annotations

import logging
import os
from dataclasses import replace

from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.video.picture.film import said_by, time_code_of
from streamdehaze.video.picture.formats import told_by
from streamdehaze.video.picture.sequence import SequenceSource
from streamdehaze.video.protocols import Source
from streamdehaze.video.readback.check import ReadBack
from streamdehaze.video.readback.compare import Asked
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.writing.encoding.choose import choose_encoding
from streamdehaze.video.writing.encoding.codecs import dnxhd_kind
from streamdehaze.video.writing.encoding.constant import ConstantRate
from streamdehaze.video.writing.encoding.encode import StreamSetup
from streamdehaze.video.writing.encoding.encoding import EncodeOptions, Encoding, Pictures, grid_rate
from streamdehaze.video.writing.mux import Companions, Muxer, carry_boxes
from streamdehaze.video.writing.passthrough import Passthrough
from streamdehaze.video.writing.publish import OutputPlan, Writer
from streamdehaze.video.writing.target import FileTarget

log = logging.getLogger("streamdehaze")

_WITH_GRAIN = frozenset({"h264", "hevc"})
"""Codecs whose film grain is kept; of AV1, no encoder here takes its parameters."""
_WITH_INTRA = frozenset({"h264", "hevc", "mpeg2video"})
"""Codecs whose pictures mostly refer to others, and in some cameras' files do not."""
_WITH_TIME_CODE = frozenset({"mov", "mxf", "matroska"})
"""Containers in which FFmpeg writes down when a film begins."""
_FOR_BROADCAST = frozenset({"mxf", "mxf_d10", "mov"})
"""Containers in which a constant bit rate stays one; others take a constant quality."""


class FileSink(Writer):
    """Encodes frames into a file and copies the source's other streams alongside.

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
            path: the file to write; its extension chooses the container.
            source: where the frames come from; of a `FileSource`, all other streams are copied, of a `Clip`, its sound.
            encode: the encoder and its settings.
            overwrite: replace a file that is there already.
            container: FFmpeg's name of the container format; overrides the file extension (standard output is
                "matroska" otherwise).

        Raises:
            SinkError: if the file cannot be written there or no encoder fits; before any work is done.
        """
        self._source = source if isinstance(source, FileSource) else None
        self._target = FileTarget.of(
            path,
            container,
            overwrite,
            None if self._source is None else self._source.path,
            None if self._source is None else self._source.container.format.name,
        )
        super().__init__(self._target.name)
        self._overwrite = overwrite
        self._rate = grid_rate(source.info.average_rate)
        self._encoding = encoding_for(source, self._target, encode)
        self._companions: Companions | None = source if isinstance(source, Companions) else None
        self._read_back: ReadBack | None = None
        if self._source is not None:
            asked = asked_of(self._source, encode)
            leave_grain_out(self._source, self._encoding)
            self._companions = companions = Passthrough(self._source, self._target.format, asked.audio)
            self._read_back = ReadBack(self._name, self._source, asked, self._target.format, companions)
            self.losses = self._read_back.losses
        self._time_code = ""
        if isinstance(source, SequenceSource):
            self._time_code = time_code_of(source.metadata.film) if self._target.format in _WITH_TIME_CODE else ""
            self._name_losses(source, encode)
        self.frames = 0
        """Frames written so far."""
        self._muxer: Muxer | None = None

    def plan(self, frame: Frame) -> OutputPlan:
        """How the output would be written, from the input's first frame; nothing is."""
        self._setup_for(frame)
        copied = () if self._read_back is None else self._read_back.companions.in_words
        return OutputPlan(self.encoder, self.pixel_format, copied, tuple(self.losses))

    @property
    def encoder(self) -> str:
        """FFmpeg's name of the encoder in use."""
        return self._encoding.encoder.name

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the pixel format that is encoded."""
        return self._encoding.pixel_format

    def _write(self, frame: Frame) -> None:
        if self._muxer is None:
            self._muxer = self._begin(frame)
        elif self._read_back is not None:
            self._read_back.see(frame)
        self._muxer.write(self._muxer.encoder.encode(frame))
        self.frames += 1

    def _finish(self) -> None:
        if self._muxer is None:
            raise SinkError(f"no frame reached {self._name}, so it was not written")
        self._muxer.write(self._muxer.encoder.flush())
        self._muxer.close()
        if self._target.path is not None and not self._overwrite:
            self._refuse_existing(self._target.path)
        if self._read_back is not None and self._source is not None:
            for partial in self._partials:
                hevc = self._encoding.encoder.units == "hevc"
                carry_boxes(self._source, partial, self._target.format, hevc=hevc)
                self._read_back.check(partial, self.frames)

    def _release(self, *, published: bool) -> None:
        if self._muxer is not None and not published:
            self._muxer.output.give_up()

    def _name_losses(self, source: SequenceSource, encode: EncodeOptions | None) -> None:
        """Name what a film does not keep of the files of single pictures."""
        info, metadata = source.info, source.metadata
        lost = [*metadata.left_out, *told_by(metadata)]
        if said := said_by(metadata.film):
            lost.append(said.replace("time code, ", "") if self._time_code else said)
        for each in lost:
            log.warning("not kept in %s: %s", self._name, each)
        if self.pixel_format != info.pixel_format and (encode is None or encode.pixel_format is None):
            lost.append(f"pixel format {info.pixel_format} (now {self.pixel_format})")  # of which a warning was given
        self.losses += lost

    def _setup_for(self, frame: Frame) -> StreamSetup:
        target = self._target
        setup = StreamSetup.of(target.name, target.format, frame, self._encoding, self._rate, self._source)
        setup = replace(setup, time_code=self._time_code)
        if self._read_back is not None:
            self._read_back.see(frame)
            self._read_back.rehearse(setup, frame)
        return setup

    def _begin(self, frame: Frame) -> Muxer:
        target, setup = self._target, self._setup_for(frame)
        partial = None if target.path is None else self._partial(target.path)
        muxer = Muxer(target.open(partial, setup.container_options), setup, self._companions)
        settings = " ".join(f"{key}={value}" for key, value in self._encoding.options.items())
        log.info("%s: encoder %s, pixel format %s, %s", target.name, self.encoder, self.pixel_format, settings)
        return muxer


def encoding_for(source: Source, target: FileTarget, encode: EncodeOptions | None) -> Encoding:
    """The encoder for the pictures of `source` in the container of `target`.

    Raises:
        SinkError: if there is none that fits.
    """
    info = source.info
    rate = grid_rate(info.average_rate)
    stills = isinstance(source, SequenceSource)
    pictures = Pictures(info.width, info.height, info.pixel_format, info.codec, rate=rate, are_stills=stills)
    if isinstance(source, FileSource):
        pictures = replace(
            pictures,
            profile=source.video.codec_context.profile,
            is_intra=info.codec in _WITH_INTRA and source.is_intra,
        )
        if info.codec == "mpeg2video" and target.format in _FOR_BROADCAST:
            pictures = replace(pictures, constant=ConstantRate.of(source.first_packet(source.video)))
        if info.codec == "dnxhd" and not source.options["deinterlace"]:
            pictures = replace(pictures, dnxhd=dnxhd_kind(source.first_packet(source.video)))
    return choose_encoding(pictures, target.format, encode or EncodeOptions())


def leave_grain_out(source: FileSource, encoding: Encoding) -> None:
    """Leave film grain to the players of the output, where it can ask for it as the input does."""
    if source.info.codec == encoding.encoder.units and encoding.encoder.units in _WITH_GRAIN:
        source.leave_grain_out()


def asked_of(source: FileSource, encode: EncodeOptions | None) -> Asked:
    """What the user asked to be different in the output."""
    encode = encode or EncodeOptions()
    return Asked(
        codec=encode.codec != "auto",
        pixel_format=encode.pixel_format is not None,
        audio=encode.audio,
        deinterlaced=bool(source.options["deinterlace"]),
        trimmed=source.window.trims,
        shortened=source.options["on_damage"] == "skip",
    )

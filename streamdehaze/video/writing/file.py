"""A video file being written: the pictures encoded, everything else copied from the source."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from types import TracebackType

import av
import av.error

from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.video.planes import PictureWriter
from streamdehaze.video.protocols import Source
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.writing.choose import EncodeOptions, Encoding, Pictures, choose_encoding, grid_rate
from streamdehaze.video.writing.encode import Beginning, Output
from streamdehaze.video.writing.nullfile import close_quietly
from streamdehaze.video.writing.passthrough import Passthrough, describe
from streamdehaze.video.writing.target import Target

log = logging.getLogger("streamdehaze")


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
        self._rate = grid_rate(source.info.average_rate)
        self._encoding = encoding_for(source, self._target, encode)
        self._passthrough = None if self._source is None else Passthrough(self._source, self._target.format)
        self.dropped: list[str] = []
        """What the target container refused, in words."""
        self.frames = 0
        """Frames written so far."""
        self._writer = PictureWriter()
        self._open: Output | None = None
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
            self._open.mux(self._open.encode(self._writer.picture(frame)))
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
            self._open.mux(self._open.end_encoding())
            self._open.mux([])
            self._open.container.close()
            self._target.publish()
        self._finished = True

    def abort(self) -> None:
        """Give the file up: nothing stays under its final name, nor beside it."""
        if self._finished:
            return
        self._finished = True
        if self._open is not None:
            close_quietly(self._open.container)
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

    def _begin(self, frame: Frame) -> Output:
        picture = self._writer.picture(frame)
        original = frame.opaque if isinstance(frame.opaque, av.VideoFrame) else picture
        beginning = Beginning.of(self._target.name, self._target.format, picture, original, self._rate, self._source)
        container = self._target.open()
        try:
            opened = Output(container, beginning, self._encoding, self._source, self._passthrough, self._writer)
        except BaseException:
            close_quietly(container)
            raise
        self.dropped += opened.lost
        if self.dropped:
            log.warning("%s cannot hold, and so lacks: %s", self._target.name, ", ".join(self.dropped))
        settings = " ".join(f"{key}={value}" for key, value in self._encoding.options.items())
        log.info("%s: encoder %s, pixel format %s, %s", self._target.name, self.encoder, self.pixel_format, settings)
        return opened


def encoding_for(source: Source, target: Target, encode: EncodeOptions | None) -> Encoding:
    """The encoder for the pictures of `source` in the container of `target`.

    Raises:
        SinkError: if there is none that fits.
    """
    info = source.info
    profile = source.video.codec_context.profile if isinstance(source, FileSource) else None
    rate = grid_rate(info.average_rate)
    pictures = Pictures(info.width, info.height, info.pixel_format, info.codec, profile, rate)
    return choose_encoding(pictures, target.format, encode or EncodeOptions())

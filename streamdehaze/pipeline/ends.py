"""Opening the two ends of a pipeline by what their paths and addresses are."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from streamdehaze.address import scheme_of, without_secrets
from streamdehaze.errors import SinkError
from streamdehaze.video import (
    EncodeOptions,
    FileSink,
    FileSource,
    Kind,
    PictureSink,
    PictureSource,
    Reader,
    ReadOptions,
    SegmentFileSink,
    SequenceSink,
    SequenceSource,
    Source,
    Writer,
    what_is,
)
from streamdehaze.video.reading.open import is_far_file
from streamdehaze.video.resume.sequence import ResumedSequenceSink
from streamdehaze.video.resume.sink import worth_segments

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from streamdehaze.video.reading.options import ReadKeywords


def open_source(
    path: str | os.PathLike[str] | IO[bytes],
    read: ReadOptions | None = None,
    *,
    stop: threading.Event | None = None,
    **options: Unpack[ReadKeywords],
) -> Reader:
    """The source for a picture, a sequence of pictures, a video file, a pipe, a stream or a device.

    Args:
        path: "foggy.mp4", "frames/%05d.png", "-" for standard input, "rtsp://…", "/dev/video0", or a binary stream.
        read: how it is read.
        stop: ends waiting for a pipe or camera.
        options: the fields of `ReadOptions`, which win over those of `read`.

    Raises:
        SourceError: if it is missing, empty, damaged, or not something that can be read.
        ConfigError: for an option that does not apply to such a source.
        TypeError: for an unknown option.

    Example:
        >>> with open_source("foggy.mp4", start=10.0) as frames:
        ...     first = next(iter(frames))
    """
    given = replace(read or ReadOptions(), **options).applied_to(path)
    if given.get("video_stream") == "all":  # which `dehaze_video` reads one after the other
        del given["video_stream"]
    kind = what_is(path)
    if kind.is_live and not is_far_file(str(path)):
        from streamdehaze.live.config import camera_of  # only cameras need them
        from streamdehaze.live.reading.source import LiveSource

        seconds = given.pop("wait_seconds", ReadOptions.wait_seconds)
        return LiveSource(camera_of(str(path), **given), wait_seconds=seconds, stop=stop)
    if kind is Kind.PICTURE:
        return PictureSource(str(path))
    if kind is Kind.SEQUENCE:
        return SequenceSource(str(path), **given)
    return FileSource(path, **given, stop=stop)


def open_sink(
    path: str | os.PathLike[str],
    source: Source,
    *,
    encode: EncodeOptions | None = None,
    container: str | None = None,
    overwrite: bool = False,
    segment_seconds: float = 0,
    resume: bool = True,
    stop: threading.Event | None = None,
) -> Writer:
    """The sink for `path`: a picture, a sequence of pictures, a video, or a long video in segments.

    Args:
        path: where to; see the sinks for it and for the options that are not named here.
        source: where the frames come from.
        encode: the encoder and its settings.
        container: FFmpeg's name of the container format; overrides the file extension.
        overwrite: replace an existing file.
        segment_seconds: a file of more seconds than this becomes a file by a `SegmentSink`; 0 for none.
        resume: let a `SegmentSink` continue what an earlier run left.
        stop: ends the joining of segments.

    Raises:
        SinkError: if it cannot be written there or cannot hold what comes from `source`.

    Example:
        >>> with open_source("foggy.mp4") as frames, open_sink("copy.mkv", frames) as copy:
        ...     for frame in frames:
        ...         copy.write(frame)
    """
    if scheme_of(os.fspath(path)):
        raise SinkError(
            f"'{without_secrets(os.fspath(path))}' is an address, and this writes files; to send a stream, use "
            "'streamdehaze live' with --to"
        )
    if what_is(path) is Kind.PICTURE:
        return PictureSink(path, source, overwrite=overwrite)
    if what_is(path) is Kind.SEQUENCE:
        again = isinstance(source, SequenceSource) or (isinstance(source, FileSource) and source.path is not None)
        if again and segment_seconds:
            assert isinstance(source, SequenceSource | FileSource)
            return ResumedSequenceSink(path, source, overwrite=overwrite, seconds=segment_seconds, resume=resume)
        return SequenceSink(path, source, overwrite=overwrite)
    if isinstance(source, PictureSource):
        raise SinkError(f"'{source.path}' is a picture; give its result an extension such as '{source.path.suffix}'")
    if isinstance(source, FileSource) and worth_segments(path, source, container, segment_seconds):
        return SegmentFileSink(
            path,
            source,
            encode=encode,
            container=container,
            overwrite=overwrite,
            seconds=segment_seconds,
            resume=resume,
            stop=stop,
        )
    return FileSink(path, source, encode=encode, container=container, overwrite=overwrite)

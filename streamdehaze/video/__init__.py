"""Videos in and out: sources of frames, sinks for them, and all that travels beside the pictures."""

from __future__ import annotations

import os
import threading
from typing import IO, Any

from streamdehaze.errors import SinkError
from streamdehaze.video.kept import is_finished, kept_work, part_folder
from streamdehaze.video.picture import (
    PictureSink,
    PictureSource,
    SequenceSink,
    SequenceSource,
    is_picture,
)
from streamdehaze.video.protocols import SegmentSink, Sink, Source
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.open import Kind, is_far_file, what_is
from streamdehaze.video.segments import SEGMENT_SECONDS, SegmentFileSink, worth_segments
from streamdehaze.video.writing.choose import EncodeOptions
from streamdehaze.video.writing.file import FileSink

__all__ = [
    "SEGMENT_SECONDS",
    "EncodeOptions",
    "FileSink",
    "FileSource",
    "PictureSink",
    "PictureSource",
    "SegmentFileSink",
    "SegmentSink",
    "SequenceSink",
    "SequenceSource",
    "Sink",
    "Source",
    "is_finished",
    "kept_work",
    "open_sink",
    "open_source",
    "part_folder",
]


def open_source(path: str | os.PathLike[str] | IO[bytes], **options: Any) -> Source:
    """The source for `path`: a picture, a sequence of pictures, or a video with the options of `FileSource`.

    An address (rtsp://, http://, …) or a V4L2 device is a camera, with the options of `LiveSource`.

    Raises:
        SourceError: if it is missing, empty, damaged, or nothing that can be read.
    """
    kind = what_is(path)
    if not isinstance(path, str | os.PathLike) or (kind is Kind.STREAM and is_far_file(str(path))):
        return FileSource(path, **options)
    if kind.is_live:
        from streamdehaze.live.source import LiveSource  # built on this package, so not before it is needed

        return LiveSource(os.fspath(path), **options)
    if kind is Kind.PICTURE:
        return PictureSource(path)
    if kind is Kind.SEQUENCE:
        return SequenceSource(path, start=options.get("start"), end=options.get("end"))
    return FileSource(path, **options)


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
) -> Sink:
    """The sink for `path`: a picture, a sequence of pictures, a video, or a long video in segments.

    Args:
        path: where to; see the sinks for it and for the options that are not named here.
        source: where the frames come from.
        encode: the encoder and its settings.
        container: FFmpeg's name of the container format, where the ending of `path` shall not decide.
        overwrite: replace what is there already.
        segment_seconds: a file of more seconds than this becomes a file by a `SegmentSink`; 0 for none.
        resume: let a `SegmentSink` go on with what an earlier run left.
        stop: ends the joining of segments.

    Raises:
        SinkError: if it cannot be written there or cannot hold what comes from `source`.
    """
    if is_picture(path):
        return PictureSink(path, source, overwrite=overwrite)
    if what_is(path) is Kind.SEQUENCE:
        return SequenceSink(path, source, overwrite=overwrite)
    if isinstance(source, PictureSource):
        raise SinkError(f"'{source.path}' is a picture; give its result an ending such as '{source.path.suffix}'")
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

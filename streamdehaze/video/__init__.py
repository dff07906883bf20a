"""Videos in and out: sources of frames, sinks for them, and all that travels beside the pictures."""

from __future__ import annotations

import os
from typing import IO, Any

from streamdehaze.errors import SinkError
from streamdehaze.video.encoder import EncodeOptions
from streamdehaze.video.picture import (
    PICTURE_SUFFIXES,
    PictureSink,
    PictureSource,
    SequenceSink,
    SequenceSource,
    is_picture,
)
from streamdehaze.video.protocols import Sink, Source
from streamdehaze.video.sequence import is_sequence
from streamdehaze.video.sink import FileSink
from streamdehaze.video.source import FileSource

__all__ = [
    "EncodeOptions",
    "FileSink",
    "FileSource",
    "PictureSink",
    "PictureSource",
    "SequenceSink",
    "SequenceSource",
    "Sink",
    "Source",
    "open_sink",
    "open_source",
]


def open_source(path: str | os.PathLike[str] | IO[bytes], **options: Any) -> Source:
    """The source for `path`: a picture, a sequence of pictures, or a video with the options of `FileSource`.

    Raises:
        SourceError: if it is missing, empty, damaged, or nothing that can be read.
    """
    if isinstance(path, str | os.PathLike):
        if is_picture(path):
            return PictureSource(path)
        if _is_picture_sequence(path):
            return SequenceSource(path, start=options.get("start"), end=options.get("end"))
    return FileSource(path, **options)


def open_sink(path: str | os.PathLike[str], source: Source, **options: Any) -> Sink:
    """The sink for `path`: a picture, a sequence of pictures, or a video with the options of `FileSink`.

    Raises:
        SinkError: if it cannot be written there or cannot hold what comes from `source`.
    """
    overwrite = bool(options.get("overwrite"))
    if is_picture(path):
        return PictureSink(path, source, overwrite=overwrite)
    if _is_picture_sequence(path):
        return SequenceSink(path, source, overwrite=overwrite)
    if isinstance(source, PictureSource):
        raise SinkError(f"'{source.path}' is a picture; give its result an ending such as '{source.path.suffix}'")
    return FileSink(path, source, **options)


def _is_picture_sequence(path: str | os.PathLike[str]) -> bool:
    return is_sequence(path) and os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES

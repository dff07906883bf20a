"""Videos in and out: sources of frames, sinks for them, and all that travels beside the pictures."""

from __future__ import annotations

import os
from typing import IO, Any

from streamdehaze.video.encoder import EncodeOptions
from streamdehaze.video.protocols import Sink, Source
from streamdehaze.video.sink import FileSink
from streamdehaze.video.source import FileSource

__all__ = ["EncodeOptions", "FileSink", "FileSource", "Sink", "Source", "open_sink", "open_source"]


def open_source(path: str | os.PathLike[str] | IO[bytes], **options: Any) -> Source:
    """The source for `path`, with the options of `FileSource`."""
    return FileSource(path, **options)


def open_sink(path: str | os.PathLike[str], source: Source, **options: Any) -> Sink:
    """The sink for `path`, with the options of `FileSink`."""
    return FileSink(path, source, **options)

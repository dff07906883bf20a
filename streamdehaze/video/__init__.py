"""Videos in and out: sources of frames, sinks for them, and everything in a file that is not pictures.

All of PyAV is in here. A decoded image is called a picture while it is FFmpeg's, a frame once it is ours.
"""

from streamdehaze.video.exchange import from_av, from_tensor, to_av, to_tensor
from streamdehaze.video.picture import (
    PictureSink,
    PictureSource,
    SequenceSink,
    SequenceSource,
)
from streamdehaze.video.protocols import Reader, SegmentSink, Sink, Source
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.open import Kind, what_is
from streamdehaze.video.reading.options import ReadOptions
from streamdehaze.video.resume.sink import SEGMENT_SECONDS, SegmentFileSink
from streamdehaze.video.resume.unfinished import is_finished, part_folder, unfinished_work
from streamdehaze.video.writing.encoding.encoding import EncodeOptions
from streamdehaze.video.writing.file import FileSink
from streamdehaze.video.writing.publish import Writer

__all__ = [
    "SEGMENT_SECONDS",
    "EncodeOptions",
    "FileSink",
    "FileSource",
    "Kind",
    "PictureSink",
    "PictureSource",
    "ReadOptions",
    "Reader",
    "SegmentFileSink",
    "SegmentSink",
    "SequenceSink",
    "SequenceSource",
    "Sink",
    "Source",
    "Writer",
    "from_av",
    "from_tensor",
    "is_finished",
    "part_folder",
    "to_av",
    "to_tensor",
    "unfinished_work",
    "what_is",
]

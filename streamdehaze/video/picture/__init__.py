"""Still pictures and sequences of them: read as frames, written with everything else their files hold."""

from streamdehaze.video.picture.formats import PICTURE_SUFFIXES, is_picture
from streamdehaze.video.picture.sequence import SequenceSink, SequenceSource
from streamdehaze.video.picture.sink import PictureSink
from streamdehaze.video.picture.source import PictureSource

__all__ = ["PICTURE_SUFFIXES", "PictureSink", "PictureSource", "SequenceSink", "SequenceSource", "is_picture"]

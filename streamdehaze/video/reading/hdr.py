"""What each picture of a film says of its own looks (HDR, film grain), on its way from the packet to the picture."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from av.codec.context import Flags
from av.packet import Packet
from av.video.stream import VideoStream

from streamdehaze.errors import SourceError
from streamdehaze.video.syntax.mp4 import video_boxes
from streamdehaze.video.syntax.sei import PictureNotes, Units, length_bytes_of

_TRANSFERS = frozenset({16, 18})
"""PQ and HLG (H.273)."""
_NO_YCBCR = frozenset({5, 20})
"""Profiles of Dolby Vision whose pictures are in a colour space of its own."""
ONE_LAYER = 8
"""The profile whose pictures any HDR player shows, and that has no second layer."""
DOLBY_VISION = (b"dvcC", b"dvvC")
"""Boxes of MP4 and MOV that name it."""
_MATROSKA_HEAD = 1 << 20
_MATROSKA_DOLBY_VISION = re.compile(rb"\x41\xe7\x84dv[cvw]C.{0,64}?\x41\xed\x98(.{24})", re.DOTALL)
"""The type of a BlockAdditionMapping, and its data (Matroska's codec mappings; Dolby Vision in ISOBMFF, 3.2)."""


class NoteReader:
    """Finds what a packet says of its picture; FFmpeg's decoder hands that on as the `opaque` of the picture.

    Args:
        codec: of the film.
        length_bytes: of the length before each unit; 0 for start codes.
        dolby_vision: whether it is kept.
    """

    def __init__(self, codec: Units, length_bytes: int, *, dolby_vision: bool) -> None:
        self._codec, self._length_bytes, self._dolby_vision = codec, length_bytes, dolby_vision

    @classmethod
    def find(cls, video: VideoStream, path: str | None, name: str) -> NoteReader | None:
        """What reads it from a stream; None for one that cannot have any.

        Args:
            video: the stream, of which nothing was decoded yet.
            path: of its file, if that can be read again.
            name: of it, for messages.

        Raises:
            SourceError: for Dolby Vision whose pictures are not YCbCr.
        """
        context = video.codec_context
        codec = context.codec.canonical_name
        profile = None
        if codec in ("hevc", "av1") and path is not None and os.path.isfile(path):
            profile = dolby_vision_profile(path)
        if profile in _NO_YCBCR:
            raise SourceError(
                f"'{name}' is Dolby Vision of profile {profile}, whose colours only its own players know; convert it "
                "first, e.g. by ffmpeg's libplacebo filter with apply_dolbyvision=1"
            )
        if codec not in ("h264", "hevc", "av1") or (codec == "av1" and int(context.color_trc) not in _TRANSFERS):
            return None
        context.flags |= Flags.copy_opaque
        length_bytes = length_bytes_of(bytes(context.extradata or b""), codec)
        return cls(cast("Units", codec), length_bytes, dolby_vision=profile in (None, ONE_LAYER))

    def mark(self, packets: Iterator[Packet[Any]], video: int) -> Iterator[Packet[Any]]:
        """The packets; those of the video, by its number, with what they say of their pictures."""
        for packet in packets:
            if packet.size and packet.stream_index == video:
                notes = PictureNotes.of(bytes(packet), self._codec, self._length_bytes)
                packet.opaque = notes if notes is None or self._dolby_vision else replace(notes, dolby_vision=())
            yield packet


def dolby_vision_profile(path: str | os.PathLike[str]) -> int | None:
    """The profile of Dolby Vision that an MP4, MOV or Matroska file names for its first video; None for none.

    Raises:
        OSError: if it cannot be read.
    """
    payloads = [box[8:] for box in video_boxes(path, DOLBY_VISION)]
    if not payloads:
        with open(path, "rb") as file:
            mapping = _MATROSKA_DOLBY_VISION.search(file.read(_MATROSKA_HEAD))
        payloads = [] if mapping is None else [mapping[1]]
    return payloads[0][2] >> 1 if payloads and len(payloads[0]) > 2 else None

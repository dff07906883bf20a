"""Where the chroma samples of a video lie: players that heed it would shift colours otherwise."""

from __future__ import annotations

import itertools
from typing import Any

from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

LOCATIONS = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
"""FFmpeg's names in the order of its numbers; left is what unspecified means."""
_HALVED = ("yuv420p", "yuvj420p")
_H26X = "chroma_sample_loc_type", {place: place + 1 for place in range(6)}
_OPTIONS = {
    "h264": ("h264_mp4toannexb,h264_metadata", *_H26X),
    "hevc": ("hevc_mp4toannexb,hevc_metadata", *_H26X),
    "av1": ("av1_metadata", "chroma_sample_position", {1: 1, 2: 3}),
}
"""By codec the filters that rewrite headers, their option, and FFmpeg's number for each of its values."""

_BY_STANDARD = {"mpeg1video": "center", "h263": "center", "theora": "center", "mjpeg": "center", "dvvideo": "topleft"}
"""Codecs whose 4:2:0 pictures all have them in one place."""

_MOST_PACKETS = 600
"""Among which a keyframe is looked for."""


def chroma_location(container: InputContainer, video: Stream) -> str | None:
    """One of `LOCATIONS`; None for a codec of which it cannot be found out.

    PyAV does not show it. But a header of H.264, HEVC or AV1 in which FFmpeg sets what it says already stays the same.

    Raises:
        av.error.FFmpegError, OSError, ValueError: if the stream cannot be read.
    """
    context: Any = video.codec_context
    codec = context.codec.canonical_name
    if codec in _BY_STANDARD and context.format is not None and context.format.name.startswith(_HALVED):
        return _BY_STANDARD[codec]
    if codec not in _OPTIONS:
        return None
    filters, option, values = _OPTIONS[codec]
    first = itertools.islice(container.demux(video), _MOST_PACKETS)
    keyframe = next((bytes(packet) for packet in first if packet.is_keyframe and packet.size), None)
    if keyframe is None:
        return None

    def rewritten(setting: str) -> bytes:
        packet = Packet(keyframe)
        packet.is_keyframe = True
        return b"".join(bytes(each) for each in BitStreamFilterContext(filters + setting, video).filter(packet))

    plain = rewritten("")
    found = (number for value, number in values.items() if rewritten(f"={option}={value}") == plain)
    return LOCATIONS[next(found, 0)]

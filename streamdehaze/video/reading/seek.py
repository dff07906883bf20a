"""Getting to a picture at or before an instant, in any format: by seeking, or by reading without decoding where time
says nothing about place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from streamdehaze.video.pyav import fraction
from streamdehaze.video.reading.decoding.h264 import whole_pictures
from streamdehaze.video.reading.open import demux

_BEFORE_SECONDS = 10
"""No decoding timestamp lies more than this many seconds before the first frame."""
_MOST_BYTES = 256 << 20
"""Limit for the packets kept while no keyframe comes."""


def seek(
    container: InputContainer,
    video: VideoStream,
    start: Fraction,
    *,
    origin: Fraction,
    time_base: Fraction,
    others: Sequence[VideoStream] = (),
) -> bool:
    """Go to a place from which every picture from `start` on can be decoded, without knowing the format.

    Some formats (MPEG-TS) land after the keyframe they were asked for, so the first picture that comes out decides,
    and the next try goes further back.

    Args:
        container: what is read, from its beginning so far; a pipe stays where it is.
        video: its stream to decode.
        start, origin: the instant and the first one of the file, seconds on the file's own clock.
        time_base: seconds per tick of the stream.
        others: further streams of which every picture from `start` on can be decoded then.

    Returns:
        Whether there was such a place; if not, reading begins as early as it can.
    """
    if start <= origin:
        return False
    for back in (0, 1, 3, 9, 27):
        target = start - back
        if target <= origin:
            break
        try:
            firsts = []
            for each in (video, *others, video):  # once more: FFmpeg notes keyframes it reads, and then seeks to these
                container.seek(int(target // time_base), stream=video)
                firsts.append(next(_instants(container, each), None))
            if all(first is not None and first <= start for first in firsts):
                container.seek(int(target // time_base), stream=video)
                return True
        except (av.error.FFmpegError, OSError):
            break
    # MPEG-TS seeks by decoding times, and the first keyframe's lies before its presentation: from `origin` it would
    # land after that keyframe as well. A pipe takes neither; there, reading continues from where it is.
    for target in (origin - _BEFORE_SECONDS, origin):
        with contextlib.suppress(av.error.FFmpegError, OSError):
            container.seek(int(target // time_base), stream=video)
            return False
    return False


def from_keyframe_before(packets: Iterator[Packet[Any]], video: int, instant: Fraction) -> Iterator[Packet[Any]]:
    """The packets from the last keyframe but one at or before an instant; the video's earlier ones are left out.

    Args:
        packets: of the whole file, on one clock.
        video: number of the stream that is decoded.
        instant: seconds on that clock.
    """
    groups: list[list[Packet[Any]]] = [[]]
    size = 0
    for packet in packets:
        if packet.stream_index != video:
            yield packet
            continue
        stamp = packet.pts if packet.pts is not None else packet.dts
        if packet.is_keyframe:
            groups = [*groups[-1:], []]
            size = sum(each.size for group in groups for each in group)
        groups[-1].append(packet)
        size += packet.size
        arrived = stamp is not None and stamp * fraction(packet.time_base) >= instant
        if arrived or not packet.size or size > _MOST_BYTES:
            break
    for group in groups:
        yield from group
    yield from packets


def _instants(container: InputContainer, video: VideoStream) -> Iterator[Fraction]:
    for packet in whole_pictures(demux(container, video), video, sought=True):
        with contextlib.suppress(av.error.FFmpegError):
            for picture in packet.decode():
                pts = picture.pts if picture.pts is not None else picture.dts
                if pts is not None:
                    yield pts * fraction(video.time_base)

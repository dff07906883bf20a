"""Seeking to a picture at or before an instant, in any format."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from streamdehaze.video.pyav import fraction
from streamdehaze.video.reading.open import demux

_BEFORE_SECONDS = 10
"""No decoding timestamp lies more than this many seconds before the first frame."""


def seek(
    container: InputContainer,
    video: VideoStream,
    start: Fraction,
    *,
    origin: Fraction,
    time_base: Fraction,
    others: Sequence[VideoStream] = (),
) -> None:
    """Go to a place from which every picture from `start` on can be decoded, without knowing the format.

    Some formats (MPEG-TS) land after the keyframe they were asked for, so the first picture that comes out decides,
    and the next try goes further back.

    Args:
        container: what is read; a pipe stays where it is.
        video: its stream to decode.
        start, origin: the instant and the first one of the file, seconds on the file's own clock.
        time_base: seconds per tick of the stream.
        others: further streams of which every picture from `start` on can be decoded then.
    """
    for back in (0, 1, 3, 9, 27):
        target = start - back
        if target <= origin:
            break
        try:
            firsts = []
            for each in (video, *others):
                container.seek(int(target // time_base), stream=video)
                firsts.append(next(_instants(container, each), None))
            if all(first is not None and first <= start for first in firsts):
                container.seek(int(target // time_base), stream=video)
                return
        except (av.error.FFmpegError, OSError):
            break
    # MPEG-TS seeks by decoding times, and the first keyframe's lies before its presentation: from `origin` it would
    # land after that keyframe as well. A pipe takes neither; there, reading continues from where it is.
    for target in (origin - _BEFORE_SECONDS, origin):
        with contextlib.suppress(av.error.FFmpegError, OSError):
            container.seek(int(target // time_base), stream=video)
            return


def _instants(container: InputContainer, video: VideoStream) -> Iterator[Fraction]:
    for packet in demux(container, video):
        with contextlib.suppress(av.error.FFmpegError):
            for picture in packet.decode():
                pts = picture.pts if picture.pts is not None else picture.dts
                if pts is not None:
                    yield pts * fraction(video.time_base)

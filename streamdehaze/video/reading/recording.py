"""The beginning of a network stream as a file: its own packets, without re-encoding."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import av
import av.error

from streamdehaze.address import Address
from streamdehaze.errors import SourceError, StreamDehazeError
from streamdehaze.video.fault import fault_of
from streamdehaze.video.reading.open import Media, demux, open_live

_SILENCE_SECONDS = 10.0


def record(address: str, path: Path, frames: int) -> float:
    """Copy the first packets of a stream's video, from a keyframe on, into a Matroska file.

    Args:
        address: rtsp://, rtmp://, http:// and so on.
        path: of the file.
        frames: how many; fewer where the stream ends.

    Returns:
        Frames per second at which they came.

    Raises:
        SourceError: if nothing answers, or nothing comes for ten seconds; the address is shown without its secrets.
    """
    place = Address.of(address)
    try:
        with closing(open_live(place, open_seconds=_SILENCE_SECONDS, stall_seconds=_SILENCE_SECONDS)) as media:
            return _copy(media, path, frames)
    except (StreamDehazeError, av.error.FFmpegError, OSError) as error:
        raise SourceError(fault_of(error, place, timeout=_SILENCE_SECONDS).message) from error


def _copy(media: Media, path: Path, frames: int) -> float:
    video, count, first_pts, begin = media.main_video(), 0, 0, 0.0
    with av.open(path, "w", format="matroska") as file:
        out = file.add_stream_from_template(video)
        for packet in demux(media.container, video):
            if packet.pts is None or (not count and not packet.is_keyframe):
                continue
            if not count:
                begin, first_pts = time.perf_counter(), packet.pts if packet.dts is None else packet.dts
            packet.pts, packet.dts = packet.pts - first_pts, None if packet.dts is None else packet.dts - first_pts
            packet.stream = out
            file.mux(packet)
            count += 1
            if count == frames:
                break
    if count < 2:
        raise SourceError(f"'{media.name}' ended before its second frame")
    return (count - 1) / (time.perf_counter() - begin)

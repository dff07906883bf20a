"""The beginning of a network stream as a file: its own packets, nothing encoded anew."""

from __future__ import annotations

import time
from pathlib import Path

import av
import av.error

from streamdehaze.address import without_secrets
from streamdehaze.errors import SourceError
from streamdehaze.video.reading.open import demux

_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto,data,rtmp,rtmps,srt"
"""A playlist names further addresses; none of them may be a file of this machine."""
_SILENCE_SECONDS = 10.0


def record(address: str, path: Path, frames: int) -> float:
    """Copy the first packets of a stream's video, from a keyframe on, into a Matroska file.

    Args:
        address: rtsp://, rtmp://, http:// and so on.
        path: of the file.
        frames: how many; fewer where the stream ends.

    Returns:
        Frames a second at which they came.

    Raises:
        SourceError: if nothing answers, or nothing comes for ten seconds; the address is shown without its secrets.
    """
    shown = without_secrets(address)
    options = {"protocol_whitelist": _PROTOCOLS, "rtsp_transport": "tcp"}
    if not address.startswith("rtsp"):
        del options["rtsp_transport"]
    try:
        with av.open(address, options=options, timeout=_SILENCE_SECONDS) as stream:
            if not stream.streams.video:
                raise SourceError(f"'{shown}' carries no video")
            return _copy(stream, path, frames, shown)
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SourceError(f"'{shown}' cannot be received: {reason}") from error


def _copy(stream: av.container.InputContainer, path: Path, frames: int, shown: str) -> float:
    video, count, first_pts, begin = stream.streams.video[0], 0, 0, 0.0
    with av.open(path, "w", format="matroska") as file:
        out = file.add_stream_from_template(video)
        for packet in demux(stream, video):
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
        raise SourceError(f"'{shown}' ended before its second frame")
    return (count - 1) / (time.perf_counter() - begin)

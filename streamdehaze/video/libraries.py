"""What the FFmpeg that came with PyAV can do."""

from __future__ import annotations

from typing import Any

import av
import av.error
from av.codec.codec import UnknownCodecError

from streamdehaze.video.writing.encoding.opening import opening_encoder


def ffmpeg_libraries() -> dict[str, str]:
    """FFmpeg's libraries and their versions, such as {"libavcodec": "62.11.100"}."""
    return {name: ".".join(map(str, version)) for name, version in sorted(av.library_versions.items())}


def encoder_state(name: str, pixel_format: str) -> str:
    """Whether FFmpeg's encoder `name` works here: "ok", "missing", or "unusable" where its hardware or driver is.

    Encoders in hardware are in the library everywhere; only opening one shows whether it can be used.
    """
    try:
        context: Any = av.CodecContext.create(name, "w")
    except UnknownCodecError:
        return "missing"
    context.width, context.height, context.pix_fmt = 320, 240, pixel_format
    context.framerate = 25
    if name == "libx265":
        context.options = {"x265-params": "log-level=none"}  # it talks past FFmpeg's log
    previous = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)
    try:
        with opening_encoder():
            context.open()
    except (av.error.FFmpegError, OSError, ValueError):
        return "unusable"
    finally:
        av.logging.set_level(previous)
    return "ok"

"""How a source is read, and which of that applies to which kind of source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal, TypedDict

from streamdehaze.address import without_secrets
from streamdehaze.errors import ConfigError
from streamdehaze.video.reading.open import HardwareDecoding, Kind, Transport, what_is

OnDamage = Literal["keep", "skip", "stop"]
Deinterlacing = Literal[False, True, "frames", "fields"]

_OF_FILES = frozenset({"start", "end", "hwaccel", "deinterlace", "on_damage", "input_options", "video_stream", "rate"})
_OF_CAMERAS = frozenset(
    {"transport", "username", "password_env", "password_file", "input_options", "buffer_frames", "wait_seconds"}
)
_APPLY = {
    Kind.FILE: _OF_FILES,
    Kind.PIPE: _OF_FILES,
    Kind.STREAM: _OF_CAMERAS,
    Kind.DEVICE: _OF_CAMERAS,
    Kind.SESSION: _OF_CAMERAS,
    Kind.PICTURE: frozenset[str](),
    Kind.SEQUENCE: frozenset({"start", "end", "rate"}),
}


class ReadKeywords(TypedDict, total=False):
    """The fields of `ReadOptions` as keywords."""

    start: float | None
    end: float | None
    hwaccel: HardwareDecoding
    deinterlace: Deinterlacing
    on_damage: OnDamage
    input_options: Mapping[str, str] | None
    video_stream: int | Literal["all"] | None
    rate: Fraction | None
    transport: Transport
    username: str | None
    password_env: str | None
    password_file: Path | None
    buffer_frames: int
    wait_seconds: float


@dataclass(frozen=True)
class ReadOptions:
    """How a source is read: the first eight for files, the rest and `input_options` for cameras."""

    start: float | None = None
    """Seconds after the beginning from which to keep all streams; the result then starts at 0."""
    end: float | None = None
    """Seconds after the beginning at which all streams end."""
    hwaccel: HardwareDecoding = "none"
    """Where to decode; "auto" falls back to software, "cuda" does not."""
    deinterlace: Deinterlacing = False
    """Make one progressive picture of each interlaced one ("frames", True), or one of each field ("fields")."""
    on_damage: OnDamage = "keep"
    """What to do with pictures the decoder had to conceal damage in."""
    input_options: Mapping[str, str] | None = None
    """For FFmpeg's demuxer, such as video_size of a V4L2 device."""
    video_stream: int | Literal["all"] | None = None
    """Number of the video stream to work on, of several; the others are copied. None is the file's default. With "all",
    `dehaze_video` works on one after the other; a source has the frames of the default one."""
    rate: Fraction | None = None
    """Frames a second of image sequences and raw streams, which say nothing of time or may be wrong."""
    transport: Transport = "tcp"
    """How RTSP carries the pictures; "http" tunnels them through a web port."""
    username: str | None = None
    """In place of the one in the address."""
    password_env: str | None = None
    """Environment variable that holds the password."""
    password_file: Path | None = None
    """File whose first line is the password."""
    buffer_frames: int = 8
    """Frames of a camera that may wait; the oldest are dropped."""
    wait_seconds: float = 15.0
    """How long a camera's first frame may take."""

    def applied_to(self, media: str | os.PathLike[str] | IO[bytes]) -> dict[str, Any]:
        """Those that differ from their defaults.

        Raises:
            ConfigError: if one does not apply to such a source.
        """
        kind = what_is(media)
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        given = {each.name: given[each.name] for each in fields(self) if given[each.name] != each.default}
        unfit = [name for name, value in given.items() if name not in _APPLY[kind] and value != "auto"]
        if unfit:
            name = without_secrets(os.fspath(media)) if isinstance(media, str | os.PathLike) else "it"
            raise ConfigError(f"'{name}' is a {kind.value}, to which {' and '.join(unfit)} cannot be applied")
        return {name: value for name, value in given.items() if name in _APPLY[kind]}

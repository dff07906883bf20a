"""Where a clear stream goes to: a server, a folder of a web server, or files."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import av
from av.container import OutputContainer

from streamdehaze.address import Address, scheme_of
from streamdehaze.errors import ConfigError
from streamdehaze.live.remote import Remote
from streamdehaze.video.fault import look_up

_SILENCE_SECONDS = 5.0
"""A server that takes nothing for so long is given up and connected to again."""
_FORMATS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "srt": "mpegts", "udp": "mpegts"}
_FILES = {".mkv": "matroska", ".ts": "mpegts", ".mp4": "mp4"}

_COMMON = {"flush_packets": "1", "max_interleave_delta": "300000"}
"""Everything goes out at once; sound that is late or lost holds the pictures back by 0.3 s at most."""


@dataclass(frozen=True)
class SinkTarget:
    """A place for a stream, and how FFmpeg is told of it."""

    address: Address
    format: str
    """FFmpeg's name of the container format."""
    rotates: bool
    """Whether it is written in files, each finished before the next begins."""

    @classmethod
    def of(cls, to: str, camera: str) -> SinkTarget:
        """The target for a ``--to``; ``{name}`` in it stands for the camera's name.

        Raises:
            ConfigError: if it is no address that is sent to, and no kind of file that survives being cut off.
        """
        to = to.replace("{name}", quote(camera, safe="") if scheme_of(to) else camera)
        if scheme_of(to):
            address = Address.of(to)
            if address.scheme not in _FORMATS:
                known = ", ".join(f"{scheme}://" for scheme in _FORMATS)
                raise ConfigError(f"nothing is sent to {address.scheme}:// addresses; use {known}, or a file or folder")
            return cls(address, _FORMATS[address.scheme], rotates=False)
        path = Path(to)
        if to.endswith(("/", os.sep)) or path.is_dir():
            path = path / "index.m3u8"
        if path.suffix == ".m3u8":
            return cls(Address.of(str(path)), "hls", rotates=False)
        if path.suffix not in _FILES:
            raise ConfigError(
                f"'{to}' is none of {', '.join(_FILES)} (segments), .m3u8 or a folder (HLS), or an address (rtsp://…)"
            )
        if "%" not in path.name:
            path = path.with_name(f"{path.stem}-%Y%m%d-%H%M%S{path.suffix}")
        return cls(Address.of(str(path)), _FILES[path.suffix], rotates=True)

    @property
    def name(self) -> str:
        """For logs and pages."""
        return self.address.shown

    @property
    def is_remote(self) -> bool:
        """Whether names have to be looked up and servers have to answer before anything can be sent."""
        return bool(self.address.scheme)

    def connect(self, *, again: bool) -> Remote:
        """Begin to send to the address; what comes of it shows later.

        Args:
            again: it has been open before.

        Raises:
            UnknownHostError: if its host has no address.
        """
        look_up(self.address)
        place = self.address.full
        if self.address.scheme == "udp" and "?" not in place:
            place += "?pkt_size=1316"  # seven packets of the transport stream, as receivers expect
        return Remote(place, self.format, {**_COMMON, **self._options(again)}, _SILENCE_SECONDS)

    def open(self, *, again: bool) -> OutputContainer:
        """Begin the next file or playlist.

        Args:
            again: it has been open before: a playlist goes on instead of beginning anew.

        Raises:
            OSError, av.error.FFmpegError: if that cannot be done.
        """
        place = _free_name(self.address.full) if self.rotates else self.address.full
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        if self.format != "hls":  # (HLS opens its files itself and does not know "file:" before a playlist)
            place = f"file:{place}"
        options = {**_COMMON, **self._options(again)}
        container: OutputContainer = av.open(place, "w", format=self.format, container_options=options)
        return container

    def path_of(self, container: OutputContainer) -> Path | None:
        """The file of this target that `open` began; None if it is no single file."""
        return Path(container.name.removeprefix("file:")) if self.rotates else None

    def _options(self, again: bool) -> Mapping[str, str]:
        silence = str(round(_SILENCE_SECONDS * 1e6))
        if self.format == "rtsp":
            return {"rtsp_transport": "tcp", "timeout": silence}
        if self.format == "flv":
            return {"flvflags": "no_duration_filesize"}
        if self.format == "hls":
            flags = "delete_segments+temp_file+independent_segments" + ("+append_list" if again else "")
            return {"hls_time": "2", "hls_list_size": "6", "hls_flags": flags}
        if self.format == "matroska":
            return {"cluster_time_limit": "1000"}
        if self.format == "mp4":  # whole after every keyframe instead of only at the end
            return {"movflags": "frag_keyframe+empty_moov+default_base_moof", "video_track_timescale": "90000"}
        return {}


def _free_name(pattern: str) -> str:
    """The file's name at this moment; with a number where that is taken."""
    path = Path(time.strftime(pattern))
    if not path.exists():
        return str(path)
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
    return str(next(name for name in numbered if not name.exists()))

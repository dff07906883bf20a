"""Where a video is written: a file or standard output; for a camera, a server, a playlist, or file after file."""

from __future__ import annotations

import contextlib
import difflib
import glob
import itertools
import os
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import av
import av.error
from av.format import Flags

from streamdehaze.address import Address, scheme_of
from streamdehaze.durable import require_writable
from streamdehaze.errors import ConfigError, SinkError
from streamdehaze.video.pyav import ANY_METADATA, has_flag
from streamdehaze.video.trust import Trust
from streamdehaze.video.writing.containers import Output
from streamdehaze.video.writing.encoding.codecs import CONTAINER_CODECS, LIVE_ENCODERS, MOV_FAMILY
from streamdehaze.video.writing.remote import Remote

_SILENCE_SECONDS = 5.0
"""A server that takes nothing for this long is given up and connected to again."""
_FORMATS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "srt": "mpegts", "udp": "mpegts"}
_FILES = {".mkv": "matroska", ".ts": "mpegts", ".mp4": "mp4"}

_STREAM_CODECS: Mapping[str, frozenset[str]] = {
    "mpegts": CONTAINER_CODECS["mpegts"],
    "hls": frozenset({"h264", "hevc", "av1", "vp9"}),
    "mp4": CONTAINER_CODECS["mp4"],
    "flv": frozenset({"h264", "hevc", "av1", "vp9", "flv1"}),
    "rtsp": frozenset({"h264", "hevc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg"}),
}
"""Video codecs that receivers and players understand in a live format; Matroska takes all. FFmpeg would write others as
data that nothing reads."""
_IN_WORDS = {"mpegts": "MPEG-TS", "hls": "HLS", "mp4": "MP4", "flv": "RTMP", "rtsp": "RTSP"}
INIT_FILE = "init.mp4"
LIVE_FORMAT = "yuv420p"
"""The pixel format that cameras are sent in."""
_PLACEHOLDER = re.compile(r"(?<!\$)\{\w*\}")

_SEGMENT = re.compile(r"\d{10}\.(ts|m4s)")
"""What FFmpeg puts after a playlist's name: numbers that began with the seconds since 1970."""

_LIVE_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "300000"}
"""Everything goes out at once; sound that is late or lost holds the pictures back by 0.3 s at most."""


@dataclass(frozen=True)
class FileTarget:
    """The file to write, or standard output."""

    path: Path | None
    """None for standard output."""
    format: str
    """FFmpeg's name of the container format."""

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        container: str | None,
        overwrite: bool,
        source: str | None,
        like: str | None = None,
    ) -> FileTarget:
        """Check that `path` can be written.

        Args:
            path: the file, or "-" for standard output.
            container: FFmpeg's name of its format; None for what the extension says.
            overwrite: replace a file that is there already.
            source: path of the input.
            like: FFmpeg's name of the input's format, for an extension that says nothing (.dav, .insv).

        Raises:
            SinkError: if it exists already, is the input or a terminal, or its folder is not writable, or missing where
                none can be made.
        """
        if os.fspath(path) == "-":
            if os.isatty(1):
                raise SinkError("standard output is a terminal; pipe it to a program, or name a file with -o")
            container = _known(container or "matroska")
            if container in MOV_FAMILY:
                raise SinkError(f"{container} cannot be written to a pipe; use --container matroska or mpegts")
            return cls(None, container)
        target = Path(path)
        refuse_unwritable(target, overwrite, source)
        if container is None and like is not None and source is not None and _same_extension(target, source):
            container = _as_input(like)
        container = _known(container) if container is not None else _by_extension(target)
        return cls(target, container)

    @property
    def name(self) -> str:
        """Its name, for messages."""
        return "standard output" if self.path is None else f"'{self.path}'"

    def open(self, path: Path | None, options: dict[str, str]) -> Output:
        """Begin to write it under the name `path`, or into standard output.

        Raises:
            OSError, av.error.FFmpegError: if that cannot be done.
        """
        place = "pipe:1" if path is None else f"file:{path}"
        return Output(av.open(place, "w", format=self.format, container_options=options, **ANY_METADATA), path)


@dataclass(frozen=True)
class LiveTarget:
    """Where a camera's stream goes, in the form that FFmpeg takes."""

    address: Address
    format: str
    """FFmpeg's name of the container format."""
    rotates: bool
    """Whether it is written in files, each finished before the next begins."""
    codec: str = "h264"
    """FFmpeg's name of the video's codec."""
    trust: Trust = field(default_factory=Trust)
    """What is asked of the server's certificate."""

    @classmethod
    def of(cls, to: str, camera: str) -> LiveTarget:
        """The target for a ``--to``.

        Args:
            to: address, folder or file; ``{name}`` in it stands for the camera's name.
            camera: its name.

        Raises:
            ConfigError: if it is neither an address that streams are sent to nor a kind of file that survives being
                cut off.
        """
        is_address = bool(scheme_of(to))
        to = to.replace("{name}", quote(camera, safe="") if is_address else camera)
        if unknown := _PLACEHOLDER.search(to):
            raise ConfigError(f"there is no placeholder {unknown[0]}; {{name}} stands for the camera's name")
        if is_address:
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
                f"nothing is sent to '{to}'; use a {', '.join(_FILES)} file (segments), .m3u8 or a folder that ends in "
                "/ (HLS), or rtsp://…"
            )
        if "%" not in path.name:
            path = path.with_name(f"{path.stem}-%Y%m%d-%H%M%S%z{path.suffix}")
        return cls(Address.of(str(path)), _FILES[path.suffix], rotates=True)

    @classmethod
    def for_encoder(cls, to: str, camera: str, encoder: str, trust: Trust | None = None) -> LiveTarget:
        """The target for a ``--to`` that gets what FFmpeg's `encoder` makes.

        Raises:
            ConfigError: as for `of` and `live_encoder`; also if players cannot read its codec there.
        """
        codec = live_encoder(encoder).canonical_name
        target = replace(cls.of(to, camera), codec=codec)
        if codec not in _STREAM_CODECS.get(target.format, {codec}):
            place = target.name if target.address.scheme else to
            raise ConfigError(
                f'players cannot read {codec} (codec = "{encoder}") in {_IN_WORDS[target.format]}, which '
                f"'{place}' is; choose another codec, or a .mkv file"
            )
        return target if trust is None else replace(target, trust=trust)

    @property
    def name(self) -> str:
        """For logs and pages."""
        return self.address.shown

    def open(self) -> Output:
        """Begin to send to the address (what comes of it shows later), the next file, or the playlist where it ended.

        Raises:
            OSError, av.error.FFmpegError: if that cannot be done.
        """
        place = self.address.full
        if self.address.scheme:
            options = {**_LIVE_OPTIONS, **self._options()}
            options |= self.trust.check(self.address, sending=True)
            if self.address.scheme == "udp" and "?" not in place:
                place += "?pkt_size=1316"  # seven packets of the transport stream, as receivers expect
            return Remote(place, self.format, options, _SILENCE_SECONDS)
        return self.open_file(self.free_file(time.time()) if self.rotates else Path(place))

    def open_file(self, path: Path) -> Output:
        """Begin to write a file, or the playlist where it ended; its folder is made.

        Raises:
            OSError, av.error.FFmpegError: if that cannot be done.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        # HLS opens its files itself and does not know "file:" before a playlist.
        place = str(path) if self.format == "hls" else f"file:{path}"
        if self.format == "hls":
            _delete_unnamed(path)
        container = av.open(place, "w", format=self.format, container_options={**_LIVE_OPTIONS, **self._options()})
        return Output(container, path if self.rotates else None)

    def free_file(self, moment: float, taken: Collection[Path] = ()) -> Path:
        """A file that begins at this time, seconds since 1970; with a number where there is one of that name."""
        path = Path(time.strftime(self.address.full, time.localtime(moment)))
        numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
        return next(name for name in itertools.chain([path], numbered) if name not in taken and not name.exists())

    def _options(self) -> Mapping[str, str]:
        if self.format == "rtsp":
            return {"rtsp_transport": "tcp", "timeout": str(round(_SILENCE_SECONDS * 1e6))}
        if self.format == "flv":
            return {"flvflags": "no_duration_filesize"}
        if self.format == "hls":
            return self._playlist_options()
        if self.format == "matroska":
            return {"cluster_time_limit": "1000"}
        if self.format == "mp4":  # whole after every keyframe instead of only at the end
            return {"movflags": "frag_keyframe+empty_moov+default_base_moof", "video_track_timescale": "90000"}
        return {}

    def _playlist_options(self) -> dict[str, str]:
        # Apple's players, and so browsers, take other codecs than H.264 only in fragmented MP4.
        fragments = self.codec != "h264"
        options = {
            "hls_time": "2",
            "hls_list_size": "6",
            "hls_flags": "delete_segments+temp_file+independent_segments+program_date_time",
            "hls_segment_type": "fmp4" if fragments else "mpegts",
        }
        if fragments:
            options["hls_fmp4_init_filename"] = INIT_FILE
        before = _text_of(Path(self.address.full))
        if before and (INIT_FILE in before) == fragments:
            options["hls_flags"] += "+append_list"  # continues with a discontinuity, also after a crash
        else:  # numbers that no player and no cache has met
            options["hls_start_number_source"] = "epoch"
        return options


def live_encoder(name: str) -> av.Codec:
    """FFmpeg's encoder of a name, for cameras.

    Raises:
        ConfigError: if there is none, or it takes other pictures than theirs.
    """
    try:
        found = av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        near = ", ".join(difflib.get_close_matches(name, LIVE_ENCODERS, n=3, cutoff=0.4))
        raise ConfigError(f"there is no encoder '{name}' here{near and '; near it: '}{near}") from None
    if found.video_formats and LIVE_FORMAT not in {each.name for each in found.video_formats}:
        raise ConfigError(f"the encoder {name} does not take {LIVE_FORMAT}, in which cameras are sent; use libx264")
    return found


def _delete_unnamed(playlist: Path) -> None:
    """Delete segments that a playlist does not name; FFmpeg forgets one per run (findings/ffmpeg-hls-append.sh)."""
    named = _text_of(playlist).split()
    for segment in playlist.parent.glob(f"{glob.escape(playlist.stem)}*"):
        if _SEGMENT.fullmatch(segment.name[len(playlist.stem) :]) and segment.name not in named:
            with contextlib.suppress(OSError):
                segment.unlink()


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def refuse_unwritable(target: Path, overwrite: bool, source: str | os.PathLike[str] | None) -> None:
    """Check that a file can be written under this name.

    Raises:
        SinkError: if it exists already, is the input, a folder or a device, or its folder is not writable, or missing
            where none can be made.
    """
    if target.is_dir():
        raise SinkError(f"'{target}' is a folder; give the name of a file in it")
    if target.exists() and not target.is_file():
        raise SinkError(
            f"'{target}' is a device or pipe, which no file may replace; use -o - > {target} to write into it"
        )
    folder = next(folder for folder in (target.parent, *target.absolute().parents) if folder.exists())
    if not folder.is_dir():
        raise SinkError(f"'{folder}' is a file, so '{target}' cannot be in it; choose another name for the output")
    if target.exists():
        if source is not None and os.path.exists(source) and os.path.samefile(source, target):
            raise SinkError(f"'{target}' is the input itself; choose another name for the output")
        if not overwrite:
            raise SinkError(f"'{target}' exists already; use --overwrite to replace it")
    require_writable(folder)


_WRITTEN_AS = {"mov": "mp4", "matroska": "matroska", "mpegts": "mpegts", "mpeg": "mpeg", "avi": "avi", "mxf": "mxf",
               "asf": "asf", "flv": "flv"}  # fmt: skip
"""FFmpeg's reader of a format → its writer."""


def _same_extension(target: Path, source: str) -> bool:
    """Whether an output is named like its input, and FFmpeg knows no container by that name."""
    try:
        _by_extension(target)
    except SinkError:
        return target.suffix.lower() == Path(source).suffix.lower()
    return False


def _as_input(like: str) -> str | None:
    return next((_WRITTEN_AS[name] for name in like.split(",") if name in _WRITTEN_AS), None)


def _known(container: str) -> str:
    try:
        known = av.ContainerFormat(container, "w")
    except ValueError:
        raise SinkError(f"there is no container format '{container}'") from None
    if has_flag(known, Flags.no_file):  # its muxer opens more files itself and overwrites what has their names
        raise SinkError(f"{known.name} is not one file; use .mp4, .mkv, .mov, .webm, .avi or .ts, or `live` for HLS")
    return known.name


def _by_extension(path: Path) -> str:
    """FFmpeg's choice for a file name; nothing is opened by asking."""
    try:
        container = av.open(f"file:{path}", "w").format.name
    except (ValueError, av.error.FFmpegError):
        wrong = f"the extension '{path.suffix}', which no container uses" if path.suffix else "no extension"
        raise SinkError(f"'{path}' has {wrong}; use .mp4, .mkv, .mov, .webm, .avi or .ts") from None
    if container in ("image2", "null"):
        raise SinkError(
            f"'{path}' names a kind of picture that cannot be written; use .png, .jpg, .tif or .webp, or for a video "
            ".mp4 or .mkv"
        )
    return _known(container)

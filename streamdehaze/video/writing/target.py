"""Where a file is written: checked before any work, under a partial name until it is whole."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
from av.container import OutputContainer

from streamdehaze.durable import rename_durably, sync_file
from streamdehaze.errors import SinkError
from streamdehaze.video.pyav import ANY_METADATA
from streamdehaze.video.writing.codecs import MOV_FAMILY


@dataclass(frozen=True)
class Target:
    """A file to be, or standard output."""

    path: Path | None
    """None for standard output."""
    format: str
    """FFmpeg's name of the container format."""

    @classmethod
    def of(cls, path: str | os.PathLike[str], container: str | None, overwrite: bool, source: str | None) -> Target:
        """Check that `path` can be written.

        Raises:
            SinkError: if it exists already, is the input or a terminal, or its folder is missing or may not be
                written to.
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
        container = _known(container) if container is not None else _by_ending(target)
        return cls(target, container)

    @property
    def name(self) -> str:
        """The file in words."""
        return "standard output" if self.path is None else f"'{self.path}'"

    @property
    def partial(self) -> Path | None:
        """What it is called while it is being written."""
        return None if self.path is None else self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")

    def open(self) -> OutputContainer:
        """The container to write into."""
        place = "pipe:1" if self.partial is None else f"file:{self.partial}"
        container: OutputContainer = av.open(place, "w", format=self.format, **ANY_METADATA)
        return container

    def publish(self) -> None:
        """Give the finished file its name, once its content is on the disk."""
        if self.path is not None and self.partial is not None:
            sync_file(self.partial)
            rename_durably(self.partial, self.path)

    def discard(self) -> None:
        """Remove the partial file."""
        if self.partial is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.partial)


def refuse_unwritable(target: Path, overwrite: bool, source: str | os.PathLike[str] | None) -> None:
    """Check that a file can be written under this name.

    Raises:
        SinkError: if it exists already, is the input, or its folder is missing or may not be written to.
    """
    if target.is_dir():
        raise SinkError(f"'{target}' is a folder; give the name of a file in it")
    folder = target.parent
    if not folder.is_dir():
        raise SinkError(f"the folder '{folder}' does not exist; create it first")
    if target.exists():
        if source is not None and os.path.exists(source) and os.path.samefile(source, target):
            raise SinkError(f"'{target}' is the input itself; choose another name for the output")
        if not overwrite:
            raise SinkError(f"'{target}' exists already; use --overwrite to replace it")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise SinkError(f"the folder '{folder}' may not be written to")


def _known(container: str) -> str:
    try:
        return av.ContainerFormat(container, "w").name
    except ValueError:
        raise SinkError(f"there is no container format '{container}'") from None


def _by_ending(path: Path) -> str:
    """FFmpeg's choice for a file name; nothing is opened by asking."""
    try:
        container = av.open(f"file:{path}", "w").format.name
    except (ValueError, av.error.FFmpegError):
        ending = f"'{path.suffix}'" if path.suffix else "no ending"
        raise SinkError(
            f"'{path}' has {ending}, which no container goes by; use .mp4, .mkv, .mov, .webm, .avi or .ts"
        ) from None
    if container in ("image2", "null"):
        raise SinkError(
            f"'{path}' names a kind of picture that cannot be written; use .png, .jpg, .tif or .webp, or for a video "
            ".mp4 or .mkv"
        )
    return container

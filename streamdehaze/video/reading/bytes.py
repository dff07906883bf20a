"""The bytes of files and pipes: what FFmpeg reads them through."""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
from typing import IO

from streamdehaze.errors import Cancelled, SourceError

_BEGINNING_BYTES = 1 << 22
_POLL_SECONDS = 0.1
"""Longest time a waiting read takes to notice the stop event."""


class StoredFile:
    """A file on a disk or a network share.

    FFmpeg's own file protocol reports a failed read to the demuxer, and most demuxers then act as if the file ended
    there: the result from a share that went away would look complete.
    """

    def __init__(self, path: str) -> None:
        """Open a file.

        Raises:
            OSError: if that fails.
        """
        self.name = f"file:{path}"
        """For FFmpeg: playlists name their files relative to it."""
        self._path = path
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (FFmpeg buffers; `close` closes it)
        self._failed = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b"" at the end, and after a failure.

        Raises:
            SourceError: the first time reading fails; PyAV carries it past FFmpeg.
        """
        if self._failed:
            return b""
        try:
            return self._file.read(size)
        except OSError as error:
            self._failed = True
            raise SourceError(f"'{self._path}' cannot be read any further: {error.strerror}") from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position and return it, or FFmpeg's error code if a damaged file asks for an impossible one."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, OverflowError):
            return -errno.EINVAL

    def tell(self) -> int:
        """The position in the file."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file; PyAV leaves that to its owner."""
        self._file.close()


class Pipe:
    """A pipe whose silence does not keep the program from being stopped.

    FFmpeg's own pipe protocol waits inside a system call, where neither Ctrl-C nor a stop event reaches it.
    """

    def __init__(self, stop: threading.Event, descriptor: int = 0, name: str = "standard input") -> None:
        self.name = name
        self.beginning = bytearray()
        """What was read first, which cannot be read again."""
        self._stop, self._descriptor = stop, descriptor

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are any; b"" at the end.

        Raises:
            Cancelled: if the stop event is set meanwhile.
        """
        # On Windows `select` knows only sockets, so a read there waits until data or the end comes.
        while os.name == "posix" and not select.select([self._descriptor], [], [], _POLL_SECONDS)[0]:
            if self._stop.is_set():
                raise Cancelled(f"stopped while waiting for {self.name}")
        data = os.read(self._descriptor, size)
        if len(self.beginning) < _BEGINNING_BYTES:
            self.beginning += data
        return data

    def close(self) -> None:
        """Close a named pipe; standard input stays open."""
        if self._descriptor > 0:
            os.close(self._descriptor)
            self._descriptor = -1


def standard_input(stop: threading.Event) -> IO[bytes] | Pipe:
    """Standard input; waiting for a pipe ends once `stop` is set.

    A file at the other end (``< foggy.mp4``) never blocks, and can be read in any order.
    """
    try:
        is_file = stat.S_ISREG(os.fstat(0).st_mode)
    except OSError:  # closed; the first read reports it
        is_file = False
    return open(0, "rb", closefd=False) if is_file else Pipe(stop)


def named_pipe(path: str, stop: threading.Event) -> Pipe:
    """A FIFO (`mkfifo`), opened once; waiting for its writer also ends once `stop` is set.

    Raises:
        OSError: if it cannot be opened.
    """
    return Pipe(stop, os.open(path, os.O_RDONLY | os.O_NONBLOCK), path)


def is_named_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a FIFO."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False

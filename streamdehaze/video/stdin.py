"""Standard input and named pipes, whose silence does not keep the program from being stopped."""

from __future__ import annotations

import os
import select
import stat
import threading
from typing import IO

from streamdehaze.errors import Cancelled

_POLL_SECONDS = 0.1
"""Longest time a waiting read takes to notice the stop event."""


def standard_input(stop: threading.Event) -> IO[bytes] | Pipe:
    """Standard input as something to read from; waiting for a pipe ends once `stop` is set.

    A file at the other end (``< foggy.mp4``) never makes anyone wait, and can be read in any order.
    """
    try:
        is_file = stat.S_ISREG(os.fstat(0).st_mode)
    except OSError:  # closed; the first read says so
        is_file = False
    return open(0, "rb", closefd=False) if is_file else Pipe(stop)


def is_named_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a FIFO (`mkfifo`)."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def named_pipe(path: str, stop: threading.Event) -> Pipe:
    """A FIFO to read from, opened once; waiting for its writer ends once `stop` is set, too.

    Raises:
        OSError: if it cannot be opened.
    """
    return Pipe(stop, os.open(path, os.O_RDONLY | os.O_NONBLOCK), path)


class Pipe:
    """What FFmpeg reads a pipe through.

    FFmpeg's own pipe protocol waits inside a system call, where neither Ctrl-C nor a stop event reaches it.
    """

    def __init__(self, stop: threading.Event, descriptor: int = 0, name: str = "standard input") -> None:
        self.name = name
        self._stop, self._descriptor = stop, descriptor

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are any; b"" at the end.

        Raises:
            Cancelled: if the stop event is set meanwhile.
        """
        # Elsewhere `select` knows only sockets, so a read there waits to its end.
        while os.name == "posix" and not select.select([self._descriptor], [], [], _POLL_SECONDS)[0]:
            if self._stop.is_set():
                raise Cancelled(f"stopped while waiting for {self.name}")
        return os.read(self._descriptor, size)

    def close(self) -> None:
        """Give a named pipe back; standard input stays open."""
        if self._descriptor > 0:
            os.close(self._descriptor)
            self._descriptor = -1

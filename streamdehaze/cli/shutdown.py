"""Shutdown on signals: what is being written is finished, and nothing else is waited for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from types import FrameType
from typing import Any

log = logging.getLogger("streamdehaze.live")

SHUTDOWN = "streamdehaze.shutdown"
"""Key of a command's handler in `click.Context.meta`."""
LEAVE_SECONDS = 4.6
"""From the signal to the end of the process at the latest; five are promised."""
ONE_SIGNAL_SECONDS = 0.5
"""Signals this close together are one: tools that stop a process signal it and its group."""
_LOG_SECONDS = 0.2
_UNFINISHED = 1


class ShutdownHandler:
    """Handles SIGTERM, Ctrl-C and SIGHUP while it is entered, and makes sure that the process exits in time.

    Python runs handlers of signals in the main thread, between two steps of its own: not before a library has been
    loaded or an engine compiled, which may take a minute. A thread that reads what the interpreter writes for each
    signal (`signal.set_wakeup_fd`) hears them at once. And tearing down PyTorch, OpenVINO and the interpreter takes
    half a second of processor time, ten seconds on a busy machine, with nothing left to gain: `leave` skips it.

    Enter it in the main thread.

    Args:
        leave_seconds: from the first signal to the end of the process at the latest.
        hears_reload: whether SIGHUP sets `reload`; otherwise it has its default effect.
    """

    def __init__(self, leave_seconds: float = LEAVE_SECONDS, *, hears_reload: bool = True) -> None:
        self._leave_seconds = leave_seconds
        self._names = ("SIGINT", "SIGTERM", "SIGHUP") if hears_reload else ("SIGINT", "SIGTERM")
        self.stop = threading.Event()
        """Set by the first SIGTERM or Ctrl-C; another, `ONE_SIGNAL_SECONDS` later, ends the process on the spot."""
        self.reload = threading.Event()
        """Set by SIGHUP; whoever reads the configuration again clears it."""
        self.has_work = False
        """Whether files and streams have to be finished; until it is set, the process exits on the first signal."""
        self._deadline: float | None = None
        self.signal = signal.SIGINT.value
        """The number of the first one."""
        self._stopped_at = 0.0
        self._before: dict[int, Any] = {}
        self._wakeup = -1
        self._reader, self._writer = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)

    def __enter__(self) -> ShutdownHandler:
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for name in self._names:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None:
                self._before[number] = signal.signal(number, _heard_elsewhere)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        if not self.stop.is_set():  # else the thread keeps watching the clock
            self._writer.close()
            self._thread.join()
            self._reader.close()

    def leave(self, *, finished: bool) -> None:
        """End the process at once if it was asked to stop; with exit code 1 if not everything was finished."""
        if self.stop.is_set():
            os._exit(0 if finished else _UNFINISHED)  # lines of the log are flushed as they are written

    def _listen(self) -> None:
        while numbers := self._hear():
            for number in numbers:
                if number == getattr(signal, "SIGHUP", None):
                    self.reload.set()
                elif number in (signal.SIGINT, signal.SIGTERM):
                    if self.stop.is_set():
                        if time.monotonic() - self._stopped_at > ONE_SIGNAL_SECONDS:
                            os._exit(128 + number)
                        continue
                    self._stopped_at, self.signal = time.monotonic(), number
                    self.stop.set()
                    if not self.has_work:
                        os._exit(0)
                    self._deadline = time.monotonic() + self._leave_seconds

    def _hear(self) -> bytes:
        if self._deadline is not None:
            self._reader.settimeout(max(0.001, self._deadline - time.monotonic()))
        try:
            return self._reader.recv(64)
        except TimeoutError:
            text = "not everything could be finished in %g s; exiting anyway"
            logger_thread = threading.Thread(target=log.error, args=(text, self._leave_seconds), daemon=True)
            logger_thread.start()
            logger_thread.join(_LOG_SECONDS)  # the reader of the log may be what everything waits for
            os._exit(_UNFINISHED)


def _heard_elsewhere(number: int, frame: FrameType | None) -> None:
    """There has to be a handler, or the signal would have its default effect."""

"""Telling systemd that the service is ready, and that it still works (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time


class ServiceManager:
    """Speaks to the service manager that started this process; without one, nothing is sent.

    Args:
        environment: where $NOTIFY_SOCKET and $WATCHDOG_USEC are.
    """

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        self._place = found.get("NOTIFY_SOCKET", "")
        self._interval = int(found.get("WATCHDOG_USEC", "0")) / 2e6
        self._sent_at = float("-inf")

    def ready(self) -> None:
        """The cameras are being opened."""
        self._send("READY=1")

    def works(self) -> None:
        """Everything still moves; to be called often. A service that stops calling is restarted."""
        now = time.monotonic()
        if self._interval and now - self._sent_at >= self._interval:
            self._sent_at = now
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Files are being finished."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._place:
            return
        name = "\0" + self._place[1:] if self._place.startswith("@") else self._place
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as sender:
                sender.connect(name)
                sender.sendall(message.encode())
        except OSError:  # it will notice
            return

"""Keeps one camera connected: opens it, watches it, tears it down when it stalls, and tries again in time."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from streamdehaze.address import Address
from streamdehaze.errors import StreamDehazeError
from streamdehaze.live.background import Background
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.retry import Recurrence, Retry
from streamdehaze.live.state import CameraState, StateMachine
from streamdehaze.live.status import CameraCounters
from streamdehaze.process import give_back
from streamdehaze.video.fault import Fault, silence
from streamdehaze.video.reading.camera import Connection, Receiver

log = logging.getLogger("streamdehaze.live")

_FIRST_RETRY_SECONDS = 0.25
_FIRST_SLOW_RETRY_SECONDS = 5.0
_SETTLED_SECONDS = 10.0
"""A camera that ran this long gets quick retries again."""
_MOST_ABANDONED = 3
"""Connections whose thread is still blocked; with this many, no further one is opened."""
_JOIN_SECONDS = 1.0
_ARRIVING = (CameraState.RUNNING, CameraState.UNCLEAR)


class Supervisor(Background):
    """The thread that holds the truth about a camera; connections come and go under it.

    Args:
        config: of the camera.
        receiver: of pictures and sound.
        machine: whose states it moves through.
        counters: where reconnects are counted.
        unclear: tells why the frames that arrive do not leave clear; "" while they do.
    """

    def __init__(
        self,
        config: CameraConfig,
        receiver: Receiver,
        machine: StateMachine,
        counters: CameraCounters,
        unclear: Callable[[], str] = lambda: "",
    ) -> None:
        super().__init__(f"supervisor-{config.name}")
        self._unclear = unclear
        self._config, self._receiver, self._is_live = config, receiver, config.is_live
        self._machine, self._counters = machine, counters
        self._connection: Connection | None = None
        self._abandoned: list[Connection] = []
        quick = (_FIRST_RETRY_SECONDS, config.retry_seconds)
        slow = (_FIRST_SLOW_RETRY_SECONDS, config.slow_retry_seconds)
        self._retry = Retry(config.name, quick, slow, config.name)
        self._recurrence = Recurrence()
        """Of frames that do not leave clear."""
        self._has_run = False

    def stop(self) -> None:
        """Release the camera; `join` waits for that."""
        super().stop()
        if (connection := self._connection) is not None:
            connection.abandon()
            with connection.changed:
                connection.changed.notify_all()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                fault = self._attempt()
                if self._stop.is_set():
                    break
                if fault is None:
                    self._machine.to(CameraState.ENDED, "the file has ended")
                    return
                self._wait_after(fault)
        finally:
            if self._machine.state is not CameraState.ENDED:
                with contextlib.suppress(ValueError):
                    self._machine.to(CameraState.ENDED, "stopped")

    def _attempt(self) -> Fault | None:
        """Open the camera and watch it to its end; None where a file has ended."""
        try:
            address = self._config.address()  # looked up each time: a password file may have been fixed
        except StreamDehazeError as error:
            return Fault("unauthorized", str(error), permanent=True)
        sound = self._config.audio and self._config.is_encoded
        connection = Connection(self._config, address, self._receiver, sound=sound)
        self._connection = connection
        connection.start()
        try:
            return self._watch(connection, address)
        finally:
            connection.abandon()
            connection.join(_JOIN_SECONDS if not connection.over or self._stop.is_set() else 2 * _JOIN_SECONDS)
            self._abandoned = [old for old in (*self._abandoned, connection) if old.alive]
            self._connection = None
            give_back()

    def _watch(self, connection: Connection, address: Address) -> Fault | None:
        opened_at = time.monotonic()
        while True:
            with connection.changed:
                if not connection.over and not self._stop.is_set():
                    connection.changed.wait(0.2)
            if self._stop.is_set():
                return None
            if connection.has_pictures and self._machine.state is CameraState.CONNECTING:
                self._runs(address)
            if connection.over:
                return connection.fault
            now = time.monotonic()
            if not connection.is_open:
                if now > opened_at + self._config.open_seconds:
                    return Fault("silent", f"{address.shown} did not answer within {self._config.open_seconds:g} s")
            elif self._is_live and now > connection.last_sign + self._config.stall_seconds:
                fault = silence(address, self._config.stall_seconds)
                self._machine.to(CameraState.STALLED, fault.message)
                return fault
            self._look_for_clear_frames()
            if self._machine.state in _ARRIVING and self._machine.seconds > _SETTLED_SECONDS:
                self._retry.settled()

    def _look_for_clear_frames(self) -> None:
        if self._machine.state not in _ARRIVING:
            return
        reason, name, extra = self._unclear(), self._config.name, {"camera": self._config.name}
        if reason and self._machine.state is CameraState.RUNNING:
            if self._recurrence.note(reason):
                log.warning("%s: %s%s", name, reason, self._recurrence.how_often, extra=extra)
            self._machine.to(CameraState.UNCLEAR, reason)
        elif not reason and self._machine.state is CameraState.UNCLEAR:
            if not self._recurrence.is_quiet:
                log.warning("%s: its frames leave clear again", name, extra=extra)
            self._machine.to(CameraState.RUNNING)

    def _runs(self, address: Address) -> None:
        self._machine.to(CameraState.RUNNING)
        if self._has_run:
            self._counters.reconnected()
        if self._has_run or self._retry.reported:
            self._retry.back(address.shown)
        else:
            log.info("%s: runs (%s)", self._config.name, address.shown, extra={"camera": self._config.name})
        self._has_run = True

    def _wait_after(self, fault: Fault) -> None:
        ran = self._machine.state in (*_ARRIVING, CameraState.STALLED)
        is_first = not self._retry.reported
        wait = self._retry.after(fault)
        if ran and is_first and not fault.permanent:
            wait = min(wait, _FIRST_RETRY_SECONDS)
        state = CameraState.FAILED if fault.permanent and not ran else CameraState.BACKING_OFF
        self._machine.to(state, fault.message)
        self._stop.wait(wait)
        while not self._stop.is_set() and sum(old.alive for old in self._abandoned) >= _MOST_ABANDONED:
            self._stop.wait(0.2)
        if not self._stop.is_set():
            self._machine.to(CameraState.CONNECTING, fault.message)

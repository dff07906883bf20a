"""Work in threads of its own, as cameras need several."""

from __future__ import annotations

import threading


class Background:
    """Works in a thread of its own from `start` to `stop`.

    Subclasses implement `_run`, which ends soon after `_stop` is set. The thread is a daemon, so code that
    depends on its end joins it after `stop`.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; `join` waits for that."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end, or `timeout` seconds; whether it has come."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self.alive

    @property
    def alive(self) -> bool:
        """Whether it may still be at work."""
        return self._thread.is_alive()

    def _run(self) -> None:
        raise NotImplementedError

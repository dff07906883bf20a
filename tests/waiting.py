"""Waiting for something that another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 300.0
"""So long that a busy machine fails no test, and a hang fails one in words; no test promises a time by it."""


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds, or fail.

    Args:
        holds: asked fifty times a second.
        what: what is waited for, for the failure's message.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"still not so after {PATIENCE_SECONDS:.0f} s: {what}"
        time.sleep(0.02)

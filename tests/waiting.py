"""Waiting for something that another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 300.0
"""Long enough for a busy machine; a test that hangs fails with a message. It is not a promise about time."""


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

"""Python's collector of cyclic garbage, kept from searching what stays until the end: imported modules.

Where `run` made 50 frames of 720p clear, a fifth of the processor time went into such searches: 0.1 s while modules
were imported, and 0.35 s at the end, when all that the process still held was searched before it ended anyway.
"""

from __future__ import annotations

import atexit
import gc

_USUAL = gc.get_threshold()
_WHILE_STARTING = 50_000
"""New objects after which the collector searches; 700 to 2,000 is usual."""


def rest() -> None:
    """Search rarely while modules are imported, and not at all where the process ends."""
    gc.set_threshold(_WHILE_STARTING)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


def resume() -> None:
    """Search as often as usual, but not in what there is by now: call it where a long work begins."""
    gc.freeze()
    gc.set_threshold(*_USUAL)

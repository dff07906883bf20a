"""`streamdehaze run` that holds the work at a frame until it is stopped, however fast the machine is.

Usage: python held_run.py FRAME run INPUT … (frames are counted from 1, in the order they are shown)
"""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path
from typing import Any

from streamdehaze import Frame, pipeline
from streamdehaze.cli import main

_dehaze_video = pipeline.dehaze_video


def held_run(frame: int, *arguments: str | Path) -> list[str]:
    """The command that runs this."""
    return [sys.executable, __file__, str(frame), *map(str, arguments)]


def _dehaze_video_and_hold(*ends: Any, stop: threading.Event, **options: Any) -> object:
    numbers = itertools.count(1)

    def hold(hazy: Frame, clear: Frame) -> None:
        if next(numbers) >= int(sys.argv[1]):
            stop.wait()

    return _dehaze_video(*ends, stop=stop, on_frame=hold, **options)


if __name__ == "__main__":
    pipeline.dehaze_video = _dehaze_video_and_hold  # type: ignore[assignment]
    main(sys.argv[2:])

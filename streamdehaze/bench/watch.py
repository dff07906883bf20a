"""A dehazer on a video, watched for what it adds to a picture that stands still."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from streamdehaze.dehaze import Dehazer
from streamdehaze.dehaze.steady.stillness import StillnessMeter
from streamdehaze.frame import Frame
from streamdehaze.video.rgb import RgbConverter


def watch(frames: Iterable[Frame], dehazer: Dehazer) -> StillnessMeter:
    """Dehaze a video from its beginning, and measure each clear frame next to the hazy one."""
    meter, rgb = StillnessMeter(), RgbConverter()
    waiting: deque[Frame] = deque()  # hazy ones whose clear one is held back

    def compare(clear_frames: list[Frame]) -> None:
        for clear in clear_frames:
            meter.add(rgb(waiting.popleft()), rgb(clear))

    dehazer.reset()
    for frame in frames:
        waiting.append(frame)
        compare(dehazer.process([frame]))
    compare(dehazer.flush())
    return meter

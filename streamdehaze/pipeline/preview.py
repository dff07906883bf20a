"""What a run would do with an input, found out without doing it."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from streamdehaze.pipeline.ends import open_sink, open_source
from streamdehaze.video import SEGMENT_SECONDS, EncodeOptions, ReadOptions
from streamdehaze.video.writing.publish import OutputPlan


@dataclass(frozen=True)
class Preview:
    """An input, its output, and how that would be written."""

    input: str
    output: str
    plan: OutputPlan

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"input": self.input, "output": self.output, **asdict(self.plan)}

    def __str__(self) -> str:
        lines = [f"{self.input} -> {self.output}: encoder {self.plan.encoder}, pixel format {self.plan.pixel_format}"]
        lines += [f"  copies {stream}" for stream in self.plan.copied]
        lines += [f"  lacks of its input: {loss}" for loss in self.plan.losses]
        return "\n".join(lines)


def preview_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    read: ReadOptions | None = None,
    encode: EncodeOptions | None = None,
    container: str | None = None,
    overwrite: bool = False,
    stop: threading.Event | None = None,
) -> Preview:
    """Read the first frame of `source`, and find out how `dehaze_video` would write `target`: nothing is written.

    Args:
        source, target, read, encode, container, overwrite, stop: as for `dehaze_video`.

    Raises:
        StreamDehazeError: whatever would end the work before it begins.
    """
    with closing(open_source(source, read, stop=stop)) as opened:
        sink = open_sink(
            target, opened, encode=encode, container=container, overwrite=overwrite, segment_seconds=SEGMENT_SECONDS
        )
        try:
            plan = sink.plan(next(iter(opened)))
        finally:
            sink.abort()
    return Preview(os.fspath(source), os.fspath(target), plan)

"""What a run would do with an input, found out without doing it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from streamdehaze.pipeline.ends import open_sink, open_source
from streamdehaze.pipeline.options import RunOptions
from streamdehaze.pipeline.streams import video_numbers
from streamdehaze.video import EncodeOptions, ReadOptions
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
        lines += [f"  not kept: {loss}" for loss in self.plan.losses]
        return "\n".join(lines)


def preview_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    read: ReadOptions | None = None,
    encode: EncodeOptions | None = None,
    run: RunOptions | None = None,
    stop: threading.Event | None = None,
) -> Preview:
    """Read the first frame of `source`, and find out how `dehaze_video` would write `target`: nothing is written.

    Args:
        source, target, read, encode, run, stop: as for `dehaze_video`.

    Raises:
        StreamDehazeError: whatever would end the work before it begins.
    """
    run = run or RunOptions()
    read = read or ReadOptions()
    streams: Sequence[int | None]
    streams = video_numbers(os.fspath(source)) if read.video_stream == "all" else [read.video_stream]
    plans = [_plan(source, target, replace(read, video_stream=number), encode, run, stop) for number in streams]
    return Preview(os.fspath(source), os.fspath(target), _together(plans))


def _plan(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    read: ReadOptions,
    encode: EncodeOptions | None,
    run: RunOptions,
    stop: threading.Event | None,
) -> OutputPlan:
    with closing(open_source(source, read, stop=stop)) as opened:
        sink = open_sink(
            target,
            opened,
            encode=encode,
            container=run.container,
            overwrite=run.overwrite,
            segment_seconds=run.segment_seconds,
        )
        try:
            return sink.plan(next(iter(opened)))
        finally:
            sink.abort()


def _together(plans: Sequence[OutputPlan]) -> OutputPlan:
    """One plan for passes over several video streams, each of which copies what all the others do not write."""
    first, *more = plans
    copied = [stream for stream in first.copied if all(stream in plan.copied for plan in more)]
    losses = dict.fromkeys(loss for plan in plans for loss in plan.losses)
    return OutputPlan(
        ", ".join(dict.fromkeys(plan.encoder for plan in plans)),
        ", ".join(dict.fromkeys(plan.pixel_format for plan in plans)),
        tuple(copied),
        tuple(losses),
    )

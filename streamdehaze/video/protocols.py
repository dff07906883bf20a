"""What the pipeline asks of the two ends of a video; write your own and `dehaze_video` takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.video.cut import Cut


@runtime_checkable
class Source(Protocol):
    """Where hazy frames come from."""

    @property
    def info(self) -> VideoInfo:
        """What is known before the first frame."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order, once."""
        ...

    def close(self) -> None:
        """Let go of files and devices; may be called twice."""
        ...


@runtime_checkable
class Sink(Protocol):
    """Where clear frames go to."""

    def write(self, frame: Frame) -> None:
        """Take the next frame in presentation order."""
        ...

    def close(self) -> None:
        """Finish the output and give it its final name."""
        ...

    def abort(self) -> None:
        """Give the output up and leave nothing under its final name; may be called after a failed `close`."""
        ...


@runtime_checkable
class SegmentSink(Sink, Protocol):
    """A sink that keeps what is finished: after a cut, all that came before it is safe."""

    @property
    def length(self) -> int:
        """Frames of a segment, at least."""
        ...

    @property
    def ended(self) -> bool:
        """Whether no frame is left to write, and `close` alone finishes the output."""
        ...

    def take_up(self, settings: Mapping[str, Any]) -> Cut | None:
        """Begin, or go on with earlier work of the same `settings`: the cut behind which the next frame is wanted."""
        ...

    def cut(self, cut: Cut) -> None:
        """End a segment here; the frames that follow begin the next one."""
        ...

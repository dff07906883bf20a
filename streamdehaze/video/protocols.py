"""The two ends of a video as the pipeline sees them; `dehaze_video` accepts implementations of your own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.video.resume.cut import Cut, Cutter

if TYPE_CHECKING:
    from typing_extensions import Self


@runtime_checkable
class Source(Protocol):
    """Where hazy frames come from."""

    @property
    def info(self) -> VideoInfo:
        """The facts known before the first frame."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order, once."""
        ...

    def close(self) -> None:
        """Release files and devices; may be called twice."""
        ...


class Reader(Source):
    """A source that `with` closes and that counts damage: every source that `open_source` returns is one."""

    damaged: int = 0
    """Places so far that could not be read, or whose damage the decoder concealed."""
    _info: VideoInfo

    @property
    def info(self) -> VideoInfo:
        """The facts known before the first frame."""
        return self._info

    @property
    def besides(self) -> list[str]:
        """What there is that a sequence of pictures has no place for, as text."""
        return []

    def close(self) -> None:
        """Nothing is open, unless a subclass has something."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


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
        """Discard the output and leave nothing under its final name; may be called after a failed `close`."""
        ...


@runtime_checkable
class SegmentSink(Sink, Protocol):
    """A sink that keeps what is finished: after a cut, all that came before it is safe."""

    @property
    def ended(self) -> bool:
        """Whether no frame is left to write, and `close` alone finishes the output."""
        ...

    def take_up(self, settings: Mapping[str, object]) -> Cut | None:
        """Begin, or continue earlier work of the same `settings`: the cut after which the next frame is wanted."""
        ...

    def cutter(self, begin: Cut | None, *, remembers: bool) -> Cutter:
        """What decides where segments end, from `begin` on; `remembers` is whether frames depend on those before."""
        ...

    def cut(self, cut: Cut) -> None:
        """End a segment here; the frames that follow begin the next one."""
        ...

"""Doubles of the slow parts, for tests of what happens around them: an engine, a source, a sink."""

from __future__ import annotations

import itertools
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from streamdehaze import Dehazer, Frame, VideoInfo
from streamdehaze.engine.build.speed import PairedTiming
from streamdehaze.errors import EngineError, SinkError, SourceError
from streamdehaze.frame import FloatArray
from streamdehaze.pipeline.pipeline import FrameCallback
from waiting import wait_until


def halve(hazy: FloatArray) -> FloatArray:
    """The "network" of most tests: its result for a frame is known, and differs from the frame."""
    return hazy * np.float32(0.5)


class EngineDouble:
    """An engine whose network is a function; it remembers its batches.

    Args:
        answer: the clear pictures for a batch of hazy ones, (B, 3, H, W) in [0, 1].
        before: called before each batch, which is the last of `batches` by then; may wait, or raise.
        seconds: what each picture takes.
    """

    name = "double"
    note = None
    device: str | None = None

    def __init__(
        self,
        answer: Callable[[FloatArray], FloatArray] = halve,
        *,
        before: Callable[[EngineDouble], object] = lambda engine: None,
        seconds: float = 0.0,
    ) -> None:
        self.answer, self.before, self.seconds = answer, before, seconds
        self.batches: list[tuple[int, ...]] = []
        """Shapes of the batches so far."""

    @property
    def pictures(self) -> int:
        """How many pictures it has been given."""
        return sum(shape[0] for shape in self.batches)

    def infer(self, hazy: FloatArray) -> FloatArray:
        assert all(side % 4 == 0 and side >= 8 for side in hazy.shape[2:]), "see `Engine.infer`"
        self.batches.append(hazy.shape)
        self.before(self)
        time.sleep(self.seconds * len(hazy))
        return self.answer(hazy)

    def split(self, hazy: FloatArray) -> dict[str, float]:
        return {}

    def close(self) -> None:
        """Nothing to free."""


class CompilingDouble(EngineDouble):
    """An engine that compiles for each size, and records sizes that it was given without compiling.

    Args:
        compiling: called while it compiles for any size but the first; may wait.
        refuses: a size that it cannot compile for.
    """

    def __init__(self, compiling: Callable[[], object] = lambda: None, refuses: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.compiling, self.refuses = compiling, refuses
        self.compiled: list[tuple[int, int]] = []
        self.unprepared: list[tuple[int, int]] = []

    def compile_for(self, height: int, width: int, batch: int) -> None:
        if (height, width) == self.refuses:
            raise EngineError("no")
        if (height, width) not in self.compiled:
            if self.compiled:
                self.compiling()
            self.compiled.append((height, width))

    def release(self, height: int, width: int) -> None:
        self.compiled.remove((height, width))

    def infer(self, hazy: FloatArray) -> FloatArray:
        if hazy.shape[2:] not in self.compiled:
            self.unprepared.append(hazy.shape[2:])
        return super().infer(hazy)


def timing(
    engine: float, pytorch: float, *, processor: float | None = None, others: float | None = 0.0, days_ago: float = 0.0
) -> PairedTiming:
    """A measurement of an engine and PyTorch, in milliseconds of wall time.

    Args:
        engine, pytorch: time per picture.
        processor: the engine's processor time, if it differs in its ratio to PyTorch's.
        others: share of the machine that other processes took.
        days_ago: when.
    """
    return PairedTiming(
        taken=datetime.now(timezone.utc) - timedelta(days=days_ago),
        milliseconds=engine,
        torch_milliseconds=pytorch,
        processor_milliseconds=engine if processor is None else processor,
        torch_processor_milliseconds=pytorch,
        others=others,
    )


def plain_dehazer(checkpoint: str = "aecrnet-s", **settings: Any) -> Dehazer:
    """A dehazer that keeps the tint and brightness of its network's results, so that they are known."""
    return Dehazer(checkpoint, **{"airlight": "keep", "brightness": "natural", **settings})


def quick_dehazer(seconds: float = 0.0) -> Dehazer:
    """A dehazer whose network halves, and takes `seconds` per picture."""
    return plain_dehazer(engine=EngineDouble(seconds=seconds))


def unveiled(picture: FloatArray, nerves: float) -> FloatArray:
    """Remove a constant veil, with a slightly different error for each picture."""
    rng = np.random.default_rng(zlib.crc32(picture.tobytes()))
    coarse = rng.normal(0, nerves, (6, 8)).astype(np.float32) + np.float32(rng.normal(0, nerves / 3))
    error = cv2.resize(coarse, picture.shape[:0:-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(picture * (0.5 + 0.6 * picture) + error, 0, 1)


def engine_of(clear: Callable[[FloatArray], FloatArray]) -> EngineDouble:
    """A "network" that is a function of one picture."""
    return EngineDouble(lambda hazy: np.stack([clear(picture) for picture in hazy]))


def nervous_engine(nerves: float = 0.03) -> EngineDouble:
    """A "network" that errs a little differently with each picture it sees."""
    return engine_of(lambda picture: unveiled(picture, nerves))


def stopping_at(number: int, stop: threading.Event, once: Callable[[], object] = lambda: True) -> FrameCallback:
    """An `on_frame` that stops the work at a frame: neither it nor a later one is written, however fast the machine.

    Args:
        number: of the frame, from 1.
        stop: set there.
        once: waited for before that; a result of the frames before that one.
    """
    numbers = itertools.count(1)

    def on_frame(hazy: Frame, clear: Frame) -> None:
        if next(numbers) == number:
            wait_until(once, f"what is made of the frames before frame {number}")
            stop.set()

    return on_frame


class CountingSource:
    """`count` frames of 48×32 RGB, 25 a second, 7 ticks from one to the next; can fail or be slow at a given one."""

    def __init__(self, count: int, *, fail_at: int | None = None, delay: float = 0) -> None:
        self.info = VideoInfo(48, 32, "rgb24", Fraction(25), Fraction(1, 175), count, None, "rawvideo")
        self.count, self.fail_at, self.delay = count, fail_at, delay
        self.produced = 0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            if index == self.fail_at:
                raise SourceError("'foggy.mp4' breaks off")
            time.sleep(self.delay)
            self.produced += 1
            picture = np.full((32, 48, 3), index * 2 % 256, np.uint8)
            yield Frame.from_array(picture, pts=index * 7, time_base=self.info.time_base)

    def close(self) -> None:
        """Nothing to free."""


class ListSink:
    """Keeps its frames; can fail on writing or closing."""

    def __init__(self, *, fail_at: int | None = None, fail_on_close: bool = False, delay: float = 0) -> None:
        self.frames: list[Frame] = []
        self.closed = self.aborted = False
        self.fail_at, self.fail_on_close, self.delay = fail_at, fail_on_close, delay

    def write(self, frame: Frame) -> None:
        if len(self.frames) == self.fail_at:
            raise SinkError("no space left for 'clear.mp4'")
        time.sleep(self.delay)
        self.frames.append(frame)

    def close(self) -> None:
        if self.fail_on_close:
            raise SinkError("'clear.mp4' cannot be finished")
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

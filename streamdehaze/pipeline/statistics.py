"""How long each stage worked and waited, and so which one the others wait for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class StageStatistics:
    """Written by the stage's own thread, read by others at any time."""

    name: str
    frames: int = 0
    """Frames that left the stage."""
    busy_seconds: float = 0.0
    """Wall time spent working."""
    waiting_seconds: float = 0.0
    """Wall time spent waiting for the stage before or after."""
    cpu_seconds: float = 0.0
    """Processor time of the stage's own thread; threads of codecs and engines are not in it."""

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count the time inside as work."""
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self.busy_seconds += time.perf_counter() - wall
            self.cpu_seconds += time.thread_time() - cpu

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting."""
        wall = time.perf_counter()
        try:
            yield
        finally:
            self.waiting_seconds += time.perf_counter() - wall

    @property
    def load(self) -> float:
        """Share of its time the stage was working, 0 to 1."""
        total = self.busy_seconds + self.waiting_seconds
        return self.busy_seconds / total if total else 0.0


@dataclass
class Statistics:
    """The stages of a run."""

    decode: StageStatistics = field(default_factory=lambda: StageStatistics("decode"))
    dehaze: StageStatistics = field(default_factory=lambda: StageStatistics("dehaze"))
    apply: StageStatistics = field(default_factory=lambda: StageStatistics("apply"))
    encode: StageStatistics = field(default_factory=lambda: StageStatistics("encode"))
    started: float = field(default_factory=time.perf_counter)
    """`time.perf_counter` at the start."""
    seconds: float = 0.0
    """Wall time of the whole run; 0 while it is running."""
    earlier_frames: int = 0
    """Frames of the output that an earlier run finished."""

    def add(self, other: Statistics) -> None:
        """Count another run, which came after this one, as part of it."""
        for stage, more in zip(self.stages, other.stages, strict=True):
            stage.frames += more.frames
            stage.busy_seconds += more.busy_seconds
            stage.waiting_seconds += more.waiting_seconds
            stage.cpu_seconds += more.cpu_seconds
        self.seconds += other.seconds
        self.earlier_frames += other.earlier_frames

    @property
    def stages(self) -> tuple[StageStatistics, ...]:
        """In the order a frame passes them."""
        return self.decode, self.dehaze, self.apply, self.encode

    @property
    def elapsed_seconds(self) -> float:
        """Wall time so far, or in all once the run has ended."""
        return self.seconds or time.perf_counter() - self.started

    @property
    def fps(self) -> float:
        """Frames encoded a second of wall time."""
        return self.encode.frames / self.elapsed_seconds if self.elapsed_seconds else 0.0

    @property
    def bottleneck(self) -> str:
        """Name of the stage that worked longest: the others wait for it."""
        return max(self.stages, key=lambda stage: stage.busy_seconds).name

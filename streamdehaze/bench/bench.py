"""The benchmark: every part alone, then all together, over the combinations asked for."""

from __future__ import annotations

import functools
import itertools
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from streamdehaze.bench.clip import draw_clip, first_frames
from streamdehaze.bench.environment import describe_environment
from streamdehaze.bench.report import BenchReport, Row
from streamdehaze.bench.timing import Timing, measure
from streamdehaze.bench.verdict import calmed, changes, verdict
from streamdehaze.bench.watch import watch
from streamdehaze.dehaze import Dehazer, Stream
from streamdehaze.dehaze.format import network_shape
from streamdehaze.dehaze.steady import Every
from streamdehaze.dehaze.stream import apply
from streamdehaze.engine import Engine, open_engine
from streamdehaze.engine.picture import hazy_pictures
from streamdehaze.errors import EngineError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.pipeline import Pipeline, Statistics
from streamdehaze.video import FileSink, FileSource
from streamdehaze.video.reading.open import Kind, what_is
from streamdehaze.video.reading.recording import record

_FRAMES_IN_MEMORY = 16
_SPLITS = 50

Told = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure: every combination of what is listed."""

    video: str | os.PathLike[str] | None = None
    """A file, or the address of a stream, whose first frames are recorded and then measured like a file's; otherwise a
    clip is drawn for each of `sizes`."""
    sizes: Sequence[tuple[int, int]] = ((1280, 720),)
    network_sizes: Sequence[int] = (192, 256)
    batches: Sequence[int] = (4,)
    checkpoints: Sequence[str] = ("aecrnet-s",)
    engines: Sequence[str] = ("auto",)
    every: Sequence[Every] = ()
    """For each, also a steady pipeline whose network runs on every k-th frame."""
    limit_seconds: float = 10.0
    """For each row, unless it settles earlier."""
    frames: int = 100
    """Of a drawn clip, and the most that are read of a file or received of a stream."""


def run_bench(plan: Plan, told: Told = lambda what: None) -> BenchReport:
    """Measure what a plan asks.

    Engines are opened as with `--engine-wait`: what serves is the engine asked for, not PyTorch in its place.

    Raises:
        StreamDehazeError: if the video, a checkpoint or an engine cannot be had.
    """
    for checkpoint, engine_name, network_size in itertools.product(plan.checkpoints, plan.engines, plan.network_sizes):
        # What cannot be had is told before the minutes of measuring, and what must be built is built.
        Dehazer(checkpoint, engine=open_engine(checkpoint, engine_name, wait=True), network_size=network_size).close()
    environment = describe_environment()
    rows: list[Row] = []
    said: list[tuple[Row, str]] = []
    flicker: list[str] = []
    with tempfile.TemporaryDirectory(prefix="streamdehaze-bench-") as folder:
        for clip in _clips(plan, Path(folder), told):
            ends = [_row(clip, "decode", _decode(plan, clip, told)), _row(clip, "encode", _encode(plan, clip, told))]
            rows += ends
            cases = itertools.product(plan.checkpoints, plan.network_sizes, plan.engines, plan.batches)
            applied = {size: _Application(plan, clip, size, told).rows() for size in plan.network_sizes}
            for found in applied.values():
                rows += found
            for checkpoint, network_size, engine_name, batch in cases:
                engine = open_engine(checkpoint, engine_name, wait=True)
                try:
                    case = _Case(plan, clip, told, checkpoint, network_size, batch, engine)
                    found, run = case.rows()
                finally:
                    engine.close()
                pipeline = next(row for row in found if row.part == "pipeline")
                rows += found
                label = f"{clip.size}, network size {network_size}, {checkpoint}, batch {batch}, {case.engine_name}"
                held_back = verdict([*applied[network_size], *found], _loads(run), environment["cores"])
                said.append((pipeline, f"{label}: {held_back}"))
                steady_row = next(row for row in found if row.part == "steady pipeline")
                flicker.append(calmed(label, pipeline, steady_row))
    verdicts = [sentence + changes(row, rows) for row, sentence in said]
    return BenchReport(environment, rows, [*verdicts, *filter(None, flicker)])


@dataclass(frozen=True)
class _Clip:
    path: Path
    frames: list[Frame]
    result: Path

    @property
    def size(self) -> str:
        return f"{self.frames[0].width}×{self.frames[0].height}"


def _clips(plan: Plan, folder: Path, told: Told) -> Iterator[_Clip]:
    if plan.video is not None:
        path = Path(plan.video)
        if what_is(plan.video) is Kind.STREAM:
            told("receiving the stream")
            path = folder / "received.mkv"
            record(os.fspath(plan.video), path, plan.frames)
        yield _Clip(path, first_frames(path, _FRAMES_IN_MEMORY), folder / "result.mp4")
        return
    for width, height in plan.sizes:
        told(f"drawing a clip of {width}×{height}")
        path = folder / f"{width}x{height}.mp4"
        draw_clip(path, width, height, plan.frames)
        yield _Clip(path, first_frames(path, _FRAMES_IN_MEMORY), folder / "result.mp4")


def _decode(plan: Plan, clip: _Clip, told: Told) -> Timing:
    told(f"{clip.size}: decode")

    def work() -> int:
        source = FileSource(clip.path)
        try:
            return sum(1 for _ in itertools.islice(source, plan.frames))
        finally:
            source.close()

    return measure(work, limit_seconds=plan.limit_seconds, warm_up=1)


def _encode(plan: Plan, clip: _Clip, told: Told) -> Timing:
    told(f"{clip.size}: encode")

    def work() -> int:
        source = FileSource(clip.path)
        try:
            with FileSink(clip.result, source, overwrite=True) as sink:
                step = clip.frames[0].duration or 1
                for index in range(plan.frames):
                    sink.write(replace(clip.frames[index % len(clip.frames)], pts=index * step, opaque=None))
        finally:
            source.close()
        return plan.frames

    return measure(work, limit_seconds=plan.limit_seconds, warm_up=1)


def _row(clip: _Clip, part: str, timing: Timing) -> Row:
    return Row(part, clip.size, None, None, None, None, timing)


def _loads(run: Statistics) -> dict[str, float]:
    return {stage.name: stage.busy_seconds / run.seconds for stage in run.stages}


class _Application:
    """What is done to a frame before and after the network, each step alone."""

    def __init__(self, plan: Plan, clip: _Clip, network_size: int, told: Told) -> None:
        self._plan, self._clip, self._network_size, self._told = plan, clip, network_size, told

    def rows(self) -> list[Row]:
        frame = self._clip.frames[0]
        single = Stream(network_size=self._network_size)
        look = single.look(frame)
        assert look.picture is not None
        # A plausible clear picture: what the maps hold does not change what fitting and applying them costs.
        clear = np.clip(look.picture * 1.3 - 0.2, 0, 1)
        (solution,) = single.solve(look, clear)
        steady = Stream(network_size=self._network_size, steady="low", look_ahead=True)
        film = self._film()

        def shrink() -> int:
            single.look(frame)
            return 1

        def fit() -> int:
            single.solve(look, clear)
            return 1

        def apply_maps() -> int:
            apply(solution)
            return 1

        def steady_maps() -> int:
            for each in itertools.islice(film, _FRAMES_IN_MEMORY):
                steady.solve(steady.look(each), clear)
            return _FRAMES_IN_MEMORY

        rows = []
        for part, work in (("shrink", shrink), ("fit", fit), ("apply", apply_maps), ("steady maps", steady_maps)):
            self._told(f"{self._clip.size}, network size {self._network_size}: {part}")
            timing = measure(work, limit_seconds=self._plan.limit_seconds)
            rows.append(Row(part, self._clip.size, self._network_size, None, None, None, timing))
        return rows

    def _film(self) -> Iterator[Frame]:
        """The frames in memory, forwards and backwards without end, as one video without a cut."""
        frames = self._clip.frames
        for index, frame in enumerate(itertools.cycle([*frames, *frames[-2:0:-1]])):
            yield replace(frame, pts=index, time_base=Fraction(1, 25))


class _Case:
    """One combination on one clip: the engine alone, a frame host to host, and the whole pipeline."""

    def __init__(
        self, plan: Plan, clip: _Clip, told: Told, checkpoint: str, network_size: int, batch: int, engine: Engine
    ) -> None:
        self._plan, self._clip, self._told = plan, clip, told
        self._checkpoint, self._network_size, self._batch, self._engine = checkpoint, network_size, batch, engine
        self.engine_name = engine.name

    def rows(self) -> tuple[list[Row], Statistics]:
        frame = self._clip.frames[0]
        shape = network_shape(frame.width, frame.height, self._network_size)
        hazy = hazy_pictures(self._batch, *shape)
        self._engine.infer(hazy)
        self.engine_name = self._engine.name  # one that was built for this first batch has its name now
        dehazer = Dehazer(self._checkpoint, engine=self._engine, network_size=self._network_size)
        runs: list[Statistics] = []

        def pipeline(worker: Dehazer) -> int:
            source = FileSource(self._clip.path, end=self._end())
            try:
                worker.reset()
                sink = FileSink(self._clip.result, source, overwrite=True)
                runs.append(Pipeline(source, worker, sink, batch_size=self._batch).run())
            finally:
                source.close()
            return runs[-1].encode.frames

        alone = self._row("engine", lambda: len(self._engine.infer(hazy)), batch=self._batch)
        rows = [
            replace(alone, device_ms=self._device_ms(hazy)),
            self._row("frame", lambda: len(dehazer.process([frame])), batch=1),
            replace(
                self._row("pipeline", functools.partial(pipeline, dehazer), batch=self._batch),
                stillness=self._stillness(dehazer),
            ),
        ]
        run = runs[-1]
        for every in (1, *self._plan.every):
            steady = Dehazer(
                self._checkpoint, engine=self._engine, network_size=self._network_size, steady="low", every=every,
                look_ahead=True,
            )  # fmt: skip
            part = "steady pipeline" + (f", every {every}" if every != 1 else "")
            row = self._row(part, functools.partial(pipeline, steady), batch=self._batch)
            rows.append(replace(row, stillness=self._stillness(steady)))
        if self._engine.name != self.engine_name:
            raise EngineError(f"{self.engine_name} gave way to {self._engine.name} while it was measured")
        return rows, run

    def _stillness(self, dehazer: Dehazer) -> dict[str, float | None] | None:
        """What a pipeline adds to a picture that stands still, over the frames that it was measured on."""
        with closing(FileSource(self._clip.path, end=self._end())) as source:
            stillness = watch(source, dehazer).stillness
        return None if stillness is None else asdict(stillness)

    def _device_ms(self, hazy: FloatArray) -> dict[str, float] | None:
        split = getattr(self._engine, "split", None)
        if split is None or not split(hazy):
            return None
        found = [split(hazy) for _ in range(_SPLITS)]
        return {name: statistics.median(call[name] for call in found) for name in found[0]}

    def _end(self) -> float | None:
        # A file longer than the plan's frames is cut by time.
        source = FileSource(self._clip.path)
        try:
            count, rate = source.info.frame_count, source.info.average_rate
        finally:
            source.close()
        if (count is not None and count <= self._plan.frames) or not rate:
            return None
        return self._plan.frames / float(rate)

    def _row(self, part: str, work: Callable[[], int], batch: int) -> Row:
        self._told(f"{self._clip.size}, network size {self._network_size}, {self.engine_name}: {part}")
        timing = measure(work, limit_seconds=self._plan.limit_seconds, warm_up=1 if "pipeline" in part else 2)
        return Row(part, self._clip.size, self._network_size, batch, self._checkpoint, self.engine_name, timing)

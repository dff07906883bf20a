"""The benchmark: every part alone, then all together, for each requested combination."""

from __future__ import annotations

import functools
import itertools
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from streamdehaze.bench.clip import draw_clip, first_frames
from streamdehaze.bench.environment import describe_environment
from streamdehaze.bench.plan import DEFAULT_FRAMES, BenchPlan
from streamdehaze.bench.report import BenchReport, Measurement
from streamdehaze.bench.timing import measure
from streamdehaze.bench.verdict import calmed, changes, verdict
from streamdehaze.bench.watch import watch
from streamdehaze.dehaze import Dehazer, Stream
from streamdehaze.dehaze.format import network_shape
from streamdehaze.dehaze.gpu import Gpu
from streamdehaze.dehaze.stream import apply
from streamdehaze.engine import Engine, open_engine
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.errors import EngineError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.pipeline import Pipeline, Statistics
from streamdehaze.video import FileSink, FileSource
from streamdehaze.video.reading.open import Kind, what_is
from streamdehaze.video.reading.recording import record

_FRAMES_IN_MEMORY = 16
_SPLITS = 50
_STILL_FRAMES = 25
"""Frames over which flicker is measured."""
_ROUNDS, _THOROUGH_ROUNDS = 2, 3


def run_bench(
    plan: BenchPlan,
    begins: Callable[[str], None] = lambda what: None,
    measured: Callable[[Measurement], None] = lambda row: None,
) -> BenchReport:
    """Measure what a plan asks for.

    Engines are opened as with `--engine-wait`: what serves is the engine asked for, not PyTorch in its place.

    Args:
        plan: what to measure.
        begins: called with what is done next, as text.
        measured: called with each row when it is complete.

    Raises:
        StreamDehazeError: if the video, a checkpoint or an engine cannot be opened.
    """
    for network_size in plan.network_sizes:
        Stream(network_size=network_size)
    devices = set[str | None]()
    for checkpoint, engine_name in itertools.product(plan.checkpoints, plan.engines):
        # What is missing is reported before the minutes of measuring, and what must be built is built.
        begins(f"opening {checkpoint} with engine {engine_name}")
        engine = open_engine(checkpoint, engine_name, wait=True)
        devices.add(engine.device)
        engine.close()
    environment = describe_environment()
    rows: list[Measurement] = []
    findings: list[tuple[Measurement, str]] = []
    flicker: list[str] = []
    with tempfile.TemporaryDirectory(prefix="streamdehaze-bench-") as folder:
        for clip in _clips(plan, Path(folder), begins):
            bench = _ClipBench(plan, clip, begins, measured)
            rows += [bench.row("decode", bench.decode, warm_up=1), bench.row("encode", bench.encode, warm_up=1)]
            applied = {
                (size, device): _Application(bench, size, device).rows()
                for size, device in itertools.product(plan.network_sizes, devices)
            }
            for found in applied.values():
                rows += found
            cases = itertools.product(plan.checkpoints, plan.network_sizes, plan.engines, plan.batches)
            for checkpoint, network_size, engine_name, batch in cases:
                engine = open_engine(checkpoint, engine_name, wait=True)
                try:
                    case = _Case(bench, checkpoint, network_size, batch, engine)
                    found, run = case.rows()
                finally:
                    engine.close()
                pipeline = next(row for row in found if row.part == "pipeline")
                rows += found
                label = f"{clip.size}, network size {network_size}, {checkpoint}, batch {batch}, {case.engine_name}"
                bottleneck = verdict([*applied[network_size, engine.device], *found], _loads(run), environment["cores"])
                findings.append((pipeline, f"{label}: {bottleneck}"))
                steady_row = next(row for row in found if row.part == "steady pipeline")
                flicker.append(calmed(label, pipeline, steady_row))
    verdicts = [sentence + changes(row, rows) for row, sentence in findings]
    return BenchReport(environment, rows, [*verdicts, *filter(None, flicker)])


@dataclass(frozen=True)
class _Clip:
    path: Path
    frames: list[Frame]
    """The first ones, in memory."""
    count: int
    """Frames to measure; the file may have fewer."""
    result: Path

    @property
    def size(self) -> str:
        return f"{self.frames[0].width}×{self.frames[0].height}"


def _clips(plan: BenchPlan, folder: Path, begins: Callable[[str], None]) -> Iterator[_Clip]:
    if plan.video is not None:
        path = Path(plan.video)
        if what_is(plan.video) is Kind.STREAM:
            begins("receiving the stream")
            path = folder / "received.mkv"
            record(os.fspath(plan.video), path, plan.frames or DEFAULT_FRAMES)
        frames = first_frames(path, _FRAMES_IN_MEMORY)
        yield _Clip(path, frames, plan.frames_of(frames[0].width, frames[0].height), folder / "result.mp4")
        return
    for width, height in plan.sizes:
        begins(f"drawing a clip of {width}×{height}")
        path, count = folder / f"{width}x{height}.mp4", plan.frames_of(width, height)
        draw_clip(path, width, height, count)
        yield _Clip(path, first_frames(path, _FRAMES_IN_MEMORY), count, folder / "result.mp4")


class _ClipBench:
    """Measures rows on one clip, and decoding and encoding of it alone."""

    def __init__(
        self, plan: BenchPlan, clip: _Clip, begins: Callable[[str], None], measured: Callable[[Measurement], None]
    ) -> None:
        self.plan, self.clip, self._begins, self._measured = plan, clip, begins, measured

    def row(
        self,
        part: str,
        work: Callable[[], int],
        network_size: int | None = None,
        batch: int | None = None,
        checkpoint: str | None = None,
        engine: str | None = None,
        *,
        warm_up: int = 2,
        rounds: int = _THOROUGH_ROUNDS,
    ) -> Measurement:
        """Measure a part."""
        facts = (self.clip.size, network_size and f"network size {network_size}", engine)
        self._begins(f"{', '.join(str(fact) for fact in facts if fact)}: {part}")
        timing = measure(work, limit_seconds=self.plan.limit, warm_up=warm_up, rounds=rounds)
        row = Measurement(part, self.clip.size, network_size, batch, checkpoint, engine, timing)
        self._measured(row)
        return row

    def decode(self) -> int:
        with FileSource(self.clip.path) as source:
            return sum(1 for _ in itertools.islice(source, self.clip.count))

    def encode(self) -> int:
        frames = self.clip.frames
        with FileSource(self.clip.path) as source, FileSink(self.clip.result, source, overwrite=True) as sink:
            step = frames[0].duration or 1
            for index in range(self.clip.count):
                sink.write(replace(frames[index % len(frames)], pts=index * step, opaque=None))
        return self.clip.count


def _loads(run: Statistics) -> dict[str, float]:
    return {stage.name: stage.busy_seconds / run.seconds for stage in run.stages}


class _Application:
    """What is done to a frame before and after the network, each step alone, on an engine's device or the CPU."""

    def __init__(self, bench: _ClipBench, network_size: int, device: str | None) -> None:
        self._bench, self._network_size, self._device = bench, network_size, device
        self._gpu = None if device is None else Gpu(device)

    def rows(self) -> list[Measurement]:
        frame = self._bench.clip.frames[0]
        single = Stream(network_size=self._network_size)
        look = single.look(frame, self._gpu)
        assert look.picture is not None
        # A plausible clear picture: what the maps hold does not change what fitting and applying them costs.
        clear = np.clip(look.picture * 1.3 - 0.2, 0, 1)
        (solution,) = single.solve(look, clear)
        steady = Stream(network_size=self._network_size, steady="low", look_ahead=True)
        film = self._film()

        def shrink() -> int:
            single.look(frame, self._gpu)
            return 1

        def fit() -> int:
            single.solve(look, clear)
            return 1

        def apply_maps() -> int:
            apply(solution)
            return 1

        def steady_maps() -> int:
            for each in itertools.islice(film, _FRAMES_IN_MEMORY):
                steady.solve(steady.look(each, self._gpu), clear)
            return _FRAMES_IN_MEMORY

        parts = {"shrink": shrink, "fit": fit, "apply": apply_maps, "steady maps": steady_maps}
        return [self._bench.row(part, work, self._network_size, engine=self._device) for part, work in parts.items()]

    def _film(self) -> Iterator[Frame]:
        """The frames in memory, forwards and backwards without end, as one video without a cut."""
        frames = self._bench.clip.frames
        for index, frame in enumerate(itertools.cycle([*frames, *frames[-2:0:-1]])):
            yield replace(frame, pts=index, time_base=Fraction(1, 25))


class _Case:
    """One combination on one clip: the engine alone, a frame host to host, and the whole pipeline."""

    def __init__(self, bench: _ClipBench, checkpoint: str, network_size: int, batch: int, engine: Engine) -> None:
        self._bench, self._checkpoint, self._engine = bench, checkpoint, engine
        self._network_size, self._batch = network_size, batch
        self.engine_name = engine.name

    def rows(self) -> tuple[list[Measurement], Statistics]:
        clip, thorough = self._bench.clip, self._bench.plan.thorough
        frame = clip.frames[0]
        hazy = hazy_pictures(self._batch, *network_shape(frame.width, frame.height, self._network_size))
        self._engine.infer(hazy)
        self.engine_name = self._engine.name  # one that was built for this first batch has its name now
        dehazer = Dehazer(self._checkpoint, engine=self._engine, network_size=self._network_size)
        runs: list[Statistics] = []

        def run(worker: Dehazer) -> int:
            with FileSource(clip.path, end=self._end(clip.count)) as source:
                worker.reset()
                sink = FileSink(clip.result, source, overwrite=True)
                runs.append(Pipeline(source, worker, sink, batch_size=self._batch).run())
            return runs[-1].encode.frames

        def pipeline(part: str, worker: Dehazer) -> Measurement:
            row = self._row(
                part,
                functools.partial(run, worker),
                self._batch,
                # Every part of it is warm by now.
                warm_up=1 if thorough else 0,
                rounds=_THOROUGH_ROUNDS if thorough else _ROUNDS,
            )
            return replace(row, stillness=self._stillness(worker))

        alone = self._row("engine", lambda: len(self._engine.infer(hazy)), self._batch)
        rows = [
            replace(alone, device_ms=self._device_ms(hazy)),
            self._row("frame", lambda: len(dehazer.process([frame])), 1),
            pipeline("pipeline", dehazer),
        ]
        plain = runs[-1]
        for every in ("auto", *self._bench.plan.every):
            steady = Dehazer(
                self._checkpoint, engine=self._engine, network_size=self._network_size, steady="low", every=every,
                look_ahead=True,
            )  # fmt: skip
            rows.append(pipeline("steady pipeline" + (f", every {every}" if every != "auto" else ""), steady))
        if self._engine.name != self.engine_name:
            raise EngineError(f"{self.engine_name} was replaced by {self._engine.name} during the measurement")
        return rows, plain

    def _stillness(self, dehazer: Dehazer) -> dict[str, float | None] | None:
        """What a pipeline adds to a picture that stands still, over the first frames it was measured on."""
        count = self._bench.clip.count
        with FileSource(self._bench.clip.path, end=self._end(count)) as source:
            frames = source if self._bench.plan.thorough else itertools.islice(source, _STILL_FRAMES)
            stillness = watch(frames, dehazer).stillness
        return None if stillness is None else asdict(stillness)

    def _device_ms(self, hazy: FloatArray) -> dict[str, float] | None:
        if not self._engine.split(hazy):
            return None
        found = [self._engine.split(hazy) for _ in range(_SPLITS)]
        return {name: statistics.median(call[name] for call in found) for name in found[0]}

    def _end(self, frames: int) -> float | None:
        # A file longer than the frames to measure is cut by time.
        with FileSource(self._bench.clip.path) as source:
            count, rate = source.info.frame_count, source.info.average_rate
        if (count is not None and count <= frames) or not rate:
            return None
        return frames / float(rate)

    def _row(
        self, part: str, work: Callable[[], int], batch: int, *, warm_up: int = 2, rounds: int = _THOROUGH_ROUNDS
    ) -> Measurement:
        return self._bench.row(
            part, work, self._network_size, batch, self._checkpoint, self.engine_name, warm_up=warm_up, rounds=rounds
        )

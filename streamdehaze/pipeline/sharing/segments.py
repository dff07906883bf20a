"""One long video on many processes or machines: segments made apart, by anything like an executor, and joined."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from streamdehaze.dehaze import Dehazer
from streamdehaze.dehaze.steady import LOOK_AHEAD_FRAMES
from streamdehaze.errors import Cancelled, ConfigError, StreamDehazeError
from streamdehaze.extras import versions
from streamdehaze.meter.track import Track
from streamdehaze.pipeline.options import RunOptions
from streamdehaze.pipeline.pipeline import Pipeline, Progress
from streamdehaze.pipeline.report import Report, recorded_versions
from streamdehaze.pipeline.sharing.staging import Staging
from streamdehaze.pipeline.statistics import Statistics
from streamdehaze.video import EncodeOptions, FileSource, SegmentFileSink, part_folder
from streamdehaze.video.resume.apart import SegmentApart, SpanSource
from streamdehaze.video.resume.plan import Plan, finished, make_plan, read_plan, take_plan, whole_work
from streamdehaze.video.resume.spans import SpanCutter, Spans

if TYPE_CHECKING:
    from concurrent.futures import Future

log = logging.getLogger("streamdehaze")

ENCODER_THREADS = 4
"""Encoder threads per segment, unless the encoder's options say otherwise: x264's and x265's result depends on their
number, which must therefore not be each machine's own."""
_PATIENCE_SECONDS = 0.1


class DeferredDehazer(Dehazer):
    """A dehazer that opens its engine when it is first used, which is never where workers do all the work."""

    _opens_engine_late = True


class TakesWork(Protocol):
    """What work is handed to, as `concurrent.futures.Executor`; those of Dask and Ray are alike."""

    def submit(self, work: Callable[[SegmentJob], SegmentMade], job: SegmentJob, /) -> Future[SegmentMade]:
        """Do `work(job)` somewhere, some time."""
        ...


@dataclass(frozen=True)
class SegmentJob:
    """One segment to make: plain values, which travel to another machine that sees the same files."""

    source: str
    target: str
    number: int
    plan: Plan
    dehazer: Mapping[str, Any]
    """Arguments of `Dehazer`."""
    settings: Mapping[str, Any]
    run: RunOptions


@dataclass(frozen=True)
class SegmentMade:
    """What became of a segment."""

    number: int
    frames: int
    engine: str
    damaged: int = 0
    losses: tuple[str, ...] = ()
    statistics: Statistics | None = None
    """None if it was there before."""
    haze: Track = field(default_factory=Track)


def plan_segments(
    source: FileSource, ends: Staging, dehazer: Dehazer, encode: EncodeOptions | None, run: RunOptions
) -> list[SegmentJob]:
    """The jobs that make the segments of a file, all of which a folder TARGET.part then waits for.

    Args:
        source: the file, of `ends`.
        ends: where the work is read and written.
        dehazer, encode, run: the settings.

    Raises:
        ConfigError: if the dehazer has an engine of the caller's own, which cannot travel, or its mask another rate.
        SourceError: if the file does not tell how long it is.
        SinkError: if the target cannot be written, or its folder holds other work.
    """
    assert source.path is not None  # a pipe can be read by one process only
    encode = encode or EncodeOptions()
    encode = replace(encode, options={"threads": str(ENCODER_THREADS), **encode.options})
    if dehazer.video.mask is not None:
        dehazer.video.mask.check_rate(source.info)
    target = ends.target
    folder = part_folder(target)
    if not run.resume:
        shutil.rmtree(folder, ignore_errors=True)
        ends.remove_parts()
    ends.pull_plan()
    settings = {**dehazer.settings, "batch_size": run.batch_size, "versions": recorded_versions()}
    sink = SegmentFileSink(target, source, encode=encode, container=run.container, overwrite=run.overwrite)
    path, end = ends.source_address or os.path.abspath(source.path), ends.target_address or os.path.abspath(target)
    try:
        plan = make_plan(sink, source, settings, run.segment_seconds, encode, run.container)
        work = plan.work.model_copy(update={"input": path}) if ends.is_needed else plan.work
        plan = take_plan(folder, plan.model_copy(update={"work": work.sealed()}))
    finally:
        sink.abort()
    ends.push_plan()
    return [SegmentJob(path, end, number, plan, dehazer.arguments, settings, run) for number in range(plan.count)]


def make_segment(job: SegmentJob, stop: threading.Event | None = None, progress: Progress | None = None) -> SegmentMade:
    """Make one segment, unless it is there.

    Raises:
        StreamDehazeError: one sentence on what was wrong with which file or option.
    """
    number = job.number
    with Staging(job.source, job.target, stop, keep=True) as ends:
        ends.pull_record(number)
        if (record := finished(part_folder(ends.target), number, job.plan, ends.has_segment)) is not None:
            return SegmentMade(number, record.segment.frames, record.engine, record.damaged, record.losses)
        made = _make(job, ends, stop, progress)
        ends.push_segment(number)
    return made


def _make(job: SegmentJob, ends: Staging, stop: threading.Event | None, progress: Progress | None) -> SegmentMade:
    number = job.number
    with _as_batch_work(), FileSource(ends.source, **job.plan.read, stop=stop) as source:
        dehazer = _dehazer(job.dehazer)
        dehazer.reset()
        spans, remembers = Spans.of(source, job.plan.seconds), dehazer.video.has_memory
        ahead = LOOK_AHEAD_FRAMES if dehazer.video.settings["look_ahead"] else 0
        frames = SpanSource(source, spans, number, remembers=remembers, ahead=ahead)
        sink = SegmentApart(
            ends.target, source, frames, number, job.plan, dehazer.engine.name, overwrite=job.run.overwrite, stop=stop
        )
        with sink:
            _check_alike(job, dehazer, sink)
            pipeline = Pipeline(
                frames,
                dehazer,
                sink,
                batch_size=job.run.batch_size,
                stop=stop,
                cutter=SpanCutter(spans, remembers=remembers, only=number),
                memory_limit=job.run.memory_limit,
            )
            statistics = pipeline.run(progress)
    statistics.decode.frames = sink.frames  # what surrounds the segment does not count
    return SegmentMade(
        number, sink.frames, dehazer.engine.name, frames.damaged, tuple(sink.losses), statistics, pipeline.haze
    )


def _check_alike(job: SegmentJob, dehazer: Dehazer, sink: SegmentFileSink) -> None:
    """Refuse a machine whose segment would differ: by its input, checkpoint, packages, or encoder."""
    here = {**job.settings, **dehazer.settings, "versions": versions(job.settings["versions"])}
    made = sink.describe({**here, "segment_seconds": job.plan.seconds})
    if differences := job.plan.work.differences(made, dated=False):
        raise ConfigError(f"this machine differs from the one where the work began: {'; '.join(differences)}")


def share_out(
    jobs: Sequence[SegmentJob],
    executor: TakesWork,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> list[SegmentMade]:
    """Have an executor make segments; the first that fails ends the work, and what is finished is kept.

    Args:
        jobs: of `plan_segments`.
        executor: anything like `concurrent.futures.Executor`.
        progress: called with the frames of all finished segments, whenever one is.
        stop: set it from elsewhere to stop with `Cancelled`.
    """
    done: queue.SimpleQueue[Future[SegmentMade]] = queue.SimpleQueue()
    futures = [executor.submit(make_segment, job) for job in jobs]
    for future in futures:
        future.add_done_callback(done.put)
    made: list[SegmentMade] = []
    together = Statistics()
    try:
        while len(made) < len(jobs):
            if stop is not None and stop.is_set():
                raise Cancelled("stopped before the end")
            with contextlib.suppress(queue.Empty):
                segment = done.get(timeout=_PATIENCE_SECONDS).result()
                made.append(segment)
                _count(together, segment)
            if progress:
                progress(together)
    except BaseException as error:
        for future in futures:
            future.cancel()
        if isinstance(error, StreamDehazeError | KeyboardInterrupt):
            raise
        what = str(error).partition("\n")[0]
        raise StreamDehazeError(f"a worker failed: {type(error).__name__}: {what}") from error
    return made


def join(
    folder: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    stop: threading.Event | None = None,
    made: Sequence[SegmentMade] = (),
) -> Report:
    """Join the segments in a folder NAME.part into NAME; the folder is gone then.

    Args:
        folder: where all segments are; a path, or an address in an object store.
        source: the input, if it is not where it was when work began.
        overwrite: replace a file of that name.
        stop: set it from elsewhere to stop with `Cancelled`.
        made: the segments of this run, for the report.

    Raises:
        SinkError: if segments are missing or do not fit together.
        SourceError: if the input is missing or has changed.
    """
    with Staging(None, os.fspath(folder).rstrip("/").removesuffix(".part"), stop) as ends:
        ends.check_target(overwrite=overwrite)
        ends.pull_plan()
        here = part_folder(ends.target)
        for number in range(read_plan(here).count if ends.is_needed else 0):
            ends.pull_segment(number)
        joined = _join(here, ends, source, overwrite, stop, made)
        ends.remove_parts()
    return joined


def _join(
    folder: Path, ends: Staging, source: str | os.PathLike[str] | None, overwrite: bool, stop: threading.Event | None,
    made: Sequence[SegmentMade],
) -> Report:  # fmt: skip
    plan, manifest, records = whole_work(folder)
    engines = list(dict.fromkeys(record.engine for record in records))
    if len(engines) > 1:
        log.warning(
            "%s: segments were made by different engines, which may differ in small things: %s",
            folder, ", ".join(engines),
        )  # fmt: skip
    together, haze = Statistics(), Track()
    for segment in made:
        _count(together, segment)
        haze.extend(segment.haze)
    together.earlier_frames = manifest.frames - together.encode.frames
    with FileSource(ends.fetch(os.fspath(source or manifest.input)), **plan.read) as opened:
        sink = SegmentFileSink(
            ends.target, opened, encode=plan.encode, container=plan.container, overwrite=overwrite, stop=stop
        )
        sink.publish = ends.publish
        with sink:
            sink.adopt(manifest)
    losses = dict.fromkeys([*(loss for record in records for loss in record.losses), *sink.losses])
    return Report(
        os.fspath(source or manifest.input),
        ends.target_address or os.fspath(ends.target),
        together,
        ", ".join(engines),
        damaged=sum(record.damaged for record in records),
        haze=haze,
        losses=tuple(losses),
    )


def _count(together: Statistics, segment: SegmentMade) -> None:
    if segment.statistics is None:
        together.earlier_frames += segment.frames
        return
    together.add(segment.statistics)
    together.seconds = 0.0  # they ran side by side


@contextlib.contextmanager
def _as_batch_work() -> Iterator[None]:
    """Let the threads begun here finish their time slices: segments made side by side interrupt each other less."""
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


_kept = threading.local()


def _dehazer(arguments: Mapping[str, Any]) -> Dehazer:
    """A dehazer with these arguments, kept for the next segment in this thread; its engine is built first."""
    key = pickle.dumps(dict(arguments))
    if getattr(_kept, "key", None) != key:
        if (before := getattr(_kept, "dehazer", None)) is not None:
            before.close()
        _kept.dehazer, _kept.key = Dehazer(**arguments, engine_wait=True), key
    dehazer: Dehazer = _kept.dehazer
    return dehazer

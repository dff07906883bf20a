"""One input made clear: the functions a program calls."""

from __future__ import annotations

import os
import threading
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamdehaze.dehaze import Dehazer
from streamdehaze.engine.processor import usable_cores
from streamdehaze.errors import ConfigError, SinkError
from streamdehaze.pipeline.ends import open_sink, open_source
from streamdehaze.pipeline.inputs import output_path
from streamdehaze.pipeline.options import RunKeywords, RunOptions
from streamdehaze.pipeline.pipeline import FrameCallback, Pipeline, Progress
from streamdehaze.pipeline.report import Report, recorded_versions
from streamdehaze.pipeline.sharing.segments import (
    DeferredDehazer,
    SegmentJob,
    TakesWork,
    join,
    plan_segments,
    share_out,
)
from streamdehaze.pipeline.sharing.staging import Staging
from streamdehaze.pipeline.statistics import Statistics
from streamdehaze.pipeline.streams import passes
from streamdehaze.video import (
    EncodeOptions,
    FileSource,
    Kind,
    PictureSource,
    ReadOptions,
    SequenceSource,
    Writer,
    what_is,
)
from streamdehaze.video.protocols import Reader, SegmentSink, Sink, Source
from streamdehaze.video.resume.cut import Cutter
from streamdehaze.video.resume.source import Continued

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LARGE_PIXELS = 1280 * 720
"""Of a picture; smaller ones of H.264 are decoded faster than anything takes them."""
_BUSY_CORES = 2
"""This many are busy with one decoder and all that follows it."""
_NOT_SHARED = "only a video file that becomes a file can be shared out in segments"


def dehaze_video(
    source: str | os.PathLike[str] | Source,
    target: str | os.PathLike[str] | Sink | None = None,
    *,
    dehazer: Dehazer | str | os.PathLike[str] | None = None,
    read: ReadOptions | None = None,
    encode: EncodeOptions | None = None,
    run: RunOptions | None = None,
    on_frame: FrameCallback | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    executor: TakesWork | None = None,
    **options: Unpack[RunKeywords],
) -> Report:
    """Make a hazy video (or picture) clear.

    Args:
        source: a path, "-" for standard input, an address such as "s3://bucket/foggy.mp4", or a `Source` of your own
            (which stays yours to close).
        target: a path, "-", an address, or a `Sink`; by default ``NAME.clear.EXT`` next to the input file.
        dehazer: a `Dehazer`, or the name or path of a checkpoint for one that is steady ("low"), looks ahead,
            and runs the network as often as needed (`every="auto"`).
        read: how the input is read, where `source` is a path.
        encode: codec, quality and pixel format; by default as near to the input's as the encoders here allow.
        run: batch size, segments, resuming, what may be overwritten.
        on_frame: called with each hazy frame and its clear one, in presentation order; a frame that it returns, of the
            same size and pixel format, is written instead of the clear one; not called for frames of an earlier run.
        progress: called about ten times a second with the running statistics.
        stop: set it from elsewhere to stop with `Cancelled`; only finished segments stay of the partial output.
        executor: makes the segments of a video file side by side, on processes or machines that see the same ends:
            a `concurrent.futures.Executor` or anything like it. The frames are those that come without one.
        options: the fields of `RunOptions`, which win over those of `run`.

    Raises:
        StreamDehazeError: one sentence on what was wrong with which file or option.
        TypeError: for an unknown option.

    Examples:
        >>> dehaze_video("foggy.mp4").statistics.fps
        >>> dehaze_video("foggy.mp4", "clear.mkv", encode=EncodeOptions(codec="libx265", crf=20), overwrite=True)
        >>> dehaze_video("foggy.mp4", on_frame=lambda hazy, clear: print(clear.seconds))
    """
    target = output_path(_file_of(source)) if target is None else target
    run = replace(run or RunOptions(), **options)
    with Staging(source, target, stop) as ends:
        ends.check_target(overwrite=run.overwrite)
        task = _Task(ends.source, ends.target, dehazer, read, encode, run, on_frame, progress, stop, ends)
        if read is not None and read.video_stream == "all" and isinstance(source, str | os.PathLike):
            if executor is not None:
                raise ConfigError("video_stream='all' is done by one process; name one stream to share the work out")
            report = task.for_each_stream()
        elif executor is not None:
            if on_frame is not None:
                raise ConfigError("on_frame is called in this process only; leave it or the executor out")
            report = task.share_out(executor)
        else:
            report = task.do()
    return replace(report, input=_name(source), output=_name(target))


@dataclass(frozen=True)
class _Task:
    """What `dehaze_video` was asked for."""

    source: str | os.PathLike[str] | Source
    target: str | os.PathLike[str] | Sink
    dehazer: Dehazer | str | os.PathLike[str] | None
    read: ReadOptions | None
    encode: EncodeOptions | None
    run: RunOptions
    on_frame: FrameCallback | None
    progress: Progress | None
    stop: threading.Event | None
    ends: Staging

    def do(self) -> Report:
        """Do it in this process."""
        run = self.run
        with ExitStack() as stack:
            opened = stack.enter_context(self._opened())
            sink = self._opened_sink(opened)
            try:
                worker = stack.enter_context(self._worker())
                worker.reset()  # another video than the one before
                if worker.video.mask is not None:
                    stack.callback(worker.video.mask.close)
                    worker.video.mask.check_rate(opened.info)
                work, cutter = _begin(opened, worker, sink, run.batch_size)
                pipeline = Pipeline(
                    work,
                    worker,
                    sink,
                    batch_size=run.batch_size,
                    stop=self.stop,
                    cutter=cutter,
                    memory_limit=run.memory_limit,
                    on_frame=self.on_frame,
                )
            except BaseException:
                sink.abort()
                raise
            pipeline.statistics.earlier_frames = cutter.frames if cutter is not None else 0
            statistics = pipeline.run(self.progress)
            return Report(
                _name(self.source),
                _name(self.target),
                statistics,
                worker.engine.name,
                worker.checkpoint,
                work.damaged if isinstance(work, Reader) else 0,
                pipeline.haze,
                tuple(sink.losses) if isinstance(sink, Writer) else (),
            )

    def share_out(self, executor: TakesWork) -> Report:
        """Have an executor make the segments of a file, and join them."""
        began = time.perf_counter()
        if isinstance(self.target, Sink):
            raise ConfigError(_NOT_SHARED)
        with self._opened() as opened, self._worker(DeferredDehazer) as worker:
            jobs = plan_shares(opened, self.ends, worker, self.encode, self.run)
            checkpoint = worker.checkpoint
        made = share_out(jobs, executor, self.progress, self.stop)
        joined = join(
            f"{self.ends.target_address or self.ends.target}.part",
            overwrite=self.run.overwrite,
            stop=self.stop,
            made=made,
        )
        joined.statistics.seconds = time.perf_counter() - began
        return replace(joined, input=_name(self.source), output=_name(self.target), checkpoint=checkpoint)

    def for_each_stream(self) -> Report:
        """Make every video stream of a file clear, and report on all together; the haze is that of the first."""
        if isinstance(self.target, Sink):
            raise ConfigError("every video stream (video_stream='all') needs the path of a file to write")
        assert self.read is not None
        source, target, run = _name(self.source), os.fspath(self.target), self.run
        settings = {
            "encode": str(self.encode),
            "container": run.container,
            "versions": recorded_versions(),
            "dehazer": str(self.dehazer.settings if isinstance(self.dehazer, Dehazer) else self.dehazer),
        }
        whole: Report | None = None
        for each in passes(source, target, self.read, settings, overwrite=run.overwrite, resume=run.resume):
            read = each.read.applied_to(each.source)
            with FileSource(each.source, **read, keep_clock=each.keep_clock, stop=self.stop) as opened:
                opened.decoders = self._decoders(opened)
                report = replace(self, source=opened, target=each.target).do()
            if whole is None:
                whole = report
            else:
                whole.statistics.add(report.statistics)
                losses = dict.fromkeys((*whole.losses, *report.losses))
                whole = replace(whole, damaged=whole.damaged + report.damaged, losses=tuple(losses))
        # An earlier run may have done all but give the output its name, where a container takes fewer videos.
        return replace(whole or Report(source, target, Statistics(), ""), input=source, output=target)

    def _opened(self) -> AbstractContextManager[Source]:
        """The source; one of the caller's own stays open."""
        if isinstance(self.source, Source):
            return nullcontext(self.source)
        opened = open_source(self.source, self.read, stop=self.stop)
        if isinstance(opened, FileSource):
            opened.decoders = self._decoders(opened)
        return opened

    def _decoders(self, film: FileSource) -> int:
        """How many decode a film: one, unless it is large, memory may be used, and there are cores enough."""
        is_large = film.info.width * film.info.height >= _LARGE_PIXELS
        return 2 if is_large and self.run.memory_limit is None and usable_cores() > _BUSY_CORES else 1

    def _opened_sink(self, source: Source) -> Sink:
        run = self.run
        if isinstance(self.target, Sink):
            return self.target
        sink = open_sink(
            self.target,
            source,
            encode=self.encode,
            container=run.container,
            overwrite=run.overwrite,
            segment_seconds=run.segment_seconds,
            resume=run.resume,
            stop=self.stop,
        )
        sink.publish = self.ends.publish
        return sink

    def _worker(self, kind: type[Dehazer] = Dehazer) -> AbstractContextManager[Dehazer]:
        """The dehazer; one of the caller's own stays open."""
        if isinstance(self.dehazer, Dehazer):
            return nullcontext(self.dehazer)
        named = [self.dehazer] if self.dehazer else []
        return kind(*named, steady="low", every="auto", look_ahead=True)


def plan_shares(
    source: Source, ends: Staging, dehazer: Dehazer, encode: EncodeOptions | None, run: RunOptions
) -> list[SegmentJob]:
    """What there is to do on a file that is shared out in segments, in order; see `plan_segments`.

    Raises:
        ConfigError: also if one of the two ends is not a video file.
    """
    if not isinstance(source, FileSource) or source.path is None or what_is(ends.target) is not Kind.FILE:
        raise ConfigError(_NOT_SHARED)
    return plan_segments(source, ends, dehazer, encode, run)


def dehaze_image(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    dehazer: Dehazer | str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Make a hazy photo clear and return where it was written (``NAME.clear.EXT`` by default).

    Raises:
        StreamDehazeError: one sentence on what was wrong with which file or option.
    """
    return Path(dehaze_video(source, target, dehazer=dehazer, batch_size=1, overwrite=overwrite).output)


def _begin(source: Source, dehazer: Dehazer, sink: Sink, batch_size: int | None) -> tuple[Source, Cutter | None]:
    """What to read and where to cut it; after the segments of an earlier run, if the sink has any."""
    if not isinstance(sink, SegmentSink):
        return source, None
    if not isinstance(source, FileSource | SequenceSource):
        raise SinkError("a sink that keeps segments needs a file that can be read again, a FileSource")
    cut = sink.take_up({**dehazer.settings, "batch_size": batch_size, "versions": recorded_versions()})
    cutter = sink.cutter(cut, remembers=dehazer.video.has_memory)
    if cut is None:
        return source, cutter
    if cut.state:
        dehazer.load_state_dict(cut.state)
    if isinstance(source, SequenceSource):
        source.skip(cut.frames)
        return source, cutter
    return Continued(source, cut, ended=sink.ended), cutter


def _file_of(source: str | os.PathLike[str] | Source) -> str:
    path = source.path if isinstance(source, FileSource | PictureSource | SequenceSource) else source
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(f"{_name(source)} has no file name to make the output's from; give a target")
    return os.fspath(path)


def _name(end: str | os.PathLike[str] | Source | Sink) -> str:
    """The path of a file, or the name of an end without one."""
    if isinstance(end, str | os.PathLike):
        return os.fspath(end)
    return str(getattr(end, "path", None) or getattr(end, "name", type(end).__name__))

"""What `streamdehaze run` does with each of its jobs: previews it, makes a contact sheet, its share, or all of it."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamdehaze.cli.console import RunProgress, say
from streamdehaze.cli.outputs import refuse_existing
from streamdehaze.durable import make_folder
from streamdehaze.errors import Cancelled, ConfigError, SourceError, StreamDehazeError, counted

if TYPE_CHECKING:
    from rich.console import Console

    from streamdehaze.dehaze import Dehazer
    from streamdehaze.pipeline import Report, RunOptions
    from streamdehaze.pipeline.inputs import Job
    from streamdehaze.pipeline.sharing.segments import TakesWork
    from streamdehaze.pipeline.sharing.staging import Staging
    from streamdehaze.video import EncodeOptions, ReadOptions

log = logging.getLogger("streamdehaze")

_BUILD_SECONDS = 120
"""The end of a run waits this long for an engine; on two cores OpenVINO's takes a tenth of it."""


@dataclass(frozen=True)
class Work:
    """What all jobs of a command have in common."""

    read: ReadOptions
    encode: EncodeOptions
    options: RunOptions
    stop: threading.Event
    console: Console
    leave_finished: bool
    """Leave outputs of an earlier run as they are."""
    keep_times: bool
    quiet: bool
    verbose: bool
    airlight_at: tuple[float, float, float] | None = None
    """Where each input shows its haze: x, y and seconds."""
    share: tuple[int, int] | None = None
    """Which of how many shares of the segments to make, and no more than that."""

    def pick(self, path: str, dehazer: Dehazer) -> None:
        """Take the haze's colour from the input, if that is wanted."""
        if self.airlight_at is not None:
            from streamdehaze.pipeline.pick import Point, pick_airlight

            dehazer.video.airlight_color = pick_airlight(path, Point(*self.airlight_at), dehazer.video, self.read)

    def preview(self, job: Job) -> dict[str, Any]:
        """Print what would be done for one job."""
        from streamdehaze.pipeline.preview import preview_video

        try:
            with self._near(job) as ends:
                preview = preview_video(
                    ends.source,
                    ends.target,
                    read=self.read,
                    encode=self.encode,
                    run=self.options,
                    stop=self.stop,
                )
            preview = replace(preview, input=job.shown, output=job.output)
        except (StreamDehazeError, OSError) as error:
            return self._failed(job, error)
        click.echo(str(preview))
        return preview.as_dict()

    def write_contact_sheet(self, job: Job, moments: tuple[float, ...], dehazer: Dehazer) -> dict[str, Any]:
        """Write moments of one job's input, hazy and clear."""
        from streamdehaze.compare.contact_sheet import contact_sheet
        from streamdehaze.video.picture import is_picture

        try:
            if "-" in (job.input, job.output):
                raise ConfigError("--preview needs a file to read and the name of a file to write; a pipe has neither")
            if is_picture(job.input):
                raise ConfigError(f"'{job.shown}' is a picture; --preview shows moments of videos")
            with self._near(job) as ends:
                path = Path(Path(job.output).name if ends.is_needed else job.output).with_suffix(".preview.jpg")
                make_folder(path.parent)
                refuse_existing(path, overwrite=self.options.overwrite)
                self.pick(ends.source, dehazer)
                contact_sheet(ends.source, moments, dehazer, path, read=self.read)
        except (StreamDehazeError, OSError) as error:
            return self._failed(job, error)
        click.echo(f"{path}: {counted(len(moments), 'moment')}, hazy and clear")
        return {"input": job.shown, "output": str(path)}

    def run(self, job: Job, dehazer: Dehazer, executor: TakesWork | None = None) -> dict[str, Any]:
        """Do one job; a failure is printed and does not keep the others from being done."""
        log.info("'%s' becomes '%s'", job.shown, job.output)
        try:
            if self.leave_finished and self._is_finished(job):
                log.warning("'%s' exists already and is left unchanged", job.output)
                return {"input": job.shown, "output": job.output, "frames_out": 0, "skipped": True}
            if self.share is not None:
                return self._make_share(job, dehazer, *self.share)
            report = self._dehaze(job, dehazer, executor)
        except Cancelled:
            kept = self._kept(job)
            rest = f"{kept}; rerun the same command to continue" if kept else "nothing was kept"
            raise Cancelled(f"stopped; '{job.output}' was not finished and {rest}") from None
        except (StreamDehazeError, OSError) as error:
            failed = self._failed(job, error)
            if kept := self._kept(job):
                say(self.console, kept)
            if self.verbose:
                self.console.print_exception()
            return failed
        if self.keep_times:
            _keep_times(job)
        if not self.quiet:
            statistics = report.statistics
            frames = "1 picture" if statistics.encode.frames == 1 else f"{statistics.encode.frames} frames"
            if statistics.earlier_frames:
                frames += f" after {statistics.earlier_frames} of earlier runs"
            engine = "; ".join(filter(None, (report.engine, dehazer.engine.note if executor is None else None)))
            say(
                self.console,
                f"{report.output}: {frames} in {statistics.seconds:.1f} s, {statistics.fps:.1f} fps "
                f"({engine}; bottleneck: {statistics.bottleneck})",
            )
            if report.haze.is_dark:
                say(
                    self.console,
                    f"{report.output}: too dark for haze to be told; raw counts of a thermal camera must be scaled to "
                    "the full range first",
                )
        return report.as_dict()

    def finish_engine(self, dehazer: Dehazer) -> None:
        """Wait for an engine that is still being built after the last job, or runs that are short never get one."""
        from streamdehaze.engine.switching import SwitchingEngine

        engine = vars(dehazer).get("engine")  # not opened where workers did all the work
        if not isinstance(engine, SwitchingEngine) or engine.finish_build(self.stop, 0):
            return
        if not self.quiet:
            say(self.console, "all is written; finishing the engine's build for the next run (Ctrl-C leaves it out)")
        if not engine.finish_build(self.stop, _BUILD_SECONDS) and not self.stop.is_set():
            log.warning("the engine was not built in %d s; `streamdehaze engine build` takes its time", _BUILD_SECONDS)

    def _failed(self, job: Job, error: Exception) -> dict[str, Any]:
        say(self.console, f"streamdehaze: {error}")
        return {"input": job.shown, "error": str(error)}

    def _near(self, job: Job, *, keep: bool = False) -> Staging:
        from streamdehaze.pipeline.sharing.staging import Staging

        return Staging(job.input, job.output, self.stop, keep=keep)

    def _is_finished(self, job: Job) -> bool:
        from streamdehaze.pipeline.sharing.staging import exists, in_store
        from streamdehaze.video import is_finished

        return exists(job.output) if in_store(job.output) else is_finished(job.output)

    def _kept(self, job: Job) -> str:
        """What is left of unfinished work on a job, as text; "" for nothing."""
        from streamdehaze.pipeline.streams import kept_of_passes
        from streamdehaze.video import unfinished_work

        ends = self._near(job)
        if kept := ends.kept_segments:
            return f"finished segments are kept in '{kept}'"
        passes = kept_of_passes(ends.target) if self.read.video_stream == "all" else []
        segments = unfinished_work(ends.target)
        return " and ".join([*passes, *([str(segments)] if segments else [])])

    def _make_share(self, job: Job, dehazer: Dehazer, number: int, count: int) -> dict[str, Any]:
        """Make one share of a file's segments."""
        from streamdehaze.pipeline import open_source
        from streamdehaze.pipeline.job import plan_shares
        from streamdehaze.pipeline.sharing.segments import make_segment

        folder = f"{job.output}.part"
        with self._near(job, keep=True) as ends, open_source(ends.source, self.read, stop=self.stop) as source:
            ends.check_target(overwrite=self.options.overwrite)
            self.pick(ends.source, dehazer)
            segments = plan_shares(source, ends, dehazer, self.encode, self.options)[number - 1 :: count]
            with RunProgress(self.console, job.shown, None, quiet=self.quiet) as shown:
                made = [make_segment(each, self.stop, None if self.quiet else shown.update) for each in segments]
        frames = sum(each.frames for each in made)
        if not self.quiet:
            say(
                self.console,
                f"share {number} of {count}: {counted(len(made), 'segment')}, {counted(frames, 'frame')}, in "
                f"'{folder}'; once all shares are done, run streamdehaze join {folder}",
            )
        return {"input": job.shown, "output": folder, "frames_out": frames}

    def _dehaze(self, job: Job, dehazer: Dehazer, executor: TakesWork | None) -> Report:
        from streamdehaze.pipeline import dehaze_video, open_source
        from streamdehaze.video import FileSource, Kind, what_is

        near = self._near(job)
        if not near.is_needed and what_is(job.input).is_live:
            raise SourceError(f"{job.shown} is a live stream, which has no end; use 'streamdehaze live'")
        with near, open_source(near.source, self.read, stop=self.stop) as source:
            self.pick(near.source, dehazer)
            shown = RunProgress(self.console, job.shown, source.info.frame_count, quiet=self.quiet)
            with shown:
                return dehaze_video(
                    job.input if near.is_needed or self.read.video_stream == "all" else source,
                    job.output,
                    dehazer=dehazer,
                    read=self.read,
                    encode=self.encode,
                    run=self.options,
                    progress=None if self.quiet else shown.update,
                    stop=self.stop,
                    executor=executor if isinstance(source, FileSource) and what_is(near.target) is Kind.FILE else None,
                )


def _keep_times(job: Job) -> None:
    """Give an output the times of its input, if both are files."""
    if os.path.isfile(job.input) and os.path.isfile(job.output):
        facts = os.stat(job.input)
        os.utime(job.output, ns=(facts.st_atime_ns, facts.st_mtime_ns))

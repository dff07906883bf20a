"""`streamdehaze run`: hazy files in, clear files out."""

from __future__ import annotations

import json
import logging
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from streamdehaze.cli.console import RunProgress, standard_error
from streamdehaze.durable import write_whole
from streamdehaze.errors import Cancelled, ConfigError, SourceError, StreamDehazeError

if TYPE_CHECKING:
    from rich.console import Console

    from streamdehaze.dehaze import Dehazer
    from streamdehaze.pipeline import Report
    from streamdehaze.pipeline.inputs import Job
    from streamdehaze.video import EncodeOptions

log = logging.getLogger("streamdehaze")


_LONGEST_SECONDS = 366 * 24 * 3600


def seconds(text: str) -> float:
    """Seconds of "90", "1.5", "1:30" or "0:01:30.5"."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", text)
    if match is None:
        raise click.BadParameter(f"'{text}' is not a time; write seconds (90, 1.5) or H:MM:SS (0:01:30).")
    hours, minutes, rest = match.groups(default="0")
    total = int(hours) * 3600 + int(minutes) * 60 + float(rest)
    if total > _LONGEST_SECONDS:
        raise click.BadParameter(f"'{text}' is more than a year.")
    return total


def size_bytes(text: str) -> int:
    """Bytes of "800M", "1.5G", "2GiB" or "1000000000"; the letters stand for powers of 1024."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise click.BadParameter(f"'{text}' is not an amount of memory; write 800M or 1.5G.")
    return int(float(match[1]) * 1024 ** " KMGT".index((match[2] or " ").upper()))


def key_value(text: str) -> tuple[str, str]:
    """An encoder option's key and value."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"'{text}' is not KEY=VALUE.")
    return key, value


def every(text: str) -> int | Literal["auto"]:
    """A count of frames, or "auto"."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"'{text}' is neither a number of frames nor auto.")
    return int(text)


@click.command(name="run")
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--output", help="File, folder, or pattern such as `out/{stem}.clear{suffix}`; `-` for a pipe.")
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
@click.option(
    "--resume/--no-resume",
    default=None,
    help="Go on with unfinished work (also done unasked) and leave finished outputs alone; or begin anew.",
)
@click.option(
    "--segment-seconds",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Work on longer files in segments of this length, kept in `NAME.part` until the end; 0 for none.",
)
@click.option("--recursive", is_flag=True, help="Take the folders inside folders too.")
@click.option("--checkpoint", default="aecrnet-s", show_default=True, help="A bundled checkpoint's name, or a file.")
@click.option(
    "--engine", default="auto", show_default=True, help="auto, torch, openvino, tensorrt, or a recipe (.toml)."
)
@click.option("--engine-wait", is_flag=True, help="Wait until the engine is built; else PyTorch serves meanwhile.")
@click.option("--strength", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="0 (unchanged) to 1.")
@click.option(
    "--airlight",
    type=click.Choice(["auto", "keep", "neutral"]),
    default="auto",
    show_default=True,
    help="Tint of the haze: keep it, make it neutral, or (auto) draw strong tints, as of sand, to neutral.",
)
@click.option(
    "--brightness",
    type=click.Choice(["keep", "natural"]),
    default="keep",
    show_default=True,
    help="Keep the brightness of the hazy frames, or darken as the haze goes.",
)
@click.option("--network-size", type=int, default=256, show_default=True, help="Long side the network sees, pixels.")
@click.option("--exact", is_flag=True, help="Run the network on whole frames: the paper's procedure, slow.")
@click.option(
    "--steady",
    type=click.Choice(["off", "low", "high"]),
    help="Smooth what dehazing does over time, against flicker; photos stand for themselves.  [default: low]",
)
@click.option(
    "--every",
    type=every,
    default="1",
    show_default=True,
    metavar="K",
    help="Run the network on every K-th frame, or as often as needed (auto); its maps are blended between.",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Pictures in a run of the network.  [default: 4, fewer if large]"
)
@click.option("--codec", default="auto", show_default=True, help="Encoder, or auto to stay with the input's family.")
@click.option("--crf", type=float, help="Constant quality; 18 for x264 if not given, its like for others.")
@click.option("--preset", help="The encoder's speed preset.")
@click.option(
    "--encoder-option", type=key_value, multiple=True, metavar="KEY=VALUE", help="Any further option of the encoder."
)
@click.option("--pixel-format", help="FFmpeg's name; by default the input's.")
@click.option("--container", help="FFmpeg's name, where the output's ending does not say it; of a pipe Matroska.")
@click.option("--hwaccel", type=click.Choice(["none", "auto", "cuda"]), default="none", show_default=True)
@click.option("--start", type=seconds, metavar="TIME", help="Begin here; all streams are cut alike.")
@click.option("--end", type=seconds, metavar="TIME", help="End here.")
@click.option(
    "--on-damage",
    type=click.Choice(["keep", "skip", "stop"]),
    default="keep",
    show_default=True,
    help="Keep or skip pictures the decoder had to conceal damage in, or stop there.",
)
@click.option("--deinterlace", is_flag=True, help="Make whole pictures of interlaced ones.")
@click.option(
    "--memory-limit", type=size_bytes, metavar="SIZE", help="End before more memory than this (1.5G) is held."
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write what was done as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more, and show where errors come from.")
def command(inputs: tuple[str, ...], **options: Any) -> None:
    """Make hazy videos and photos clear.

    INPUTS are files, folders, globs, image sequences (`frames/%05d.png`) or `-` for standard input. Each result is
    called `NAME.clear.EXT` beside its input unless `-o` says otherwise; audio, subtitles, chapters and everything
    else that is not the picture is copied.
    """
    console = standard_error(quiet=options["quiet"], verbose=options["verbose"])
    if options["quiet"] and options["verbose"]:
        raise click.UsageError("--quiet and --verbose contradict each other")
    from streamdehaze.dehaze import Dehazer
    from streamdehaze.pipeline.inputs import plan_jobs
    from streamdehaze.video import EncodeOptions

    report = options["report"]
    if report and not report.parent.is_dir():
        raise ConfigError(f"the folder '{report.parent}' for --report does not exist; create it first")
    jobs = plan_jobs(inputs, options["output"], recursive=options["recursive"])
    encode = EncodeOptions(
        codec=options["codec"],
        crf=options["crf"],
        preset=options["preset"],
        options=dict(options["encoder_option"]),
        pixel_format=options["pixel_format"],
    )
    stop = _stop_on_signals()
    outcomes: list[dict[str, Any]] = []
    with Dehazer(
        options["checkpoint"],
        engine=options["engine"],
        engine_wait=options["engine_wait"],
        strength=options["strength"],
        airlight=options["airlight"],
        brightness=options["brightness"],
        network_size=options["network_size"],
        exact=options["exact"],
        steady=options["steady"] or ("off" if options["exact"] else "low"),
        every=options["every"],
        look_ahead="-" not in inputs,  # who writes into a pipe may wait for what comes out of it
    ) as dehazer:
        try:
            for job in jobs:
                outcomes.append(_run(job, dehazer, encode, stop, console, options))
        finally:
            if report:
                _write_report(report, outcomes)
    if any("error" in outcome for outcome in outcomes):
        raise SystemExit(1)


def _run(
    job: Job, dehazer: Dehazer, encode: EncodeOptions, stop: threading.Event, console: Console, options: dict[str, Any]
) -> dict[str, Any]:
    """Do one job; a failure is printed and does not keep the others from being done."""
    log.info("'%s' becomes '%s'", job.shown, job.output)
    from streamdehaze.video import is_finished, kept_work

    if options["resume"] and not options["overwrite"] and is_finished(job.output):
        log.warning("'%s' is there already and left as it is", job.output)
        return {"input": job.shown, "output": job.output, "frames_out": 0, "skipped": True}
    try:
        report = _dehaze(job, dehazer, encode, stop, console, options)
    except Cancelled:
        kept = kept_work(job.output)
        rest = f"{kept}; the same command goes on" if kept else "nothing of it is kept"
        raise Cancelled(f"stopped; '{job.output}' was not finished and {rest}") from None
    except (StreamDehazeError, OSError) as error:
        console.print(f"streamdehaze: {error}", markup=False, soft_wrap=True)
        if kept := kept_work(job.output):
            console.print(f"{kept}", markup=False, soft_wrap=True)
        if options["verbose"]:
            console.print_exception()
        return {"input": job.shown, "error": str(error)}
    if not options["quiet"]:
        statistics = report.statistics
        frames = "1 picture" if statistics.encode.frames == 1 else f"{statistics.encode.frames} frames"
        if statistics.earlier_frames:
            frames += f" after {statistics.earlier_frames} of earlier runs"
        console.print(
            f"{report.output}: {frames} in {statistics.seconds:.1f} s, {statistics.fps:.1f} fps "
            f"({dehazer.engine.name}; bottleneck: {statistics.bottleneck})",
            markup=False,
            soft_wrap=True,
        )
    return report.as_dict()


def _dehaze(
    job: Job, dehazer: Dehazer, encode: EncodeOptions, stop: threading.Event, console: Console, options: dict[str, Any]
) -> Report:
    from streamdehaze.pipeline import dehaze_video, open_source
    from streamdehaze.video import ReadOptions, what_is

    if what_is(job.input).is_live:
        raise SourceError(f"{job.shown} is a live stream, which has no end; use 'streamdehaze live'")
    read = ReadOptions(
        start=options["start"],
        end=options["end"],
        hwaccel=options["hwaccel"],
        deinterlace=options["deinterlace"],
        on_damage=options["on_damage"],
    )
    with open_source(job.input, read, stop=stop) as source:
        shown = RunProgress(console, job.shown, source.info.frame_count, quiet=options["quiet"])
        with shown:
            return dehaze_video(
                source,
                job.output,
                dehazer=dehazer,
                batch_size=options["batch_size"],
                encode=encode,
                container=options["container"],
                overwrite=options["overwrite"],
                segment_seconds=options["segment_seconds"],
                resume=options["resume"] is not False,
                memory_limit=options["memory_limit"],
                progress=None if options["quiet"] else shown.update,
                stop=stop,
            )


def _stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process at once."""
    stop = threading.Event()

    def handle(number: int, frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return stop


def _write_report(path: Path, outcomes: list[dict[str, Any]]) -> None:
    try:
        write_whole(path, (json.dumps({"jobs": outcomes}, indent=2) + "\n").encode())
    except OSError as error:
        raise ConfigError(f"the report cannot be written to '{path}': {error.strerror}") from error

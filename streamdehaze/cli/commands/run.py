"""`streamdehaze run`: hazy files in, clear files out."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from streamdehaze.cli import collector
from streamdehaze.cli.console import standard_error
from streamdehaze.cli.outputs import check_reports, write_text
from streamdehaze.cli.parameters import (
    AIRLIGHT,
    AIRLIGHT_COLOR,
    BATCH_SIZE,
    BRIGHTNESS,
    ENCODER,
    END,
    EVERY,
    FILE,
    INPUT,
    MODE,
    NETWORK,
    NETWORK_SIZE,
    PRESET,
    QUIET,
    RECURSIVE,
    RUNTIME,
    START,
    STEADY,
    frames_a_second,
    key_value,
    panel,
    part_of,
    point,
    size_bytes,
    stream_number,
    strength,
    take_preset,
    times,
)
from streamdehaze.cli.shutdown import SHUTDOWN, ShutdownHandler
from streamdehaze.cli.work import Work

if TYPE_CHECKING:
    from streamdehaze.dehaze.steady import Every, Steady
    from streamdehaze.video.reading.open import HardwareDecoding
    from streamdehaze.video.reading.options import OnDamage
    from streamdehaze.video.writing.encoding.encoding import AudioCodec

_LEAVE_SECONDS = 60.0
"""From a signal to the end of the process at the latest: segments may be large, and disks slow."""


@click.command(name="run")
@click.argument("inputs", nargs=-1, required=True, type=INPUT)
@panel(
    "Output",
    click.option(
        "-o",
        "--output",
        type=INPUT,
        help="File, folder, or pattern such as `out/{stem}.clear{suffix}`; `-` for a pipe.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace existing outputs."),
    click.option("--codec", type=ENCODER, default="auto", help="FFmpeg's encoder; auto stays with the input's codec."),
    click.option("--crf", type=float, help="Constant quality.  [default: 18 for x264, equivalent for other encoders]"),
    click.option("--preset", help="The encoder's speed preset."),
    click.option(
        "--encoder-option",
        type=key_value,
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other option of the encoder; may be repeated.",
    ),
    click.option("--pixel-format", help="FFmpeg's name.  [default: the input's]"),
    click.option(
        "--audio-codec",
        type=click.Choice(["copy", "aac", "none"]),
        default="copy",
        help="Sound as it is, converted to AAC for a container that cannot hold it, or none.",
    ),
    click.option("--container", help="FFmpeg's name, if the file extension does not tell; pipes default to matroska."),
    click.option(
        "--report", type=FILE, help="Write frames, losses, speed, engine, versions and haze by the second as JSON."
    ),
    click.option("--keep-times", is_flag=True, help="Give outputs the modification times of their inputs."),
    click.option(
        "--strict",
        is_flag=True,
        help="Exit with code 3 if an output lacks anything of its input that you did not ask to leave out.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Only print encoder, copied streams and losses for each input; write nothing."
    ),
    click.option(
        "--preview",
        "moments",
        type=times,
        metavar="T,T,…",
        help="Only write NAME.clear.preview.jpg: these moments, hazy and clear, with the settings given.",
    ),
)
@panel(
    "Dehazing",
    click.option(
        "--preset-file",
        type=PRESET,
        is_eager=True,
        expose_value=False,
        callback=take_preset,
        help="natural, operator, aerial, or a TOML file with options of this group; those on the command line win.",
    ),
    click.option(
        "--strength",
        type=strength,
        default="1",
        metavar="S",
        help="How much haze to remove: 0 (none) to 1, to 1.5 to exaggerate; keyframes (`0:1,12.5:0.4`), or a CSV or "
        "TOML file of them.",
    ),
    click.option(
        "--input-curve",
        type=click.Choice(
            ["auto", "sdr", "slog3", "logc3", "logc4", "vlog", "dlog", "clog3", "applelog", "pq", "hlg", "linear"]
        ),
        default="auto",
        help="Transfer curve of log or HDR footage, so that the network sees what a display would show; auto goes by "
        "the tags of PQ and HLG, and by a camera's note of its log curve.",
    ),
    click.option(
        "--mask",
        type=FILE,
        help="A picture, or a video of the same frame rate, that says where to dehaze: white fully, "
        "black not at all (unchanged, bit for bit), grey in between.",
    ),
    click.option(
        "--near",
        type=click.FloatRange(0, 1),
        metavar="T",
        help="Leave the foreground alone: whatever lets more than this share of its light through the haze, e.g. 0.9.",
    ),
    click.option(
        "--far",
        type=click.FloatRange(0, 1),
        metavar="T",
        help="Leave the farthest parts alone: whatever lets less than this share of its light through the haze, "
        "e.g. 0.2.",
    ),
    STEADY.unless_given(
        default="low",
        help=f"{STEADY.help[:-1]}; ignored for photos. off makes files about twice as large and takes longer.",
    ),
    NETWORK,
    MODE,
    AIRLIGHT,
    AIRLIGHT_COLOR,
    click.option(
        "--airlight-at",
        type=point,
        metavar="X,Y[,TIME]",
        help="Take the haze's colour from this pixel of each input (of its frame at TIME, as in 320,40,12.5).",
    ),
    BRIGHTNESS,
    NETWORK_SIZE,
    click.option("--exact", is_flag=True, help="Run the network on whole frames: slow."),
)
@panel(
    "Input",
    START.option(help=f"{START.help[:-1]}; all streams are cut at the same time."),
    END,
    RECURSIVE,
    click.option("--deinterlace", is_flag=True, help="Turn interlaced video into progressive video."),
    click.option(
        "--bob", is_flag=True, help="Deinterlace with a frame for each field: 25i becomes 50p, 29.97i 59.94p."
    ),
    click.option(
        "--rate",
        type=frames_a_second,
        metavar="FPS",
        help="Frame rate of image sequences and raw streams (24, 29.97, 30000/1001).  [default: 25, or what a stream "
        "says]",
    ),
    click.option(
        "--video-stream",
        type=stream_number,
        metavar="N|all",
        help="Which video stream to dehaze where a file has several: its number, or all.  [default: the "
        "file's default]",
    ),
    click.option(
        "--on-damage",
        type=click.Choice(["keep", "skip", "stop"]),
        default="keep",
        help="What to do with frames that FFmpeg reports as damaged.",
    ),
    click.option("--hwaccel", type=click.Choice(["none", "auto", "cuda"]), default="none", help="Decode on the GPU."),
)
@panel(
    "Long files",
    click.option(
        "--resume/--no-resume",
        default=None,
        help="Unfinished work is always continued; --resume also skips finished outputs; --no-resume starts over.",
    ),
    click.option(
        "--segment-seconds",
        type=click.FloatRange(min=0),
        default=60.0,
        help="Process longer files in segments of this length, kept in `NAME.part` until the end; 0 for none.",
    ),
    click.option(
        "--memory-limit",
        type=size_bytes,
        metavar="SIZE",
        help="Stop when the process uses more memory than this, e.g. 1.5G.",
    ),
)
@panel(
    "Many processes and machines",
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Make the segments of long files in N processes. The result is the same for any N.",
    ),
    click.option(
        "--segment",
        "share",
        type=part_of,
        metavar="K/N",
        help="Only make every N-th segment, from the K-th on, in `NAME.part` in a folder or object store that all "
        "machines share; `streamdehaze join` makes the file of them.",
    ),
    click.option(
        "--ray",
        metavar="ADDRESS",
        help="Make segments on a Ray cluster that shares folders or an object store: auto, local, host:6379 or ray://host:10001.",
    ),
)
@panel(
    "Speed",
    RUNTIME,
    click.option(
        "--engine-wait", is_flag=True, help="Wait until the engine is built, instead of starting with PyTorch."
    ),
    EVERY.unless_given(default="auto; 1 with --exact, --steady off, or standard input"),
    BATCH_SIZE.unless_given(default="4, fewer of large ones"),
)
@panel(
    "Messages",
    QUIET,
    click.option("-v", "--verbose", is_flag=True, help="Print more, and where errors come from."),
)
def command(
    inputs: tuple[str, ...],
    output: str | None,
    overwrite: bool,
    codec: str,
    crf: float | None,
    preset: str | None,
    encoder_option: tuple[tuple[str, str], ...],
    pixel_format: str | None,
    audio_codec: AudioCodec,
    container: str | None,
    report: Path | None,
    keep_times: bool,
    strict: bool,
    dry_run: bool,
    moments: tuple[float, ...] | None,
    steady: Steady | None,
    checkpoint: str,
    mask: Path | None,
    airlight_at: tuple[float, float, float] | None,
    start: float | None,
    end: float | None,
    recursive: bool,
    deinterlace: bool,
    bob: bool,
    rate: Fraction | None,
    video_stream: int | Literal["all"] | None,
    on_damage: OnDamage,
    hwaccel: HardwareDecoding,
    resume: bool | None,
    segment_seconds: float,
    workers: int | None,
    share: tuple[int, int] | None,
    ray: str | None,
    memory_limit: int | None,
    engine: str,
    engine_wait: bool,
    every: Every | None,
    batch_size: int | None,
    quiet: bool,
    verbose: bool,
    **settings: Any,
) -> None:
    """Make hazy videos and photos clear.

    INPUTS are files, folders, globs, image sequences (`frames/%05d.png`), addresses in object stores (`s3://`, `gs://`,
    `az://`) or `-` for standard input. Each result is called `NAME.clear.EXT` and written next to its input unless -o
    says otherwise. Audio, subtitles, chapters and everything else that is not the picture is copied.

    \b
    Examples:
      streamdehaze run foggy.mp4
      streamdehaze run foggy.mp4 -o out.mkv --codec libx265 --crf 20 --start 1:00 --end 1:30
      streamdehaze run footage/ photo.jpg 'more/*.mkv' -o 'cleared/{stem}.clear{suffix}'
      ffmpeg -i foggy.mp4 -f matroska - | streamdehaze run - -o - | ffplay -
      streamdehaze run film.mkv --workers 4
    """
    console = standard_error(quiet=quiet, verbose=verbose)
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other")
    if settings["airlight_color"] is not None and airlight_at is not None:
        raise click.UsageError("--airlight-color and --airlight-at contradict each other")
    if (ways := sum(each is not None for each in (workers, share, ray))) > 1:
        raise click.UsageError("choose one of --workers, --segment and --ray")
    from streamdehaze.process import limit_arenas

    limit_arenas(1)
    from streamdehaze.cli.workers import open_workers
    from streamdehaze.control.mask import Mask
    from streamdehaze.dehaze import Dehazer
    from streamdehaze.pipeline import RunOptions
    from streamdehaze.pipeline.inputs import plan_jobs
    from streamdehaze.pipeline.sharing.segments import DeferredDehazer
    from streamdehaze.video import EncodeOptions, ReadOptions
    from streamdehaze.video.picture import is_picture

    jobs = plan_jobs(inputs, output, recursive=recursive)
    check_reports(report, others=[name for job in jobs for name in (job.input, job.output)])
    work = Work(
        ReadOptions(
            start=start,
            end=end,
            hwaccel=hwaccel,
            deinterlace="fields" if bob else deinterlace,
            rate=rate,
            on_damage=on_damage,
            video_stream=video_stream,
        ),
        EncodeOptions(codec, crf, preset, dict(encoder_option), pixel_format, audio_codec),
        RunOptions(batch_size, container, overwrite, segment_seconds, resume is not False, memory_limit),
        _stop_on_signals(),
        console,
        leave_finished=bool(resume) and not overwrite,
        keep_times=keep_times,
        quiet=quiet,
        verbose=verbose,
        airlight_at=airlight_at,
        share=share,
    )
    outcomes: list[dict[str, Any]] = []
    if dry_run:
        outcomes = [work.preview(job) for job in jobs]
        _write_report(report, outcomes)
        _exit(outcomes, strict=strict)
        return
    look_ahead = "-" not in inputs  # what writes into a pipe may wait for what comes out of it
    steady = steady or ("off" if settings["exact"] else "low")
    with (DeferredDehazer if ways else Dehazer)(
        checkpoint,
        engine=engine,
        engine_wait=engine_wait,
        int8=not any(is_picture(job.input) for job in jobs),
        mask=None if mask is None else Mask.read(mask),
        steady=steady,
        every=every or ("auto" if look_ahead and steady != "off" else 1),
        look_ahead=look_ahead,
        **settings,
    ) as dehazer:
        collector.resume()
        if moments is not None:
            _exit([work.write_contact_sheet(job, moments, dehazer) for job in jobs], strict=strict)
            return
        try:
            with open_workers(workers, ray, quiet=quiet, verbose=verbose) as executor:
                for job in jobs:
                    outcomes.append(work.run(job, dehazer, executor))
            work.finish_engine(dehazer)
        finally:
            _write_report(report, outcomes)
    _exit(outcomes, strict=strict)


def _exit(outcomes: Sequence[dict[str, Any]], *, strict: bool) -> None:
    """End with 1 for failed inputs, with 3 for losses where they are not tolerated."""
    if any("error" in outcome for outcome in outcomes):
        raise SystemExit(1)
    if strict and any(outcome.get("losses") for outcome in outcomes):
        raise SystemExit(3)


def _stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set; another half a second later or more ends the process at once.

    So does a minute in which it does not end by itself: a library may wait for a driver or a network forever. What is
    unfinished then has a partial name, or is a segment that the next run continues with.
    """
    handler = ShutdownHandler(_LEAVE_SECONDS, hears_reload=False)
    handler.has_work = True
    context = click.get_current_context()
    assert context is not None  # rich-click's stubs allow for none
    context.meta[SHUTDOWN] = handler
    return context.with_resource(handler).stop


def _write_report(path: Path | None, outcomes: list[dict[str, Any]]) -> None:
    if path is not None:
        write_text(path, json.dumps({"jobs": outcomes}, indent=2) + "\n")

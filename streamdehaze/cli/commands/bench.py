"""`streamdehaze bench`: what the frame rate is, what limits it, and what would change it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from streamdehaze.cli.console import say
from streamdehaze.cli.outputs import check_reports
from streamdehaze.cli.parameters import (
    BATCH_SIZE,
    CHECKPOINT,
    ENGINE,
    FILE,
    INPUT,
    NETWORK,
    PATH,
    RUNTIME,
    Option,
    every,
    panel,
    picture_size,
)
from streamdehaze.durable import require_folders
from streamdehaze.extras import require

if TYPE_CHECKING:
    from rich.console import Console

    from streamdehaze.bench import BenchReport, Measurement

_NAMES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "1440p": (2560, 1440), "2160p": (3840, 2160)}


def _size(text: str) -> tuple[int, int]:
    """Width and height, or a name for them."""
    try:
        return _NAMES.get(text.lower()) or picture_size(text)
    except click.BadParameter:
        raise click.BadParameter(f"'{text}' is neither WIDTHxHEIGHT nor one of {', '.join(_NAMES)}.") from None


def _each(name: str, plural: str, type: Any, default: list[Any], help: str) -> Option:
    """An option that may be repeated; every combination is measured."""
    return click.option(name, plural, type=type, multiple=True, default=default, help=f"{help}; may be repeated.")


@click.command(name="bench")
@click.argument("video", required=False, type=INPUT)
@panel(
    "Clip",
    click.option("--size", "sizes", multiple=True, type=_size, metavar="WxH|720p", help="Draw a clip of this size."),
    click.option(
        "--frames",
        type=click.IntRange(min=8),
        help="Frames of the clip.  [default: 100; fewer above 720p without --thorough]",
    ),
)
@panel(
    "Combinations",
    _each("--network-size", "network_sizes", int, [192, 256], "Long side of the small picture, pixels"),
    click.option(
        "--batch-size",
        "--batch",  # its name in earlier versions
        "batches",
        type=click.IntRange(min=1),
        multiple=True,
        default=[4],
        help=f"{BATCH_SIZE.help.removesuffix('.')}; may be repeated.",
    ),
    _each("--checkpoint", "checkpoints", CHECKPOINT, [NETWORK.default], NETWORK.help.removesuffix(".")),
    _each("--engine", "engines", ENGINE, ["auto"], RUNTIME.help.removesuffix(".")),
    click.option(
        "--every",
        "everies",
        type=every,
        multiple=True,
        metavar="K",
        help="A steady pipeline for each, in addition to `run`'s default (auto); may be repeated.",
    ),
)
@panel(
    "Measuring",
    click.option("--thorough", is_flag=True, help="Repeat whole pipelines until they settle; takes minutes."),
    click.option(
        "--limit",
        type=click.FloatRange(min=0),
        help="Give each number at most this many seconds to settle.  [default: 2.5; 10 with --thorough]",
    ),
)
@panel(
    "Output",
    click.option("--json", "json_file", type=FILE, help="Write everything as JSON."),
    click.option("--csv", "csv_file", type=FILE, help="Write a line per row."),
    click.option("--markdown", "markdown_file", type=FILE, help="Write the tables."),
    click.option("--plot", "plot_file", type=FILE, help="Draw a picture (.png, .svg, .pdf)."),
    click.option(
        "--quality",
        "quality_files",
        type=PATH,
        multiple=True,
        help="Results of `evaluate --json`, for the picture; may be repeated.",
    ),
    click.option("--against", type=PATH, help="An earlier --json, to print ratios to."),
)
def command(
    video: str | None,
    sizes: tuple[tuple[int, int], ...],
    network_sizes: tuple[int, ...],
    batches: tuple[int, ...],
    checkpoints: tuple[str, ...],
    engines: tuple[str, ...],
    everies: tuple[int | Literal["auto"], ...],
    thorough: bool,
    frames: int | None,
    limit: float | None,
    json_file: Path | None,
    csv_file: Path | None,
    markdown_file: Path | None,
    plot_file: Path | None,
    quality_files: tuple[Path, ...],
    against: Path | None,
) -> None:
    """Measure every stage and the whole pipeline.

    VIDEO is a file, or the address of a camera (rtsp://…), whose first frames are recorded as they are. Without it,
    hazy clips are drawn, one for each --size (720p if none is given). Options that may be repeated are combined. Every
    number is repeated until its rounds agree within 2 %; those that do not by --limit are marked. Each is printed as
    soon as it is known; a clip of 720p takes under two minutes.

    \b
    Examples:
      streamdehaze bench foggy.mp4
      streamdehaze bench --size 720p --size 1080p --network-size 192 --engine torch --engine openvino --plot bench.png
    """
    if video is not None and sizes:
        raise click.UsageError("a VIDEO has a size of its own; leave --size out")
    if quality_files and not plot_file:
        raise click.UsageError("--quality is drawn by --plot; name a file for that")
    from rich.console import Console

    from streamdehaze.bench import BenchPlan, read_quality, read_report, run_bench, write_markdown
    from streamdehaze.bench.plot import plot

    # What is wrong or missing is reported before the minutes of measuring.
    earlier = read_report(against) if against else None
    qualities = [read_quality(path) for path in quality_files]
    require_folders(plot_file)
    check_reports(json_file, csv_file, markdown_file, others=() if video is None else [str(video)])
    if plot_file:
        require("matplotlib", "--plot", "plot")
    plan = BenchPlan(
        video=video,
        sizes=sizes or [_NAMES["720p"]],
        network_sizes=network_sizes,
        batches=batches,
        checkpoints=checkpoints,
        engines=engines,
        every=[k for k in everies if k != "auto"],
        thorough=thorough,
        limit_seconds=limit,
        frames=frames,
    )
    with _Progress() as progress:
        report = run_bench(plan, progress.begins, progress.measured)
    console = Console()
    _print(report, console)
    if earlier:
        _print_against(report, earlier, console)
    if json_file:
        report.write_json(json_file)
    if csv_file:
        report.write_csv(csv_file)
    if markdown_file:
        write_markdown(report, markdown_file)
    if plot_file:
        plot(report, plot_file, qualities)


class _Progress:
    """A line on standard error for each number as soon as it is measured; on a terminal also what is done now."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("starting")

    def __enter__(self) -> _Progress:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._status.stop()

    def begins(self, what: str) -> None:
        """Show what is done now; where nothing can be overwritten, only if it may take long without a number."""
        if self._console.is_terminal:
            self._status.update(what)
        elif ": " not in what:
            say(self._console, what)

    def measured(self, row: Measurement) -> None:
        """Print a row."""
        doubt = "" if row.timing.settled else f" ±{row.timing.spread:.0%}"
        say(self._console, f"{row.group}: {row.name}: {row.timing.fps:.1f} fps{doubt}")


def _print(report: BenchReport, console: Console) -> None:
    from rich.table import Table

    console.print(report.place(), highlight=False)
    for title, rows in report.groups():
        table = Table(title=title, title_justify="left")
        table.add_column("part", width=18)  # with its borders as wide as a terminal, 80
        for heading, width in (("fps", 11), ("median ms", 9), ("p99 ms", 8), ("CPU ms", 7), ("peak MiB", 8)):
            table.add_column(heading, justify="right", width=width)
        for row in rows:
            timing = row.timing
            single_call = row.part in ("shrink", "engine", "fit", "apply", "frame")
            table.add_row(
                row.name,
                f"{timing.fps:.1f}" + ("" if timing.settled else f" ±{timing.spread:.0%}"),
                f"{timing.latency_ms['median']:.2f}" if single_call else "",
                f"{timing.latency_ms['p99']:.2f}" if single_call else "",
                f"{timing.cpu_seconds_per_frame * 1000:.2f}",
                "" if timing.peak_rss_mib is None else f"{timing.peak_rss_mib:.0f}",
            )
        console.print(table)
        for row in rows:
            _print_more(row, console)
    console.print("ms: of one call; CPU ms: of all threads, a frame; ±: did not settle in time", style="dim")
    for sentence in report.verdicts:
        say(console, sentence)


def _print_more(row: Measurement, console: Console) -> None:
    if row.part == "frame":
        latencies = ", ".join(f"{name} {value:.2f}" for name, value in row.timing.latency_ms.items())
        say(console, f"one frame, host to host: {latencies} ms")
    if row.device_ms:
        split = ", ".join(f"{name} {value:.2f} ms" for name, value in row.device_ms.items())
        say(console, f"engine, batch {row.batch}, on the GPU: {split}")
    if row.part == "pipeline" and row.timing.gpu:
        gpu = row.timing.gpu
        facts = (
            (gpu.peak_memory_mib, "MiB at most"),
            (gpu.sm_clock_mhz, "MHz (SM)"),
            (gpu.memory_clock_mhz, "MHz (memory)"),
            (gpu.utilisation_percent, "% busy"),
            (gpu.power_watts, "W"),
        )
        values = ", ".join(f"{value:.0f} {unit}" for value, unit in facts if value is not None)
        say(console, f"GPU during the pipeline: {values}")


def _print_against(report: BenchReport, earlier: BenchReport, console: Console) -> None:
    from streamdehaze.bench import compare_reports, differences

    for difference in differences(report, earlier):
        say(console, f"not the same: {difference}")
    changes = compare_reports(report, earlier)
    for change in changes:
        doubt = "" if change.sure else " (within the spread of its rounds)"
        what = f"{change.row.name}: {change.row.group}"
        say(console, f"{change.ratio:6.2f} × {what}{doubt}")
    if not changes:
        say(console, "the earlier report has none of these measurements")

"""`streamdehaze bench`: what the frame rate is, what holds it back, and what would change it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from rich.console import Console

    from streamdehaze.bench import BenchReport

_NAMES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "1440p": (2560, 1440), "2160p": (3840, 2160)}


def _sizes(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> list[tuple[int, int]]:
    sizes = []
    for text in value:
        width, _, height = text.lower().partition("x")
        if text.lower() in _NAMES:
            sizes.append(_NAMES[text.lower()])
        elif width.isdigit() and height.isdigit():
            sizes.append((int(width), int(height)))
        else:
            raise click.BadParameter(f"'{text}' is neither WIDTHxHEIGHT nor one of {', '.join(_NAMES)}")
    return sizes


@click.command(name="bench")
@click.argument("video", type=click.Path(path_type=Path), required=False)
@click.option("--size", "sizes", multiple=True, callback=_sizes, metavar="WxH|720p", help="Draw a clip of this size.")
@click.option("--network-size", "network_sizes", type=int, multiple=True, default=[256], show_default=True)
@click.option("--batch", "batches", type=click.IntRange(min=1), multiple=True, default=[4], show_default=True)
@click.option("--checkpoint", "checkpoints", multiple=True, default=["aecrnet-s"], show_default=True)
@click.option("--engine", "engines", multiple=True, default=["auto"], show_default=True)
@click.option("--frames", type=click.IntRange(min=8), default=100, show_default=True, help="Frames of the clip.")
@click.option("--limit", type=float, default=10.0, show_default=True, help="Most seconds for a number to settle.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Everything goes here.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="A line for each row.")
@click.option("--plot", "plot_file", type=click.Path(dir_okay=False, path_type=Path), help="A picture (PNG).")
@click.option("--against", type=click.Path(path_type=Path), help="An earlier --json, to print ratios to.")
def command(
    video: Path | None,
    sizes: list[tuple[int, int]],
    network_sizes: tuple[int, ...],
    batches: tuple[int, ...],
    checkpoints: tuple[str, ...],
    engines: tuple[str, ...],
    frames: int,
    limit: float,
    json_file: Path | None,
    csv_file: Path | None,
    plot_file: Path | None,
    against: Path | None,
) -> None:
    """Measure decoding, each engine, fit and apply, encoding, and the whole pipeline.

    On VIDEO, or on clips drawn for each --size (720p if none is given). Options that may be given several times are
    combined: `bench --size 720p --size 1080p --network-size 192 --network-size 256 --engine torch --engine openvino`.
    Every number is repeated until three rounds agree within 2 %; those that did not by --limit are marked.
    """
    if video is not None and sizes:
        raise click.UsageError("a VIDEO has a size of its own; leave --size out")
    from rich.console import Console

    from streamdehaze.bench import Plan, read_report, run_bench

    earlier = read_report(against) if against else None  # a wrong file is told before the minutes of measuring
    plan = Plan(
        video=video,
        sizes=sizes or [_NAMES["720p"]],
        network_sizes=network_sizes,
        batches=batches,
        checkpoints=checkpoints,
        engines=engines,
        limit_seconds=limit,
        frames=frames,
    )
    with Console(stderr=True).status("starting") as status:
        report = run_bench(plan, status.update)
    if json_file:
        report.write_json(json_file)
    if csv_file:
        report.write_csv(csv_file)
    console = Console()
    _print(report, console)
    if earlier:
        _print_against(report, earlier, console)
    if plot_file:
        from streamdehaze.bench.plot import plot

        plot(report, plot_file)


def _print(report: BenchReport, console: Console) -> None:
    from rich.table import Table

    place = report.environment
    where = f"{place['processor']}, {place['cores']} cores, load {place['load_average']}, {place['gpu'] or 'no GPU'}"
    console.print(where, highlight=False)
    table, of = Table(), None
    for row in report.rows:
        facts = (row.size, row.network_size and f"network size {row.network_size}", row.checkpoint, row.engine)
        if facts != of:
            if of is not None:
                console.print(table)
            of = facts
            table = Table(title=", ".join(str(fact) for fact in facts if fact), title_justify="left")
            table.add_column("part", width=20)
            for heading in ("fps", "median ms", "p99 ms", "CPU ms", "peak MiB"):
                table.add_column(heading, justify="right", width=12)
        timing = row.timing
        single_call = row.part in ("shrink", "engine", "fit", "apply", "frame")
        table.add_row(
            row.part + (f", batch {row.batch}" if row.batch else ""),
            f"{timing.fps:.1f}" + ("" if timing.settled else f" ±{timing.spread:.0%}"),
            f"{timing.latency_ms['median']:.2f}" if single_call else "",
            f"{timing.latency_ms['p99']:.2f}" if single_call else "",
            f"{timing.cpu_seconds_per_frame * 1000:.2f}",
            "" if timing.peak_rss_mib is None else f"{timing.peak_rss_mib:.0f}",
        )
    console.print(table)
    console.print("ms: of one call; CPU ms: of all threads, a frame; ±: did not settle in time", style="dim")
    for sentence in report.verdicts:
        console.print(sentence, markup=False, soft_wrap=True)


def _print_against(report: BenchReport, earlier: BenchReport, console: Console) -> None:
    from streamdehaze.bench import compare, differences

    for difference in differences(report, earlier):
        console.print(f"not the same: {difference}", markup=False, soft_wrap=True)
    for row, ratio in compare(report, earlier):
        facts = ", ".join(str(fact) for fact in row.key if fact)
        console.print(f"{ratio:6.2f} × {facts}", markup=False, soft_wrap=True)

"""`streamdehaze evaluate`: scores of a checkpoint on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from streamdehaze.evaluation import Report


@click.command(name="evaluate")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--clear", type=click.Path(path_type=Path), help="Folder of the truth, if DATA is hazy pictures alone.")
@click.option("--checkpoint", default="aecrnet-s", show_default=True, help="A bundled checkpoint's name, or a file.")
@click.option("--engine", default="auto", show_default=True, help="auto, torch, openvino or tensorrt.")
@click.option("--network-size", type=int, default=256, show_default=True, help="Long side the network sees, pixels.")
@click.option("--exact", is_flag=True, help="Run the network on whole pictures: the paper's procedure.")
@click.option("--limit", type=click.IntRange(min=1), help="The first so many pictures only.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="A row per picture goes here.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Everything goes here.")
@click.option("--grid", type=click.Path(path_type=Path), help="A picture of the best and the worst goes here.")
def command(
    data: Path,
    clear: Path | None,
    checkpoint: str,
    engine: str,
    network_size: int,
    exact: bool,
    limit: int | None,
    csv_file: Path | None,
    json_file: Path | None,
    grid: Path | None,
) -> None:
    """Score a checkpoint on DATA: pairs of hazy and clear pictures or videos, pictures with depth, or hazy ones alone.

    PSNR (dB) and SSIM against the truth; e, r̄ and σ (Hautière 2008) for what became visible; for videos the error along
    the true motion beside the truth's own, and the flicker of still pixels, in 8-bit levels.
    """
    from rich.console import Console

    from streamdehaze.dehaze import Dehazer

    try:
        from streamdehaze.evaluation import Extremes, evaluate
    except ModuleNotFoundError as error:
        raise click.ClickException(f"evaluation needs {error.name}: pip install 'streamdehaze[train]'") from None
    extremes = Extremes()
    with (
        Dehazer(checkpoint, engine=engine, network_size=network_size, exact=exact) as dehazer,
        Console(stderr=True).status("dehazing") as status,
    ):
        report = evaluate(
            data,
            dehazer,
            clear=clear,
            limit=limit,
            extremes=extremes,
            progress=lambda name: status.update(f"dehazing {name}"),
        )
        mode = "exact" if exact else f"fast, network size {network_size}"
        facts = {**report.facts, "checkpoint": checkpoint, "mode": mode, "engine": dehazer.engine.name}
    report = type(report)(facts, report.rows, report.sequences)
    if csv_file:
        report.write_csv(csv_file)
    if json_file:
        report.write_json(json_file)
    if grid:
        extremes.write(grid)
    _print(report)


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(", ".join(f"{key}: {value}" for key, value in report.facts.items()), markup=False)
    table = Table("", "mean", "median", "min", "max")
    for name, numbers in report.summary.items():
        table.add_row(name, *(f"{numbers[column]:.4g}" for column in ("mean", "median", "min", "max")))
    console.print(f"{len(report.rows)} pictures")
    console.print(table)
    if report.sequences:
        videos = Table(*report.sequences[0])
        for row in report.sequences:
            videos.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
        console.print(videos)

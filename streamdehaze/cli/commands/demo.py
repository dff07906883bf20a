"""`streamdehaze demo`: a rendered drive through fog, cleared and measured in a minute."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from streamdehaze.cli.parameters import NETWORK


@click.command(name="demo")
@click.option("-o", "--output", default="demo", type=click.Path(file_okay=False, path_type=Path),
    help="Output folder; files of an earlier demo are replaced.")  # fmt: skip
@click.option("--seconds", default=5.0, type=click.FloatRange(0, min_open=True), help="Length of the clip.")
@NETWORK
def command(output: Path, seconds: float, checkpoint: str) -> None:
    """Render a drive through fog, clear it, and measure the result.

    Writes `foggy.mp4`, `foggy.clear.mp4`, `compare.mp4` with a moving divider, and `split.png` with the truth.
    """
    from rich.console import Console
    from rich.table import Table

    from streamdehaze.cli.console import say, standard_error
    from streamdehaze.demo import run_demo

    progress = standard_error(quiet=False, verbose=False)
    result = run_demo(
        output, seconds=seconds, checkpoint=checkpoint, say=lambda text: progress.print(text, markup=False)
    )
    table = Table(title=f"against the clear truth, {result.frames_measured} frames")
    table.add_column("video")
    table.add_column("PSNR", justify="right")
    table.add_column("gain", justify="right")
    table.add_row(str(result.hazy_video), f"{result.psnr_hazy:.2f} dB", "")
    table.add_row(
        str(result.clear_video), f"{result.psnr_clear:.2f} dB", f"{result.psnr_clear - result.psnr_hazy:+.2f} dB"
    )
    console = Console(highlight=False)
    console.print(table)
    statistics = result.report.statistics
    say(
        console,
        f"dehazed {statistics.encode.frames} frames at {statistics.fps:.1f} fps ({result.report.engine}); "
        f"look at {result.picture} and {result.comparison}",
    )

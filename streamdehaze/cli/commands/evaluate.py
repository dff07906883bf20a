"""`streamdehaze evaluate`: scores of a checkpoint on a data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from click.core import ParameterSource

from streamdehaze.cli.outputs import check_reports
from streamdehaze.cli.parameters import (
    AIRLIGHT,
    BRIGHTNESS,
    EVERY,
    NETWORK,
    NETWORK_SIZE,
    PATH,
    RUNTIME,
    STEADY,
    panel,
)
from streamdehaze.durable import require_folders
from streamdehaze.errors import ConfigError, SinkError, counted
from streamdehaze.extras import require

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from streamdehaze.dehaze.settings import SettingsKeywords
    from streamdehaze.evaluation import EvaluationReport


@click.command(name="evaluate")
@click.argument("data", type=PATH)
@panel(
    "Data",
    click.option("--clear", type=PATH, help="Folder of the truth, if DATA has only hazy pictures."),
    click.option("--take", type=click.IntRange(min=1), default=1, metavar="K", help="Every K-th picture."),
    click.option("--limit", type=click.IntRange(min=1), help="At most this many pictures, from the first."),
)
@panel(
    "Dehazing",
    NETWORK,
    RUNTIME,
    AIRLIGHT,
    BRIGHTNESS.unless_given(default="natural; keep without ground truth"),
    NETWORK_SIZE,
    click.option("--exact", is_flag=True, help="Run the network on whole pictures."),
    click.option(
        "--alone",
        is_flag=True,
        help="Run the network on whole pictures and do nothing around it: what papers score.",
    ),
    STEADY.option(default="off", help="For videos, as in `run`."),
    EVERY.option(default="1", help="For videos, as in `run`."),
)
@panel(
    "Measures",
    click.option("--text", is_flag=True, help="Also read text before and after; takes seconds for each picture."),
    click.option("--detector", type=PATH, help="Score this ONNX detector before and after; needs --boxes."),
    click.option("--boxes", type=PATH, help="What there is to detect, as a COCO file."),
)
@panel(
    "Output",
    click.option("--csv", "csv_file", type=PATH, help="Write a row per picture."),
    click.option("--json", "json_file", type=PATH, help="Write everything as JSON."),
    click.option("--trace", type=PATH, help="Plot the steadiness of each video over time."),
    click.option("--grid", type=PATH, help="Draw the best and the worst pictures side by side."),
)
def command(
    data: Path,
    clear: Path | None,
    checkpoint: str,
    engine: str,
    take: int,
    limit: int | None,
    alone: bool,
    text: bool,
    detector: Path | None,
    boxes: Path | None,
    csv_file: Path | None,
    json_file: Path | None,
    trace: Path | None,
    grid: Path | None,
    **settings: Unpack[SettingsKeywords],
) -> None:
    """Score a checkpoint on a data set.

    DATA is a folder of hazy and clear pictures, of clear pictures with depth, or of hazy pictures alone, or a CSV file
    with the columns hazy and clear. It prints PSNR (dB) and SSIM against the truth; e, r̄ and σ (Hautière 2008) for
    what became visible, r̄ also in the far band; brightness, near-black and clipped pixels, chroma of the haze,
    flatness of the sky and halos for what else was done; for videos the error along the true motion next to the truth's
    own, what dehazing adds to still pixels, and the wobble of the brightness, in 8-bit levels.

    The scores are of all that `run` does, with --brightness natural where there is a truth; --alone gives those of the
    network, to compare with published ones.

    \b
    Examples:
      streamdehaze evaluate SOTS/indoor --checkpoint runs/my/best.safetensors --grid worst.png --csv pictures.csv
      streamdehaze evaluate SOTS/indoor --checkpoint ITS_train.pk --alone
      streamdehaze evaluate photos/ --take 5
    """
    if (detector is None) != (boxes is None):
        raise click.UsageError("--detector and --boxes belong together")
    if alone:
        _check_alone()
    from rich.console import Console

    from streamdehaze.dehaze import Dehazer

    require("torchmetrics", "evaluation", "train")
    import cv2

    from streamdehaze.evaluation import Extremes, evaluate, has_truth
    from streamdehaze.evaluation.detection import DetectionMeter, Detector, read_boxes
    from streamdehaze.evaluation.text import open_reader
    from streamdehaze.evaluation.trace import plot_traces

    require_folders(trace, grid)
    check_reports(csv_file, json_file)
    if grid is not None and not cv2.haveImageWriter(str(grid)):
        raise SinkError(f"{grid} names no picture; use .png or .jpg")
    extremes, reader = Extremes(), open_reader() if text else None
    detection = DetectionMeter(Detector(detector), read_boxes(boxes)) if detector and boxes else None
    settings["brightness"] = settings.get("brightness") or ("natural" if has_truth(data, clear) else "keep")
    settings["look_ahead"] = True
    with (
        Dehazer(checkpoint, engine=engine, **settings) as dehazer,
        Console(stderr=True).status("dehazing") as status,
    ):
        report = evaluate(
            data,
            dehazer,
            clear=clear,
            take=take,
            limit=limit,
            alone=alone,
            extremes=extremes,
            reader=reader,
            detection=detection,
            progress=lambda name: status.update(f"dehazing {name}"),
        )
        used = dehazer.video
        mode = "exact" if used.exact else f"fast, network size {used.network_size}"
        around = {"airlight": used.airlight, "brightness": used.brightness, "steady": used.steady}
        facts = {
            **report.facts,
            "checkpoint": checkpoint,
            "mode": "network alone" if alone else mode,
            "engine": dehazer.engine.name,
            **({} if alone else around),
        }
    report = replace(report, facts=facts)
    _print(report)
    if csv_file:
        report.write_csv(csv_file)
    if json_file:
        report.write_json(json_file)
    if trace:
        if not report.traces:
            raise ConfigError("--trace needs the frames of a video with their truth; DATA holds single pictures")
        plot_traces(trace, {"error along the motion, levels": report.traces})
    if grid:
        extremes.write(grid)


def _check_alone() -> None:
    context = click.get_current_context()
    for name in ("airlight", "brightness", "network_size", "exact", "steady", "every"):
        if context is not None and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--alone leaves out what --{name.replace('_', '-')} sets")


def _print(report: EvaluationReport) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(", ".join(f"{key}: {value}" for key, value in report.facts.items()), markup=False)
    table = Table("", "mean", "median", "min", "max")
    for name, numbers in report.summary.items():
        table.add_row(name, *(f"{numbers[column]:.4g}" for column in ("mean", "median", "min", "max")))
    console.print(counted(len(report.rows), "picture"))
    console.print(table)
    if report.detection:
        console.print(", ".join(f"{name}: {value:.3f}" for name, value in report.detection.items()))
    if report.sequences:
        videos = Table(*report.sequences[0])
        for row in report.sequences:
            videos.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
        console.print(videos)

"""`streamdehaze visibility`: how far a fixed camera sees, in metres."""

from __future__ import annotations

import csv
import io
import json
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from streamdehaze.cli.group import Group
from streamdehaze.cli.outputs import check_reports, refuse_existing, write_text
from streamdehaze.cli.parameters import FILE, INPUT, RECURSIVE, TEXT_FILE
from streamdehaze.errors import ConfigError, StreamDehazeError, counted

if TYPE_CHECKING:
    from datetime import datetime

    from streamdehaze.meter.visibility import Contrast

_EVERY = click.option("--every", type=click.IntRange(min=1), default=25, help="Take every K-th frame of videos.")


class _Failures:
    """What is printed of inputs that cannot be read, each once; the others are read, and the exit code is then 1."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, error: StreamDehazeError) -> None:
        if str(error) not in self._known:
            self._known.add(str(error))
            click.echo(f"streamdehaze: {error}", err=True)

    def end(self) -> None:
        if self._known:
            raise SystemExit(1)


def mark(text: str) -> tuple[float, float, float]:
    """X, Y and metres of a mark."""
    try:
        x, y, metres = (float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"'{text}' is not X,Y,METRES, as in 0.4,0.55,120.") from None
    return x, y, metres


@click.group(name="visibility", cls=Group)
def command() -> None:
    """Tell how far a camera that does not move sees, in metres at 5 % contrast.

    First learn how its view looks on clear days and how far its parts are, then read pictures. docs/meter.md says what
    the numbers mean, and when not to trust them.

    \b
    Examples:
      streamdehaze visibility learn last-week/ -o gate.npz --mark 0.2,0.6,80 --mark 0.7,0.45,400
      streamdehaze visibility learn last-week/ -o gate.npz --height 8 --horizon 0.4 --view 35
      streamdehaze visibility read gate.npz today/ --csv metres.csv
    """


@command.command(name="learn")
@click.argument("inputs", nargs=-1, required=True, type=INPUT)
@click.option("-o", "--output", required=True, type=FILE, help="The camera's reference (.npz).")
@click.option(
    "--mark",
    "marks",
    type=mark,
    multiple=True,
    metavar="X,Y,METRES",
    help="Something at a known distance: its place as shares of width and height; two or more.",
)
@click.option("--height", type=float, help="Height of the camera above flat ground, metres; with --horizon and --view.")
@click.option(
    "--horizon",
    type=float,
    help="Where the horizon lies, as a share of the picture's height from the top; it may be hidden.",
)
@click.option("--view", type=float, help="Vertical angle of view, degrees.")
@click.option("--meter", type=FILE, help="CSV with the columns frame and metres, of a visibility meter at the camera.")
@_EVERY
@RECURSIVE
@click.option("--overwrite", is_flag=True, help="Replace an existing reference.")
def learn(
    inputs: tuple[str, ...],
    output: Path,
    marks: tuple[tuple[float, float, float], ...],
    height: float | None,
    horizon: float | None,
    view: float | None,
    meter: Path | None,
    every: int,
    recursive: bool,
    overwrite: bool,
) -> None:
    """Learn a camera's clear day from pictures of it in different weather, at least some of them clear.

    Distances come from marks, from the camera's height above flat ground, or from a visibility meter. Where the names
    of the pictures hold date and time (gate-2026-11-28-0815.jpg), or a photo notes them, every two hours of the day
    get a clear view of their own.
    """
    ground = (height, horizon, view)
    ways = sum((bool(marks), any(value is not None for value in ground), meter is not None))
    if ways != 1:
        raise click.UsageError("give distances in one way: two --mark, --height with --horizon and --view, or --meter")
    if any(value is not None for value in ground) and None in ground:
        raise click.UsageError("--height, --horizon and --view belong together")
    refuse_existing(output, overwrite=overwrite)
    from streamdehaze.meter.distances import distances_of_ground, distances_of_marks, learn_from_meter
    from streamdehaze.meter.pictures import pictures, read_meter
    from streamdehaze.meter.visibility import ClearView, Contrast, Reference

    values = None if meter is None else read_meter(meter)
    contrasts: list[Contrast] = []
    times: list[datetime | None] = []
    metres: list[float] = []
    failures = _Failures()
    first = ""
    for picture in pictures(inputs, every=every, recursive=recursive, failed=failures):
        if values is not None:
            name = Path(picture.input).name
            if name not in values:
                continue
            metres.append(values[name])
        first = first or picture.input
        contrasts.append(Contrast.of(picture.frame))
        times.append(picture.taken)
        if contrasts[-1].blocks.shape != contrasts[0].blocks.shape:
            raise ConfigError(f"'{picture.input}' has another shape than '{first}'; a reference is for one camera")
    if values is not None and not contrasts:
        raise ConfigError(f"'{meter}' has no value for any of the pictures; its column 'frame' has their file names")
    if values is not None:
        reference = learn_from_meter(contrasts, times, metres)
    else:
        shape = ClearView.of(contrasts).contrast.shape
        if height is None or horizon is None or view is None:
            distance = distances_of_marks((shape[0], shape[1]), marks)
        else:
            distance = distances_of_ground(
                (shape[0], shape[1]), height_metres=height, horizon=horizon, view_degrees=view
            )
        reference = Reference.learn(contrasts, times, distance)
    reference.save(output)
    known = f"{reference.blocks} parts of the view, up to {reference.shown_range}"
    hours = [f"{view.hour:g} h" for view in reference.views if view.hour is not None]
    around = f", clear views of their own around {', '.join(hours)}" if hours else ""
    learned = ""
    if reference.calibration is not None:
        factor = exp(reference.calibration.error)
        learned = f"; metres as the meter has them, within a factor of {factor:.2f} on days left out"
    click.echo(f"{output}: {counted(len(contrasts), 'picture')}, {known}{around}{learned}")
    failures.end()


@command.command(name="read")
@click.argument("reference", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("inputs", nargs=-1, required=True, type=INPUT)
@click.option("--csv", "csv_path", type=TEXT_FILE, help="Write a line per picture; - for standard output.")
@click.option("--json", "json_path", type=TEXT_FILE, help="Write a list of pictures; - for standard output.")
@_EVERY
@click.option(
    "--max-age",
    type=click.FloatRange(min=0),
    default=30.0,
    metavar="DAYS",
    help="Say unknown where the clear pictures of REFERENCE are this far away in time; needs pictures with dates.",
)
@RECURSIVE
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
def read(
    reference: Path,
    inputs: tuple[str, ...],
    csv_path: Path | None,
    json_path: Path | None,
    every: int,
    max_age: float,
    recursive: bool,
    overwrite: bool,
) -> None:
    """Read the visibility in pictures of the camera that REFERENCE was learned from."""
    refuse_existing(csv_path, json_path, overwrite=overwrite)
    check_reports(csv_path, json_path, others=inputs)
    from streamdehaze.meter.pictures import pictures
    from streamdehaze.meter.visibility import Reference

    camera = Reference.load(reference)
    rows = []
    failures = _Failures()
    for picture in pictures(inputs, every=every, recursive=recursive, failed=failures):
        try:
            found = camera.read(picture.frame, picture.taken, max_age_days=max_age)
        except ConfigError as error:
            failures(ConfigError(f"{picture.input}: {error}"))
            continue
        rows.append(
            {
                "input": picture.input,
                "taken": None if picture.taken is None else picture.taken.isoformat(timespec="seconds"),
                "seconds": None if picture.seconds is None else round(picture.seconds, 3),
                **found.as_dict(),
            }
        )
        if csv_path is None and json_path is None:
            kind = found.haze_class
            at = "" if picture.seconds is None else f" at {picture.seconds:.1f} s"
            click.echo(f"{picture.input}{at}: {found}" + ("" if kind is None else f", {kind.value}"))
    if csv_path is not None:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]) if rows else ["input"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(csv_path, text.getvalue())
    if json_path is not None:
        write_text(json_path, json.dumps(rows, indent=1) + "\n")
    failures.end()

"""`streamdehaze compare`: two videos or pictures in one view."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import rich_click as click

from streamdehaze.cli.parameters import PATH, QUIET
from streamdehaze.durable import require_folders
from streamdehaze.errors import counted


def divider_place(text: str) -> float | None:
    """A fraction of the width, or None for "moving"."""
    try:
        return None if text == "moving" else float(text)
    except ValueError:
        raise click.BadParameter(f"'{text}' is neither a fraction of the width (0.5) nor 'moving'.") from None


def two_labels(text: str) -> tuple[str, str]:
    """Two texts with a comma between them; none at all for an empty one."""
    first, comma, second = text.partition(",")
    if text and not comma:
        raise click.BadParameter(f"'{text}' is one label; write two with a comma between them, or '' for none.")
    return first.strip(), second.strip()


@click.command(name="compare")
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="The comparison: a video, or a picture.")
@click.option(
    "--mode",
    type=click.Choice(["split", "side-by-side"]),
    default="split",
    help="One picture with a divider, or two next to each other.",
)
@click.option(
    "--divider",
    type=divider_place,
    metavar="SHARE",
    default="0.5",
    help="Its place as a share of the width, or `moving`.",
)
@click.option(
    "--labels",
    type=two_labels,
    metavar="FIRST,SECOND",
    help="Captions, e.g. `hazy,clear`; `''` for none.  [default: file names]",
)
@click.option("--at", type=float, help="For a picture: seconds from the start.  [default: the middle]")
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@QUIET
def command(
    first: Path,
    second: Path,
    output: Path,
    mode: Literal["split", "side-by-side"],
    divider: float | None,
    labels: tuple[str, str] | None,
    at: float | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Show two videos or pictures in one view.

    FIRST and SECOND are matched by time, so frame rates may differ; the sound comes from FIRST. If the output is a
    picture, it shows one moment.

    \b
    Examples:
      streamdehaze compare foggy.mp4 foggy.clear.mp4 -o both.mp4 --divider moving
      streamdehaze compare foggy.mp4 foggy.clear.mp4 -o both.png --mode side-by-side --at 12.5
    """
    from streamdehaze.cli.console import say, standard_error
    from streamdehaze.compare import compare

    require_folders(output)
    console = standard_error(quiet=quiet, verbose=False)
    frames = compare(
        first,
        second,
        output,
        mode=mode,
        divider=divider,
        labels=labels,
        at=at,
        overwrite=overwrite,
    )
    if not quiet:
        say(console, f"{output}: {counted(frames, 'frame')}")

"""`streamdehaze compare`: two videos or pictures in one view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click


class _Divider(click.ParamType):
    """A fraction of the width, or "moving"."""

    name = "fraction|moving"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value == "moving":
            return "moving"
        try:
            return float(value)
        except ValueError:
            self.fail(f"'{value}' is neither a fraction of the width (0.5) nor 'moving'", param, ctx)


class _Labels(click.ParamType):
    """Two texts with a comma between them."""

    name = "first,second"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        first, comma, second = str(value).partition(",")
        if value and not comma:
            self.fail(f"'{value}' is one label; write two with a comma between them, or '' for none", param, ctx)
        return first.strip(), second.strip()


@click.command(name="compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="A video, or a picture.")
@click.option("--mode", type=click.Choice(["split", "side-by-side"]), default="split", show_default=True)
@click.option("--divider", type=_Divider(), default="0.5", show_default=True, help="Its place, or `moving`.")
@click.option("--labels", type=_Labels(), help="Texts on the two, `hazy,clear`; `''` for none.  [default: file names]")
@click.option("--at", type=float, help="The moment of a picture, seconds from the start.  [default: the middle]")
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(
    first: Path,
    second: Path,
    output: Path,
    mode: Any,
    divider: float | str,
    labels: tuple[str, str] | None,
    at: float | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Show two videos or pictures in one view.

    FIRST and SECOND are matched by time, frame rates may differ; sound comes from FIRST. A picture as output shows
    one moment.
    """
    from streamdehaze.cli.console import standard_error
    from streamdehaze.video.compare import compare

    console = standard_error(quiet=quiet, verbose=False)
    frames = compare(
        first,
        second,
        output,
        mode=mode,
        divider=None if divider == "moving" else float(divider),
        labels=labels,
        at=at,
        overwrite=overwrite,
    )
    if not quiet:
        console.print(f"{output}: {frames} {'frame' if frames == 1 else 'frames'}", markup=False, soft_wrap=True)

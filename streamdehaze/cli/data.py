"""`streamdehaze data`: looks at data sets, and renders scenes to train on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from streamdehaze.errors import SourceError

if TYPE_CHECKING:
    from streamdehaze.training.rendered import Kind

_PATH = click.Path(path_type=Path)


@click.group(name="data")
def command() -> None:
    """Look at data sets before training, and render scenes to train on."""


@command.command()
@click.argument("folder", type=_PATH)
@click.option("--clear", type=_PATH, help="Folder of the clear pictures, if FOLDER holds the hazy ones alone.")
@click.option("--sheet", type=_PATH, help="Contact sheet; FOLDER's name with `-contact.jpg` here if not given.")
@click.option("--all", "read_all", is_flag=True, help="Also open every file; exit code 1 if one is at fault.")
def check(folder: Path, clear: Path | None, sheet: Path | None, read_all: bool) -> None:
    """Say what FOLDER is recognised as, name what has no partner, and write a contact sheet."""
    from streamdehaze.datasets.contact import write_contact_sheet
    from streamdehaze.datasets.inspection import unreadable
    from streamdehaze.datasets.layouts import find_layout, pair_folders

    layout = pair_folders(folder, clear) if clear else find_layout(folder)
    pairs = f"{len(layout.pairs)} pairs, matched by {layout.rule}"
    found = f"{len(layout.scenes)} {layout.rule}" if layout.scenes else pairs
    click.echo(f"{folder}: {found}")
    if layout.sequences:
        click.echo(f"{len(layout.sequences)} videos: {', '.join(list(layout.sequences)[:5])}")
    for path in layout.unmatched:
        click.echo(f"no partner: {path}")
    faults = list(unreadable(layout)) if read_all else []
    for fault in faults:
        click.echo(fault)
    sheet = sheet or Path(f"{folder.resolve().name}-contact.jpg")
    write_contact_sheet(layout, sheet)
    click.echo(f"contact sheet: {sheet}")
    if faults:
        raise SourceError(f"{folder} has {len(faults)} files at fault, named above")
    if read_all:
        click.echo("no file is at fault")


def _scene_options(call: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Of the first one."),
        click.option("--count", type=click.IntRange(min=1), default=1200, show_default=True, help="How many."),
        click.option("--textures", type=_PATH, required=True, help="Folder of photos that surfaces are made of."),
        click.argument("folder", type=_PATH),
    ):
        call = option(call)
    return call


@command.command()
@_scene_options
def rooms(folder: Path, textures: Path, count: int, seed: int) -> None:
    """Render furnished rooms with exact depth into FOLDER, to learn indoor haze from; two to four a second."""
    _render("room", folder, textures, count, seed)


@command.command()
@_scene_options
def towns(folder: Path, textures: Path, count: int, seed: int) -> None:
    """Render towns with exact depth and a sky into FOLDER, to learn outdoor fog from; two to four a second."""
    _render("town", folder, textures, count, seed)


def _render(kind: Kind, folder: Path, textures: Path, count: int, seed: int) -> None:
    from rich.progress import track

    from streamdehaze.datasets.layouts import find_pictures
    from streamdehaze.training.rendered import write_rendered

    photos = sorted(path for path in find_pictures(textures) if not path.stem.endswith(".depth"))
    for _ in track(write_rendered(kind, folder, photos, count=count, seed=seed), "rendering", total=count):
        pass
    click.echo(f"{count} {kind}s in {folder}")

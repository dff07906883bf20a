"""`streamdehaze data`: looks at data sets, and renders scenes to train on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from streamdehaze.cli.group import Group
from streamdehaze.cli.parameters import PATH
from streamdehaze.errors import SourceError, counted

if TYPE_CHECKING:
    from streamdehaze.datasets.rendered.scenes import SceneKind


@click.group(name="data", cls=Group)
def command() -> None:
    """Inspect data sets, and render scenes to train on."""


@command.command()
@click.argument("folder", type=PATH)
@click.option("--clear", type=PATH, help="Folder of the clear pictures, if FOLDER has only the hazy ones.")
@click.option("--sheet", type=PATH, help="Contact sheet.  [default: FOLDER-contact.jpg]")
@click.option("--all", "read_all", is_flag=True, help="Also open every file; the exit code is 1 if one cannot be read.")
def check(folder: Path, clear: Path | None, sheet: Path | None, read_all: bool) -> None:
    """Show what FOLDER, or a CSV file, is recognised as and what has no partner, and write a contact sheet."""
    from streamdehaze.datasets.contact import write_contact_sheet
    from streamdehaze.datasets.layouts import find_layout, pair_folders
    from streamdehaze.datasets.pairs import unreadable

    layout = pair_folders(folder, clear) if clear else find_layout(folder)
    pairs = f"{counted(len(layout.pairs), 'pair')}, matched by {layout.rule}"
    found = f"{len(layout.scenes)} {layout.rule}" if layout.scenes else pairs
    click.echo(f"{folder}: {found}")
    if layout.sequences:
        click.echo(f"{counted(len(layout.sequences), 'video')}: {', '.join(list(layout.sequences)[:5])}")
    for path in layout.unmatched:
        click.echo(f"no partner: {path}")
    faults = list(unreadable(layout)) if read_all else []
    for fault in faults:
        click.echo(fault)
    sheet = sheet or Path(f"{folder.resolve().name}-contact.jpg")
    write_contact_sheet(layout, sheet)
    click.echo(f"contact sheet: {sheet}")
    if faults:
        raise SourceError(f"{folder} has {counted(len(faults), 'file')} at fault, named above")
    if read_all:
        click.echo("no file is at fault")


def _scene_options(call: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the first scene."),
        click.option("--count", type=click.IntRange(min=1), default=1200, help="Number of scenes."),
        click.option("--textures", type=PATH, help="Folder of photos for the surfaces.  [default: drawn ones]"),
        click.argument("folder", type=PATH),
    ):
        call = option(call)
    return call


@command.command()
@_scene_options
def rooms(folder: Path, textures: Path | None, count: int, seed: int) -> None:
    """Render furnished rooms with exact depth into FOLDER, for indoor haze; two to four per second."""
    _render("room", folder, textures, count, seed)


@command.command()
@_scene_options
def towns(folder: Path, textures: Path | None, count: int, seed: int) -> None:
    """Render towns with exact depth and a sky into FOLDER, for outdoor fog; two to four per second."""
    _render("town", folder, textures, count, seed)


def _render(kind: SceneKind, folder: Path, textures: Path | None, count: int, seed: int) -> None:
    from rich.progress import track

    from streamdehaze.datasets.layouts import find_pictures
    from streamdehaze.datasets.rendered.scenes import write_rendered

    found = [] if textures is None else find_pictures(textures)
    photos = sorted(path for path in found if not path.stem.endswith(".depth"))
    if textures is not None and not photos:
        raise SourceError(f"'{textures}' has no photos for the textures")
    for _ in track(write_rendered(kind, folder, photos, count=count, seed=seed), "rendering", total=count):
        pass
    click.echo(f"{count} {kind}s in {folder}")

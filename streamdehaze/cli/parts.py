"""`streamdehaze parts`: see what unfinished work takes of the disk, and let go of it."""

from __future__ import annotations

from pathlib import Path

import rich_click as click


@click.command(name="parts")
@click.argument("places", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--delete", is_flag=True, help="Remove what is listed; work that a run is busy with stays.")
def command(places: tuple[Path, ...], delete: bool) -> None:
    """List the unfinished work that is kept in PLACES and the folders in them (here, unless given).

    A long file is worked on in segments, kept in `NAME.part` until the output is whole. `streamdehaze run` goes on
    with them.
    """
    from streamdehaze.video.kept import find_kept, remove_kept

    found = [kept for place in places or (Path(),) for kept in find_kept(place)]
    for kept in found:
        if delete:
            remove_kept(kept)
        click.echo(f"{'removed: ' if delete else ''}{kept}")
    total = sum(kept.size_bytes for kept in found)
    click.echo(f"{len(found)} unfinished, {total / 1e6:.1f} MB" if found else "nothing is kept")

"""`streamdehaze parts`: list unfinished work with its size on disk, and delete it."""

from __future__ import annotations

from pathlib import Path

import rich_click as click


@click.command(name="parts")
@click.argument("places", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--delete", is_flag=True, help="Remove what is listed, except for work that a run is busy with.")
def command(places: tuple[Path, ...], delete: bool) -> None:
    """List unfinished work and the disk space it takes.

    A long file is processed in segments, kept in `NAME.part` until the output is complete; `streamdehaze run` continues
    with them. PLACES are searched with the folders in them; the current folder if none is given.
    """
    from streamdehaze.video.resume.unfinished import find_unfinished, remove_unfinished

    found = [work for place in places or (Path(),) for work in find_unfinished(place)]
    for work in found:
        if delete:
            remove_unfinished(work)
        click.echo(f"removed '{work.folder}' with {work.amount}" if delete else str(work))
    total = sum(work.size_bytes for work in found)
    click.echo(
        f"{len(found)} {'removed' if delete else 'unfinished'}, {total / 1e6:.1f} MB" if found else "no unfinished work"
    )

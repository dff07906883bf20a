"""`streamdehaze join`: one file of the segments that `run --segment` made."""

from __future__ import annotations

import rich_click as click

from streamdehaze.cli.parameters import INPUT


@click.command(name="join")
@click.argument("folders", nargs=-1, required=True, type=INPUT)
@click.option(
    "--input",
    "source",
    type=INPUT,
    help="The video that the segments were made from, if it has moved.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
def command(folders: tuple[str, ...], source: str | None, overwrite: bool) -> None:
    """Join the segments in each of FOLDERS (`NAME.part`) into `NAME`.

    `run --segment 1/3`, `2/3` and `3/3` make them, on as many machines. Nothing is encoded again; sound, subtitles and
    everything else come from the input. The folder is removed once the file is complete.

    \b
    Examples:
      streamdehaze run film.mkv --segment 1/3     on three machines, 1/3 to 3/3
      streamdehaze join film.clear.mkv.part       on one of them
    """
    from streamdehaze.cli.console import standard_error
    from streamdehaze.errors import ConfigError, counted
    from streamdehaze.pipeline.sharing.segments import join

    if source is not None and len(folders) > 1:
        raise ConfigError("--input is one file; join one folder at a time with it")
    standard_error(quiet=False, verbose=False)
    for folder in folders:
        joined = join(folder, source=source, overwrite=overwrite)
        frames = counted(joined.statistics.earlier_frames, "frame")
        click.echo(f"{folder.rstrip('/').removesuffix('.part')}: {frames} ({joined.engine})")

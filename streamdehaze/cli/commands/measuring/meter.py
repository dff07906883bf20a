"""`streamdehaze meter`: how much haze there is."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from streamdehaze.cli.console import say, standard_error
from streamdehaze.cli.outputs import check_reports, refuse_existing, write_text
from streamdehaze.cli.parameters import (
    END,
    FILE,
    INPUT,
    NETWORK,
    NETWORK_SIZE,
    QUIET,
    RECURSIVE,
    RUNTIME,
    START,
    TEXT_FILE,
    panel,
)
from streamdehaze.errors import ConfigError, SourceError, StreamDehazeError

if TYPE_CHECKING:
    from streamdehaze.dehaze import Dehazer
    from streamdehaze.meter.table import FrameHaze


@click.command(name="meter")
@click.argument("inputs", nargs=-1, required=True, type=INPUT)
@panel(
    "Output",
    click.option("--csv", "csv_path", type=TEXT_FILE, help="Write a line per frame; - for standard output."),
    click.option(
        "--json",
        "json_path",
        type=TEXT_FILE,
        help="Write a summary per input and a row per frame; - for standard output.",
    ),
    click.option("--plot", "plot_path", type=FILE, help="Draw density over time (.png, .svg, .pdf)."),
    click.option(
        "--map",
        "map_path",
        type=FILE,
        help="Write the transmission of one video, 16-bit gray in FFV1 with the times of the source (.mkv).",
    ),
    click.option(
        "--scenes",
        "scenes_path",
        type=FILE,
        help="Write a keyframe for each scene of one video (.toml), to edit and give to run --strength.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace existing outputs."),
)
@panel(
    "Measuring",
    click.option("--every", type=click.IntRange(min=1), default=1, metavar="K", help="Measure every K-th frame."),
    NETWORK.option(help=f"{NETWORK.help[:-1]}; densities of two differ a little."),
    RUNTIME,
    NETWORK_SIZE,
)
@panel("Input", START, END, RECURSIVE)
@panel("Messages", QUIET)
def command(
    inputs: tuple[str, ...],
    csv_path: Path | None,
    json_path: Path | None,
    plot_path: Path | None,
    map_path: Path | None,
    scenes_path: Path | None,
    overwrite: bool,
    every: int,
    checkpoint: str,
    engine: str,
    network_size: int,
    start: float | None,
    end: float | None,
    recursive: bool,
    quiet: bool,
) -> None:
    """Measure the haze in videos and photos: density, class and airlight of each frame.

    INPUTS are files, folders, globs, image sequences or `-`. Nothing is dehazed. docs/meter.md says what the numbers
    mean, and when not to trust them.

    \b
    Examples:
      streamdehaze meter foggy.mp4
      streamdehaze meter foggy.mp4 --csv haze.csv --plot haze.png --every 25
      streamdehaze meter foggy.mp4 --map transmission.mkv
      streamdehaze meter film.mp4 --scenes film.toml
      streamdehaze meter camera-pictures/ --json - | jq .inputs
    """
    console = standard_error(quiet=quiet, verbose=False)
    named = (csv_path, json_path, plot_path, map_path, scenes_path)
    refuse_existing(*named, overwrite=overwrite)
    if plot_path is not None:
        from streamdehaze.extras import require

        require("matplotlib", "--plot", "plot")
        from streamdehaze.meter.plot import check_format

        check_format(plot_path)
    from streamdehaze.dehaze import Dehazer
    from streamdehaze.meter.table import summary, to_csv, to_json, to_keyframes
    from streamdehaze.pipeline.inputs import expand_inputs
    from streamdehaze.pipeline.sharing.staging import Staging

    found = expand_inputs(inputs, recursive=recursive)
    check_reports(csv_path, json_path, scenes_path, others=[each.path for each in found])
    if map_path is not None and len(found) > 1:
        raise ConfigError(f"--map writes the transmission of one input, but there are {len(found)}")
    if scenes_path is not None and (len(found) > 1 or scenes_path.suffix != ".toml"):
        raise ConfigError("--scenes writes the scenes of one video into a .toml file")
    rows: list[FrameHaze] = []
    failed = False
    with Dehazer(checkpoint, engine=engine, network_size=network_size) as dehazer:
        for each in found:
            try:
                with Staging(each.path) as near:
                    mine = _measure(
                        near.source,
                        each.path,
                        dehazer,
                        map_path,
                        every=every,
                        start=start,
                        end=end,
                        overwrite=overwrite,
                    )
            except StreamDehazeError as error:
                say(console, f"streamdehaze: {error}")
                failed = True
                continue
            rows += mine
            if not quiet:
                numbers = summary(mine)
                frames = "1 picture" if numbers["frames"] == 1 else f"{numbers['frames']} frames"
                span = "" if numbers["frames"] == 1 else f" ({numbers['least']:.2f} to {numbers['most']:.2f})"
                dark = " too dark to be trusted;" if numbers["dark_frames"] == numbers["frames"] else ""
                say(
                    console,
                    f"{each.path}: {numbers['haze_class']}, density {numbers['density']:.2f}{span};{dark} {frames}",
                )
    if rows:
        if csv_path is not None:
            write_text(csv_path, to_csv(rows))
        if json_path is not None:
            write_text(json_path, to_json(rows))
        if scenes_path is not None:
            write_text(scenes_path, to_keyframes(rows))
        if plot_path is not None:
            from streamdehaze.meter.plot import plot

            plot(rows, plot_path)
    if failed:
        raise SystemExit(1)


def _measure(
    path: str,
    name: str,
    dehazer: Dehazer,
    map_path: Path | None,
    *,
    every: int,
    start: float | None,
    end: float | None,
    overwrite: bool,
) -> list[FrameHaze]:
    from streamdehaze.address import without_secrets
    from streamdehaze.meter.map import map_frame, open_map
    from streamdehaze.meter.measure import measure
    from streamdehaze.meter.table import FrameHaze, SceneCounter
    from streamdehaze.pipeline import open_source
    from streamdehaze.video import Kind, ReadOptions, what_is

    kind = what_is(path)
    if kind.is_live:
        raise SourceError(
            f"{without_secrets(path)} is a live stream, which has no end; 'streamdehaze live' measures it"
        )
    rows, scenes = [], SceneCounter()
    with open_source(path, ReadOptions(start=start, end=end)) as source, contextlib.ExitStack() as stack:
        sink = None if map_path is None else stack.enter_context(open_map(map_path, source, overwrite=overwrite))
        for measured in measure(source, dehazer, every=every):
            rows.append(FrameHaze.of(name, measured, scene=scenes.of(measured), timed=kind is not Kind.PICTURE))
            if sink is not None:
                sink.write(map_frame(measured))
    if not rows:
        raise SourceError(f"'{name}' has no frames")
    return rows

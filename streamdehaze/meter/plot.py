"""Haze over time as a picture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from streamdehaze.errors import ConfigError
from streamdehaze.meter.reading import MOST_DENSITY, HazeClass
from streamdehaze.meter.table import FrameHaze
from streamdehaze.plotting import new_figure, save_figure

FORMATS = (".png", ".svg", ".pdf")


def check_format(path: Path) -> None:
    """Check that a plot can have this name.

    Raises:
        ConfigError: if its extension is not one of a picture.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"a plot is a picture, and '{path.name}' is not one; name it {', '.join(FORMATS)}")


def plot(rows: Sequence[FrameHaze], path: Path) -> None:
    """Draw density over time, or over the number of the picture where there is no time, with the classes as bands.

    Args:
        rows: of one or more inputs, each a line of its own colour.
        path: of the picture, .png, .svg or .pdf.

    Raises:
        MissingPackageError: if matplotlib is not installed.
        ConfigError: for another extension.
        SinkError: if it cannot be written.
    """
    check_format(path)
    figure = new_figure("--plot", 9, 4)
    axes = figure.subplots()
    names = list(dict.fromkeys(row.input for row in rows))
    photos = all(row.seconds is None for row in rows)
    for name in [""] if photos else names:
        mine = [row for row in rows if photos or row.input == name]
        times = [float(number) if row.seconds is None else row.seconds for number, row in enumerate(mine)]
        axes.plot(times, [row.density for row in mine], marker="." if len(mine) < 200 else None, label=name or None)
    edges = [0.0, *(most for _, most in MOST_DENSITY), 1.0]
    for shade, (kind, (low, high)) in enumerate(zip(HazeClass, itertools.pairwise(edges), strict=True)):
        axes.axhspan(low, high, color="grey", alpha=0.05 + 0.07 * shade, lw=0)
        axes.text(1.005, (low + high) / 2, kind.value, transform=axes.get_yaxis_transform(), va="center")
    axes.set_ylim(0, 1)
    axes.set_ylabel("haze density")
    axes.set_xlabel("picture" if photos else "seconds")
    if len(names) > 1 and not photos:
        axes.legend(fontsize=7)
    save_figure(figure, path)

"""Plots without a display, in files that are whole or absent."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from streamdehaze.durable import write_output
from streamdehaze.errors import ConfigError
from streamdehaze.extras import needed_for


def new_figure(what: str, width: float, height: float) -> Any:
    """An empty `matplotlib.figure.Figure` of a size in inches.

    Args:
        what: needs it: "--plot".
        width, height: of the figure.

    Raises:
        MissingPackageError: if matplotlib is not installed.
    """
    with needed_for(what, "plot"):
        from matplotlib.figure import Figure
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as the kind of picture that its file's extension names; PNG without one.

    Raises:
        ConfigError: if matplotlib does not know that kind.
        SinkError: if the file cannot be written; what was there before stays.
    """
    picture = io.BytesIO()
    try:
        figure.savefig(picture, format=path.suffix[1:].lower() or "png", dpi=120)
    except ValueError as error:
        raise ConfigError(f"'{path}' does not name a plot: {error}") from error
    write_output(path, picture.getvalue())

"""Plots without a display, in files that are whole or absent."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from streamdehaze.durable import write_whole
from streamdehaze.extras import needed_for


def open_pyplot(what: str) -> Any:
    """`matplotlib.pyplot`, drawing into files only.

    Args:
        what: needs it: "--plot".

    Raises:
        MissingPackageError: if matplotlib is not installed.
    """
    with needed_for(what, "plot"):
        import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def save_figure(figure: Any, path: Path, kind: str = "png") -> None:
    """Write a figure as a picture of a kind that matplotlib knows.

    Raises:
        OSError: if the file cannot be written; what was there before stays.
        ValueError: if there is no such kind.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=120)
    write_whole(path, picture.getvalue())

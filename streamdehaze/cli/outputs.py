"""Where commands write text: into files that are whole or absent, or to standard output."""

from __future__ import annotations

from pathlib import Path

import click

from streamdehaze.durable import require_folders, write_output
from streamdehaze.errors import SinkError


def refuse_existing(*paths: Path | None, overwrite: bool) -> None:
    """Refuse to write where there is something, or into folders that are missing, before the work begins.

    Raises:
        SinkError: for the first path that exists, unless `overwrite`.
        ConfigError: for the first without a folder.
    """
    for path in paths:
        if path is not None and path.exists() and not overwrite:
            raise SinkError(f"'{path}' exists already; choose another name or add --overwrite")
    require_folders(*paths)


def write_text(path: Path, text: str) -> None:
    """Write a text; "-" is standard output.

    Raises:
        SinkError: if the file cannot be written.
    """
    if str(path) == "-":
        click.echo(text, nl=False)
    else:
        write_output(path, text.encode())

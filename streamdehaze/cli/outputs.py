"""Where commands write text: into files that are whole or absent, or to standard output."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from streamdehaze.durable import require_folders, write_output
from streamdehaze.errors import SinkError

_HEAD_BYTES = 4096
"""Films and photos have a zero in as many, texts have none."""


def refuse_existing(*paths: Path | None, overwrite: bool) -> None:
    """Refuse to write where there is something, or into folders that are missing, before the work begins.

    Devices and pipes are written into.

    Raises:
        SinkError: for the first file or folder that exists, unless `overwrite`.
        ConfigError: for the first without a folder.
    """
    for path in paths:
        if path is not None and not overwrite and (path.is_file() or path.is_dir()):
            raise SinkError(f"'{path}' exists already; choose another name or add --overwrite")
    require_folders(*paths)


def check_reports(*paths: Path | None, others: Iterable[str] = ()) -> None:
    """Check files that text is written to, again if they are there already, before the work begins.

    Args:
        paths: of them.
        others: what the command reads and writes besides.

    Raises:
        SinkError: for the first that is one of the others, or exists and is not text: it may be a film.
        ConfigError: for the first without a folder.
    """
    require_folders(*paths)
    taken = {os.path.realpath(other) for other in others}
    for path in paths:
        if path is None or str(path) == "-":
            continue
        if os.path.realpath(path) in taken:
            raise SinkError(
                f"'{path}' is the name of an input or of another output; choose another name for the report"
            )
        taken.add(os.path.realpath(path))
        if path.is_file():
            try:
                with path.open("rb") as file:
                    is_text = b"\0" not in file.read(_HEAD_BYTES)
            except OSError as error:
                raise SinkError(f"'{path}' cannot be read: {error.strerror or error}") from error
            if not is_text:
                raise SinkError(f"'{path}' exists already and is not a text file; choose another name for the report")


def write_text(path: Path, text: str) -> None:
    """Write a text; "-" is standard output.

    Raises:
        SinkError: if the file cannot be written.
    """
    if str(path) == "-":
        click.echo(text, nl=False)
    else:
        write_output(path, text.encode())

"""Where commands write text: into files that are whole or absent, or to standard output."""

from __future__ import annotations

from pathlib import Path

import click

from streamdehaze.durable import write_output


def write_text(path: Path, text: str) -> None:
    """Write a text; "-" is standard output.

    Raises:
        SinkError: if the file cannot be written.
    """
    if str(path) == "-":
        click.echo(text, nl=False)
    else:
        write_output(path, text.encode())

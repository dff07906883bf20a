"""The command line: one file a command. These files import nothing heavy before their command is called."""

from __future__ import annotations

import importlib
import importlib.util

import rich_click as click

from streamdehaze.errors import Cancelled, StreamDehazeError

_COMMANDS = (
    "run",
    "parts",
    "live",
    "compare",
    "demo",
    "doctor",
    "bench",
    "engine",
    "train",
    "evaluate",
    "data",
    "checkpoint",
)


class _Group(click.RichGroup):
    """Imports a command's file when it is asked for, and prints this package's errors as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in _COMMANDS if importlib.util.find_spec(f"streamdehaze.cli.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"streamdehaze.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Cancelled as error:
            click.echo(f"streamdehaze: {error}", err=True)
            ctx.exit(130)
        except StreamDehazeError as error:
            click.echo(f"streamdehaze: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="streamdehaze")
def main() -> None:
    """Make hazy, foggy or smoky video clear: files, photos and live cameras.

    `streamdehaze run foggy.mp4` writes `foggy.clear.mp4`. Shell completion: add
    `eval "$(_STREAMDEHAZE_COMPLETE=bash_source streamdehaze)"` to your `~/.bashrc` (or `zsh_source`, `fish_source`).
    """

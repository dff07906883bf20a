"""The command line: one file a command in `commands`, which imports nothing heavy before its command is called."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from typing import Any

import rich_click as click

from streamdehaze.cli import collector
from streamdehaze.cli.group import Group
from streamdehaze.cli.shutdown import SHUTDOWN
from streamdehaze.errors import Cancelled, StreamDehazeError

_PANELS = {
    "Make things clear": ("run", "cameras.live", "cameras.discover", "join", "compare", "demo", "parts"),
    "Measure haze": ("measuring.meter", "measuring.visibility"),
    "This machine": ("doctor", "bench", "engine"),
    "Networks": ("train", "evaluate", "data", "networks.checkpoint", "networks.export"),
}
"""The modules below `commands`; a command is called as the last part of its module's name."""
_DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EFBIG, errno.EIO})
"""Kinds of errors that have no file's name where standard output is meant."""
_MODULES = {module.rpartition(".")[2]: module for modules in _PANELS.values() for module in modules}


class _Commands(Group):
    """Imports a command's file when it is needed, and prints this package's errors as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        command: click.Command = importlib.import_module(f"streamdehaze.cli.commands.{_MODULES[cmd_name]}").command
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line, and report a full disk under standard output as any other."""
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
        except OSError as error:
            if error.filename is not None or error.errno not in _DISK_TROUBLE:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python tries once more at its end
            click.echo(f"streamdehaze: standard output cannot be written: {error.strerror}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Cancelled as error:
            click.echo(f"streamdehaze: {error}", err=True)
            handler = ctx.meta.get(SHUTDOWN)
            ctx.exit(128 + (signal.SIGINT if handler is None else handler.signal))  # as in shells
        except StreamDehazeError as error:
            click.echo(f"streamdehaze: {error}", err=True)
            ctx.exit(1)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            from streamdehaze.extras import torch_command

            click.echo(f"streamdehaze: this needs PyTorch, which is not installed: {torch_command()}", err=True)
            ctx.exit(1)


def let_threads_sleep() -> None:
    """Let the threads of libraries that are imported from now on sleep while they wait.

    They wait for each other by spinning. Where decoders and encoders want the same cores that is ruinous: on two busy
    cores AECR-Net took 4 times as long in PyTorch as with OpenMP threads that sleep, and a thirtieth of a run's
    processor time was OpenBLAS and OpenCV waiting, whose pictures are too small to share out. Each reads its variable
    once, when it is imported.
    """
    for name, value in (
        ("OMP_WAIT_POLICY", "PASSIVE"),
        ("OPENBLAS_THREAD_TIMEOUT", "4"),
        ("OPENCV_FOR_THREADS_NUM", "1"),
    ):
        os.environ.setdefault(name, value)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="streamdehaze")
def main() -> None:
    """Make hazy, foggy or smoky video clear: files, photos and live cameras.

    \b
    Examples:
      streamdehaze run foggy.mp4                           writes foggy.clear.mp4
      streamdehaze live rtsp://192.0.2.7/stream --serve    a camera, hazy and clear in the browser
      streamdehaze doctor                                  what is installed, and what would help

    Completion of commands, options, files, checkpoints and engines: add this line to ~/.bashrc (or zsh_source to
    ~/.zshrc): eval "$(_STREAMDEHAZE_COMPLETE=bash_source streamdehaze)"
    """
    let_threads_sleep()
    collector.rest()


for _title, _modules in _PANELS.items():
    main = click.command_panel(_title, commands=[module.rpartition(".")[2] for module in _modules])(main)

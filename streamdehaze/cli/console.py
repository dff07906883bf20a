"""What the commands print while they work: warnings, and the progress of a run."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streamdehaze.cli.log import send_log_to

if TYPE_CHECKING:
    from streamdehaze.pipeline import Statistics

LINE_SECONDS = 5.0
"""Between two lines of progress where there is no terminal to redraw."""


def say(console: Console, text: str) -> None:
    """Print a text as it is: a terminal breaks no path in it, and brackets are not markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class _ConsoleHandler(logging.Handler):
    """Prints through rich, so that a warning stands above the progress bar instead of tearing it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        say(self._console, text)


def standard_error(*, quiet: bool, verbose: bool) -> Console:
    """A console on standard error, with the package's log going to it at the level asked for."""
    console = Console(stderr=True, highlight=False)
    send_log_to(_ConsoleHandler(console), quiet=quiet, verbose=verbose, usual=logging.WARNING)
    return console


class RunProgress:
    """Shows frames, percent, fps, time left and the load of each stage: a bar on a terminal, lines elsewhere."""

    def __init__(self, console: Console, name: str, frames: int | None, *, quiet: bool = False) -> None:
        self._console, self._name, self._frames = console, name, frames
        self._next_line = time.perf_counter() + LINE_SECONDS
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=frames, speed="")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def update(self, statistics: Statistics) -> None:
        """Show how far the run has come."""
        done = statistics.earlier_frames + statistics.encode.frames
        load = " ".join(f"{stage.name} {stage.load:.0%}" for stage in statistics.stages)
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, speed=f"{statistics.fps:.1f} fps  {load}")
            return
        if time.perf_counter() < self._next_line or statistics.seconds:
            return
        self._next_line = time.perf_counter() + LINE_SECONDS
        share = ""
        if self._frames:
            share = f" of {self._frames} ({done / self._frames:.0%})"
            if statistics.fps:
                share += f", about {(self._frames - done) / statistics.fps:.0f} s left"
        self._console.print(f"{self._name}: {done} frames{share}, {statistics.fps:.1f} fps; {load}", soft_wrap=True)

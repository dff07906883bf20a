"""Output that gets its final name only when it is whole, and errors about it in one sentence."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import av.error

from streamdehaze.durable import sync_file, sync_folder
from streamdehaze.errors import SinkError, StreamDehazeError
from streamdehaze.frame import Frame
from streamdehaze.video.protocols import Sink

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class OutputPlan:
    """How an output is going to be written."""

    encoder: str
    """FFmpeg's name, or that of a picture's format."""
    pixel_format: str
    """FFmpeg's name."""
    copied: tuple[str, ...] = ()
    """Other streams that are copied, as text."""
    losses: tuple[str, ...] = ()
    """What the output will lack of its input, as text."""


class Writer(Sink):
    """A sink that publishes its files once they are whole: every sink that `open_sink` returns is one.

    Until `close` they have partial names; `abort` and any error remove them. As a context manager it is closed at the
    end of the block, and aborted where an exception leaves it. Subclasses implement `plan`, `_write`, `_finish` and
    `_release`.

    Args:
        name: of the output, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._over = False
        self._partials: dict[Path, Path] = {}
        self._claims: dict[Path, int] = {}
        self.publish: Callable[[Path, Path], None] = os.replace
        """Gives a complete file, which has a partial name, its final one."""
        self.losses: list[str] = []
        """What the output lacks of its input, as text, as far as is known; complete after `close`."""

    def plan(self, frame: Frame) -> OutputPlan:
        """How the output would be written, from the input's first frame; nothing is."""
        raise NotImplementedError

    def write(self, frame: Frame) -> None:
        """Take the next frame in presentation order.

        Raises:
            SinkError: if it cannot be encoded or written; the output is given up then.
        """
        with self._working():
            self._write(frame)

    def close(self) -> None:
        """Finish the output and give it its final name.

        Raises:
            SinkError: if no frame was written, or the end cannot be.
        """
        if self._over:
            return
        with self._working():
            self._finish()
            for partial in self._partials:
                sync_file(partial)
            for partial, path in self._partials.items():
                self.publish(partial, path)
            for folder in {path.parent for path in self._partials.values()}:
                sync_folder(folder)
            self._over = True
            self._release(published=True)
            self._disclaim()

    def abort(self) -> None:
        """Give the output up: nothing stays under its final name, nor next to it."""
        if self._over:
            return
        self._over = True
        self._release(published=False)
        for partial in self._partials:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        self._disclaim()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _partial(self, path: Path) -> Path:
        """The name of a file until it is published, which no other run writes meanwhile; its folder is made.

        Raises:
            SinkError: if another run does.
            OSError: if the folder cannot be made.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.stem}.part{path.suffix}")
        if sys.platform != "win32":
            self._claims[partial] = self._claim(partial)
        self._partials[partial] = path
        return partial

    def _refuse_existing(self, path: Path) -> None:
        """Check, before a file gets its final name, that nothing was made under it meanwhile.

        Raises:
            SinkError: if something was.
        """
        if path.exists():
            raise SinkError(f"{self._name} exists already; use --overwrite to replace it")

    if sys.platform != "win32":

        def _claim(self, partial: Path) -> int:
            """Lock a file that two runs would write over each other; a file system without locks lets both."""
            import fcntl

            while True:
                claim = os.open(partial, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    os.close(claim)
                    raise SinkError(f"another run is writing {self._name}; wait for it, or stop it") from error
                except OSError:
                    return claim
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(claim), os.stat(partial)):
                        return claim
                os.close(claim)  # the other run gave it its final name between the two

    def _disclaim(self) -> None:
        while self._claims:
            os.close(self._claims.popitem()[1])

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        """Turn what FFmpeg and the file system complain of into one sentence, and give the output up."""
        if self._over:
            raise SinkError(f"{self._name} is finished already")
        try:
            yield
        except StreamDehazeError:
            self.abort()
            raise
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            reason = getattr(error, "strerror", None) or error
            raise SinkError(f"{self._name} cannot be written: {reason}") from error

    def _write(self, frame: Frame) -> None:
        """Encode a frame."""
        raise NotImplementedError

    def _finish(self) -> None:
        """Complete the partial files."""
        raise NotImplementedError

    def _release(self, *, published: bool) -> None:
        """Close what is still open, of an output that is published or given up."""

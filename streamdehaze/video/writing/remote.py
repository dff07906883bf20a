"""A stream to a server, sent by a process of its own so that a silent server holds nothing else up."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import av.error
from av.packet import Packet

from streamdehaze.process import python_command
from streamdehaze.video.writing.containers import Output

_PROGRAM = str(Path(__file__).with_name("sender.py"))
_VERDICT_SECONDS = 1.0


class Remote(Output):
    """The sending process (see `sender.py`) and the container that feeds it.

    Args:
        place, format, options: for FFmpeg; the place, which may hold a password, is not an argument of the process,
            which other users could see.
        silence_seconds: a server that neither answers nor takes anything for this long is given up.
    """

    def __init__(self, place: str, format: str, options: Mapping[str, str], silence_seconds: float) -> None:
        # Not as a module of the package, which takes a second to import.
        command = python_command(f"import runpy; runpy.run_path({_PROGRAM!r}, run_name='__main__')")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._pipe, self._answer = self._process.stdin, self._process.stderr
        request = {"place": place, "format": format, "options": dict(options), "silence_seconds": silence_seconds}
        os.set_blocking(self._answer.fileno(), False)
        self._report = b""
        self._pipe.write(json.dumps(request).encode() + b"\n")
        self._silence_seconds = silence_seconds
        super().__init__(av.open(self._pipe, "w", format="nut", container_options={"max_interleave_delta": "300000"}))

    @property
    def answered(self) -> bool:
        """Whether the server takes the stream."""
        self._report += self._answer.read() or b""
        return self._report.startswith(b"ready")

    def mux(self, packet: Packet[Any]) -> None:
        """Write a packet and hand it over.

        Raises:
            OSError, av.error.FFmpegError: the error that ended the process, if it has ended.
        """
        try:
            self.container.mux_one(packet)
            self._pipe.flush()
        except BrokenPipeError:
            raise self._verdict() from None
        if self._process.poll() is not None:
            raise self._verdict()

    def close(self) -> None:
        """End the stream.

        Raises:
            OSError, av.error.FFmpegError: the error that ended the process, if it failed.
        """
        self.container.close()
        self._pipe.flush()
        self._pipe.close()
        try:
            self._process.wait(self._silence_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            failure = self._verdict() if self._process.poll() != 0 else None
            self._kill()
        if failure is not None:
            raise failure

    def give_up(self) -> None:
        """End the process, whatever it is doing."""
        self._kill()
        super().give_up()

    def _verdict(self) -> Exception:
        """Why the process ended, as the exception it would have been here; waits for it briefly."""
        try:
            _, rest = self._process.communicate(timeout=_VERDICT_SECONDS)
        except (subprocess.TimeoutExpired, ValueError, OSError):
            return TimeoutError()
        if self._process.returncode == -signal.SIGALRM:
            return TimeoutError()
        if self._process.returncode < 0:
            return OSError(f"the process that sends was ended by {signal.Signals(-self._process.returncode).name}")
        try:
            name, number, text = json.loads((self._report + rest).splitlines()[-1])
            kind: type[Exception] = getattr(av.error, name, OSError)
            return kind(number, text)
        except (ValueError, IndexError, TypeError):
            return ConnectionError("the sending process ended")

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()

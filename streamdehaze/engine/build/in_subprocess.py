"""Building an engine in a child process, so that nothing waits and the crash of a compiler is only a failed build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from pydantic import TypeAdapter

from streamdehaze.engine.build.build import build_engine
from streamdehaze.engine.build.cache import EngineCache
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.errors import Cancelled, EngineError, StreamDehazeError
from streamdehaze.process import python_command


def build_in_subprocess(request: BuildRequest, cache: EngineCache, stop: threading.Event) -> None:
    """Build an engine in a child process.

    Args:
        request: what to build.
        cache: where to keep it.
        stop: ends the child when set.

    Raises:
        EngineError: if the build fails, with the child's own sentence.
        Cancelled: if `stop` was set.
    """
    statement = f"from {__name__} import main; sys.exit(main(*sys.argv[1:]))"
    message = TypeAdapter(BuildRequest).dump_json(request, exclude_unset=True).decode()
    child = subprocess.Popen(
        [*python_command(statement), message, os.fspath(cache.folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # Standard error is drained all the time: a compiler that fails at length fills a pipe.
        while True:
            try:
                _, errors = child.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    raise Cancelled("the build of an engine was stopped") from None
    finally:
        if child.poll() is None:
            _end(child)
    if child.returncode < 0:  # by a user, by the system for want of memory, or by a fault in the compiler
        raise EngineError(f"the process that built it was ended by {signal.Signals(-child.returncode).name}")
    if child.returncode != 0:
        lines = errors.strip().splitlines()
        raise EngineError(lines[-1] if lines else f"the build ended with status {child.returncode}")


def _end(child: subprocess.Popen[str]) -> None:
    # Asked first, so that it clears its folder away; a compiler deep in its own code does not listen.
    child.terminate()
    try:
        child.communicate(timeout=2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()


def main(message: str, folder: str) -> int:
    """Serve one request of `build_in_subprocess`; the last line of standard error is the reason of a failure."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    request = TypeAdapter(BuildRequest).validate_json(message)
    try:
        build_engine(request, EngineCache(Path(folder)))
    except StreamDehazeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0

"""Processes, or a Ray cluster, that make the segments of long files for `run`."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    from streamdehaze.pipeline.sharing.segments import TakesWork


def open_workers(
    count: int | None, ray: str | None, *, quiet: bool, verbose: bool
) -> AbstractContextManager[TakesWork | None]:
    """What makes segments: `count` processes, or the Ray cluster at an address; None for neither.

    Workers are ended at once where an exception leaves the block: what they have finished is kept.
    """
    if ray is not None:
        from streamdehaze.pipeline.sharing.ray import RayExecutor

        return RayExecutor(ray)
    if count is not None:
        return _processes(count, quiet=quiet, verbose=verbose)
    return nullcontext()


@contextmanager
def _processes(count: int, *, quiet: bool, verbose: bool) -> Iterator[ProcessPoolExecutor]:
    os.environ["PYTHONSAFEPATH"] = "1"  # the working directory is not searched for the modules of children
    context = multiprocessing.get_context("spawn")  # a fork would share the engine's threads
    before = context.Value("i", 0)
    pool = ProcessPoolExecutor(count, context, _begin, (before, count, quiet, verbose))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    pool.shutdown()


def _begin(before: Synchronized[int], count: int, quiet: bool, verbose: bool) -> None:
    """In a worker: leave Ctrl-C to the parent, print messages as it does, and keep to a share of the cores."""
    from streamdehaze.cli.console import standard_error

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    standard_error(quiet=quiet, verbose=verbose)
    with before.get_lock():
        number = before.value
        before.value += 1
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if count <= len(cores):
            os.sched_setaffinity(0, cores[number % count :: count])

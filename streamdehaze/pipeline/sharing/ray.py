"""A Ray cluster as an executor: one task a segment, done again elsewhere when a node is lost."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from streamdehaze.durable import cache_folder
from streamdehaze.errors import StreamDehazeError, first_line
from streamdehaze.extras import needed_for

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from streamdehaze.pipeline.sharing.segments import SegmentJob, SegmentMade

_PATIENCE_SECONDS = 5.0
_RETRIES = 20
"""Times a segment is made again after the node or the process that made it was lost; its own errors end the work."""


class RayExecutor:
    """Hands segments to a Ray cluster whose nodes see the input and the output's folder by one path, or its store.

    Args:
        address: "local" for a cluster of this machine alone, "auto" for the one that runs here, or "ray://host:10001",
            "host:6379".
        cores: CPUs that a segment takes of a node; a share of one for a node that works on a GPU.
        gpus: GPUs that it takes, which may be a fraction.

    Raises:
        MissingPackageError: without Ray (extra `ray`).
        StreamDehazeError: if there is no cluster at the address.
    """

    def __init__(self, address: str = "local", *, cores: float = 1, gpus: float = 0) -> None:
        with needed_for("sharing work out on a cluster", "ray"):
            import ray

        self._ray: Any = ray
        self._opened = not ray.is_initialized()
        if self._opened:
            _check_reachable(address)
            handler = signal.getsignal(signal.SIGTERM)
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
            except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
                if address == "auto":
                    raise StreamDehazeError(
                        "no Ray cluster runs on this machine; give the address of one, or 'local' to start one"
                    ) from error
                raise StreamDehazeError(f"there is no Ray cluster at '{address}': {first_line(error)}") from error
            finally:
                if handler is not None and threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGTERM, handler)  # Ray has put its own in its place
        self._options = {"num_cpus": cores, "num_gpus": gpus, "max_retries": _RETRIES, "retry_exceptions": False}
        self._tasks: dict[Future[SegmentMade], Any] = {}

    def submit(self, work: Callable[[SegmentJob], SegmentMade], job: SegmentJob, /) -> Future[SegmentMade]:
        """See `concurrent.futures.Executor.submit`."""
        task = self._ray.remote(**self._options)(_in_a_task).remote(work, job, self._options["num_cpus"])
        future: Future[SegmentMade] = Future()
        future.set_running_or_notify_cancel()
        self._tasks[future] = task
        threading.Thread(target=self._wait, args=(task, future), name="ray-task", daemon=True).start()
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for future, task in self._tasks.items():
                if not future.done():
                    self._ray.cancel(task, force=True)
        if self._opened:
            self._ray.shutdown()

    def _wait(self, task: Any, future: Future[SegmentMade]) -> None:
        try:
            future.set_result(self._ray.get(task))
        except self._ray.exceptions.RayTaskError as error:
            future.set_exception(error.cause if isinstance(error.cause, Exception) else error)
        except Exception as error:  # Ray's own: a node out of memory, a cluster that is gone
            future.set_exception(StreamDehazeError(f"the Ray cluster gave up a segment: {first_line(error)}"))


def _in_a_task(work: Callable[[SegmentJob], SegmentMade], job: SegmentJob, cores: float) -> SegmentMade:
    keep_to_cores(cores)
    try:
        return work(job)
    except StreamDehazeError as error:
        raise type(error)(f"on the machine {socket.gethostname()}: {error}") from error


_held: list[FileLock] = []
"""Of the cores that this process keeps to."""


def keep_to_cores(count: float) -> None:
    """Keep this process, for good, to that many cores that no other such process of this machine keeps to.

    Ray counts cores but leaves all of them to each task, so that threads wander and libraries start as many as there
    are. Nothing is done for a share of a core, or where too few cores are free.
    """
    if _held or count != int(count) or not hasattr(os, "sched_setaffinity"):
        return
    cores = list[int]()
    folder = cache_folder("cores")
    with contextlib.suppress(OSError, NotImplementedError):
        folder.mkdir(parents=True, exist_ok=True)
        for core in sorted(os.sched_getaffinity(0)):
            lock = FileLock(folder / f"{socket.gethostname()}-{core}", thread_local=False)
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                _held.append(lock)
                cores.append(core)
                if len(cores) == count:
                    os.sched_setaffinity(0, cores)
                    return
    for lock in _held:
        lock.release()
    _held.clear()


def _check_reachable(address: str) -> None:
    """Refuse what is not an address, and try its port, on which Ray itself would wait for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise StreamDehazeError(
            f"'{address}' is not the address of a Ray cluster; write auto, local, host:6379, or ray://host:10001"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StreamDehazeError(f"there is no Ray cluster at '{address}': {reason}") from error

"""Building an engine: compile, verify, keep. Runs in this process or, so that nobody waits, in one beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from streamdehaze.engine.backend import Backend, Progress, find_backend
from streamdehaze.engine.cache import EngineCache, Record, engine_key, file_hash
from streamdehaze.engine.protocol import Engine
from streamdehaze.engine.recipe import Recipe, Shape
from streamdehaze.engine.verify import Verification, verify
from streamdehaze.errors import Cancelled, EngineError, StreamDehazeError
from streamdehaze.network import checkpoint_hash, find_checkpoint, load_network

DEFAULT_SHAPE = Shape(width=256, height=144, batch=2)
"""What engines that serve every size are verified on, and what a build without a size is for."""


@dataclass(frozen=True)
class Order:
    """An engine that is wanted: of which checkpoint, by which recipe, for which pictures."""

    checkpoint: str
    """Name of a bundled checkpoint or path of one."""
    recipe: Recipe
    shape: Shape = DEFAULT_SHAPE

    def identity(self, backend: Backend) -> dict[str, Any]:
        """All the engine depends on, as plain values."""
        return {
            "engine": self.recipe.engine,
            "checkpoint_sha256": checkpoint_hash(find_checkpoint(self.checkpoint)),
            "streamdehaze": version("streamdehaze"),
            "torch": version("torch"),  # its exporter draws the graph
            "deformable": self.recipe.deformable,
            "floor_db": self.recipe.floor_db,
            **backend.identity(self.shape),
        }

    @property
    def stem(self) -> str:
        """Start of the engine's file name."""
        return f"{find_checkpoint(self.checkpoint).stem}-{self.recipe.engine}"


def find_engine(order: Order, backend: Backend, cache: EngineCache) -> Record | None:
    """The record of the wanted engine, if it has been built and nothing it depends on has changed."""
    return cache.find(order.identity(backend))


def open_built(order: Order, record: Record, backend: Backend, cache: EngineCache) -> Engine:
    """The engine of a record that was found for an order.

    Raises:
        EngineError: if it failed its verification or its runtime refuses it.
    """
    if record.state == "rejected":
        assert record.verification is not None
        raise EngineError(f"the engine {record.file} is set aside: {record.verification.reason}")
    return backend.open(cache.path(record), cache.work_folder(record), order.shape)


def build_engine(
    order: Order, cache: EngineCache, progress: Progress = lambda what, share: None, *, again: bool = False
) -> Record:
    """Build an engine, compare it with PyTorch, and keep it with its record; one that is there is not built twice.

    Two processes that want the same engine build it once: the second waits for the first.

    Args:
        order: what to build.
        cache: where to keep it.
        progress: told what is being done.
        again: build even if it is there.

    Raises:
        EngineError: if the runtime is missing, the build fails or the result cannot be kept.
        CheckpointError: if the checkpoint cannot be had.
    """
    backend = find_backend(order.recipe)
    identity = order.identity(backend)
    with cache.lock(identity), cache.workshop(identity) as workshop:
        record = cache.find(identity)
        if record is not None and not again and not (record.state == "unverified" and backend.runs_here):
            return record
        file = workshop / f"engine{backend.suffix}"
        start = time.perf_counter()
        metadata = {"checkpoint": order.checkpoint, "checkpoint_sha256": identity["checkpoint_sha256"]}
        metadata["checkpoint"] = Path(order.checkpoint).name
        backend.compile(load_network(order.checkpoint), order.shape, file, metadata, progress)
        seconds = time.perf_counter() - start
        verification = None
        if backend.runs_here:
            progress("comparing it with PyTorch", None)
            verification = verify_file(order, backend, file, workshop / "compiled")
        record = Record(
            identity=identity,
            checkpoint=Path(order.checkpoint).name,
            file=f"{order.stem}-{engine_key(identity)}{backend.suffix}",
            sha256=file_hash(file),
            size_bytes=file.stat().st_size,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            build_seconds=round(seconds, 2),
            state="unverified" if verification is None else "verified" if verification.passed else "rejected",
            verification=verification,
        )
        cache.store(file, record)
        return record


def verify_file(order: Order, backend: Backend, file: Path, work_folder: Path) -> Verification:
    """Compare an engine file with PyTorch in float32.

    Raises:
        EngineError: if the runtime refuses the file.
    """
    from streamdehaze.engine.torch import TorchEngine

    engine = backend.open(file, work_folder, order.shape)
    try:
        reference = TorchEngine(
            load_network(order.checkpoint), precision="float32", threads=order.recipe.openvino.threads
        )
        shape = order.shape.batch, order.shape.height, order.shape.width
        return verify(engine, reference, shape, order.recipe.floor_db)
    finally:
        engine.close()


def build_beside(order: Order, cache: EngineCache, stop: threading.Event) -> None:
    """Build an engine in a child process, so that the crash of a compiler is only a failed build.

    Args:
        order: what to build.
        cache: where to keep it.
        stop: ends the child when set.

    Raises:
        EngineError: if the build fails, with the child's own sentence.
        Cancelled: if `stop` was set.
    """
    request = {
        "checkpoint": os.fspath(order.checkpoint),
        "recipe": order.recipe.model_dump(exclude_unset=True),
        "shape": order.shape.model_dump(),
        "folder": os.fspath(cache.folder),
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "streamdehaze.engine.build", json.dumps(request)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # What the child says stays below a pipe's capacity but for a compiler that fails at length, so drain it.
        while True:
            try:
                _, said = child.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    raise Cancelled("the build of an engine was stopped") from None
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    if child.returncode != 0:
        lines = said.strip().splitlines()
        raise EngineError(lines[-1] if lines else f"the build ended with signal {-child.returncode}")


def main(request: str) -> int:
    """Serve one request of `build_beside`; the last line of standard error is the reason of a failure."""
    asked = json.loads(request)
    order = Order(asked["checkpoint"], Recipe.model_validate(asked["recipe"]), Shape.model_validate(asked["shape"]))
    try:
        build_engine(order, EngineCache(Path(asked["folder"])))
    except StreamDehazeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

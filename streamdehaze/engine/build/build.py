"""Building an engine: compile, verify, keep; and looking at it again later."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timezone
from pathlib import Path

from streamdehaze.durable import file_sha256
from streamdehaze.engine.backend import find_backend
from streamdehaze.engine.build.answer import SHAPE as ANSWERED
from streamdehaze.engine.build.answer import kept_answer
from streamdehaze.engine.build.cache import EngineCache, EngineRecord, EngineState, engine_key
from streamdehaze.engine.build.picture import hazy_pictures, read_hazy
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.engine.build.speed import time_alternately
from streamdehaze.engine.build.verify import Verification, verify
from streamdehaze.engine.protocol import Backend, BuildProgress, Engine
from streamdehaze.engine.recipe import Recipe
from streamdehaze.errors import EngineError, MissingPackageError, StreamDehazeError
from streamdehaze.extras import has_torch, torch_command
from streamdehaze.frame import FloatArray
from streamdehaze.network import find_checkpoint, load_network, read_checkpoint


def open_built(request: BuildRequest, record: EngineRecord, backend: Backend, cache: EngineCache) -> Engine:
    """The engine of a record that was found for a request.

    Raises:
        EngineError: if it failed its verification, could not be verified here or its runtime refuses it.
    """
    if record.state == "unverified":
        raise EngineError(f"the engine {record.file} was built for {device_in_words(record)}, which is not here")
    if record.state == "rejected":
        assert record.verification is not None
        raise EngineError(f"the engine {record.file} is set aside: {record.verification.reason}")
    return backend.open(cache.path(record), cache.work_folder(record), request.shape)


def build_engine(
    request: BuildRequest,
    cache: EngineCache,
    progress: BuildProgress = lambda what, share: None,
    *,
    again: bool = False,
) -> EngineRecord:
    """Build an engine, compare it with PyTorch, and keep it with its record; one that is there is not built twice.

    Two processes that want the same engine build it once: the second waits for the first.

    Args:
        request: what to build.
        cache: where to keep it.
        progress: called with what is being done.
        again: build even if it is there.

    Raises:
        EngineError: if the runtime is missing, the build fails, its checkpoint is replaced meanwhile, or the result
            cannot be kept.
        CheckpointError: if the checkpoint cannot be loaded.
    """
    backend = find_backend(request.recipe, request.checkpoint)
    identity = request.identity(backend)
    with cache.lock(identity), cache.workshop(identity) as workshop:
        record = cache.find(identity)
        if record is not None and not again and not (record.state == "unverified" and backend.runs_here):
            return record
        file = workshop / f"engine{backend.suffix}"
        start = time.perf_counter()
        metadata = {
            "checkpoint": Path(request.checkpoint).name,
            "checkpoint_sha256": identity["checkpoint_sha256"],
            "streamdehaze": identity["streamdehaze"],
        }
        backend.compile(read_checkpoint(find_checkpoint(request.checkpoint)), request.shape, file, metadata, progress)
        seconds = time.perf_counter() - start
        verification = None
        if backend.runs_here:
            progress("comparing it with PyTorch", None)
            verification = verify_file(request, backend, file, workshop / "compiled")
        if request.identity(backend) != identity:
            raise EngineError(f"the checkpoint '{request.checkpoint}' was replaced while its engine was being built")
        record = EngineRecord(
            identity=identity,
            checkpoint=request.checkpoint,
            recipe=request.recipe,
            shape=request.shape,
            file=f"{request.stem}-{engine_key(identity)}{backend.suffix}",
            sha256=file_sha256(file),
            size_bytes=file.stat().st_size,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            build_seconds=round(seconds, 2),
            state=_state(verification),
            verification=verification,
        )
        cache.store(file, record)
        return record


def verify_file(
    request: BuildRequest, backend: Backend, file: Path, work_folder: Path, picture: FloatArray | None = None
) -> Verification:
    """Compare an engine file with PyTorch in float32, on drawn pictures or on one of the request's shape.

    Without PyTorch it is compared with the answer that is kept with the checkpoint.

    Raises:
        EngineError: if the runtime refuses the file.
        MissingPackageError: without PyTorch, where no answer is kept or a picture of one's own is wanted.
    """
    is_graph = request.checkpoint.endswith(".onnx")
    answer = kept_answer(request.checkpoint) if picture is None and (is_graph or not has_torch()) else None
    if is_graph and answer is None:
        raise EngineError(
            f"an engine of '{request.checkpoint}' is compared with PyTorch's answer, which 'streamdehaze train' writes "
            "next to it as .answer.png, before it serves"
        )
    if not has_torch() and answer is None:
        name = request.stem.removesuffix(f"-{request.recipe.engine}")
        raise MissingPackageError(
            f"an engine of {name} is compared with PyTorch before it serves, which is not installed: {torch_command()}"
            f"; or run `streamdehaze engine answer` on a machine that has it and bring {name}.answer.png as well"
        )
    engine = backend.open(file, work_folder, request.shape)
    try:
        if answer is not None:
            return verify(engine, answer, ANSWERED, request.recipe.floor_db)
        reference = _reference(request.checkpoint, request.recipe)
        shape = request.shape.batch, request.shape.height, request.shape.width
        return verify(engine, reference, shape, request.recipe.floor_db, picture=picture)
    finally:
        engine.close()


def _reference(checkpoint: str, recipe: Recipe) -> Engine:
    """PyTorch in float32, on as many threads as the engine that is compared with it."""
    from streamdehaze.engine.torch import TorchEngine

    return TorchEngine(load_network(checkpoint), precision="float32", threads=recipe.threads)


def verify_again(record: EngineRecord, cache: EngineCache, photo: Path | None = None) -> EngineRecord:
    """Compare a kept engine with PyTorch again, and update its record.

    Args:
        record: of the engine.
        cache: where it is kept.
        photo: a hazy photo to compare on, shrunk to the engine's size; drawn pictures are taken if left out.

    Raises:
        SourceError: if the photo cannot be read.
        EngineError: if the engine is damaged or out of date, its runtime is missing or its device is not here.
    """
    request = BuildRequest(record.checkpoint, record.recipe, record.shape)
    backend = find_backend(request.recipe, request.checkpoint)
    if (why := out_of_date(record, cache)) is not None:
        raise EngineError(f"{record.file} cannot be verified: {why}; build it again")
    if not backend.runs_here:
        raise EngineError(f"{record.file} was built for {device_in_words(record)}, which is not here")
    picture = None if photo is None else read_hazy(photo, record.shape.height, record.shape.width)
    found = verify_file(request, backend, cache.path(record), cache.work_folder(record), picture)
    if record.verification is not None and found.timings:
        found = record.verification.timed_again(found.timings[-1]).model_copy(
            update=found.model_dump(exclude={"timings"})
        )
    record = record.model_copy(update={"verification": found, "state": _state(found)})
    cache.write(record)
    return record


def time_again(record: EngineRecord, cache: EngineCache) -> EngineRecord:
    """Time a verified engine against PyTorch again, and keep the figures in its record if possible.

    Raises:
        EngineError: if its runtime is missing or refuses the file.
    """
    assert record.verification is not None
    backend = find_backend(record.recipe, record.checkpoint)
    engine = backend.open(cache.path(record), cache.work_folder(record), record.shape)
    try:
        reference = _reference(record.checkpoint, record.recipe)
        hazy = hazy_pictures(record.shape.batch, record.shape.height, record.shape.width)
        engine.infer(hazy), reference.infer(hazy)  # compiled and warm
        timing = time_alternately(engine, reference, hazy)
    finally:
        engine.close()
    record = record.model_copy(update={"verification": record.verification.timed_again(timing)})
    with contextlib.suppress(EngineError):  # a folder that cannot be written
        cache.write(record)
    return record


def out_of_date(record: EngineRecord, cache: EngineCache) -> str | None:
    """Why an engine will not be used any more, or None if it is whole and all it was made from is as it was."""
    if not cache.intact(record):
        return "its file is missing or altered"
    request = BuildRequest(record.checkpoint, record.recipe, record.shape)
    try:
        now = request.identity(find_backend(record.recipe, record.checkpoint))
    except StreamDehazeError as error:
        return str(error)
    changed = [key for key in sorted({*now, *record.identity}) if now.get(key) != record.identity.get(key)]
    return f"changed since: {', '.join(changed)}" if changed else None


def device_in_words(record: EngineRecord) -> str:
    """What an engine was built for: "CPU: Intel(R) Xeon(R) Processor", or the architectures of GPUs."""
    device = record.identity.get("device")
    return ", ".join(device) if isinstance(device, list) else str(device)


def _state(verification: Verification | None) -> EngineState:
    if verification is None:
        return "unverified"
    return "verified" if verification.passed else "rejected"

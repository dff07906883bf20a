"""Which engine serves: the fastest verified one there is, and PyTorch until then."""

from __future__ import annotations

import logging
import os

from streamdehaze.durable import file_sha256
from streamdehaze.engine.backend import find_backend
from streamdehaze.engine.build.build import out_of_date
from streamdehaze.engine.build.cache import EngineCache
from streamdehaze.engine.build.request import DEFAULT_SHAPE, BuildRequest
from streamdehaze.engine.openvino.int8 import quantized_graph
from streamdehaze.engine.processor import is_fast_in_int8
from streamdehaze.engine.protocol import Engine
from streamdehaze.engine.recipe import Recipe, read_recipe
from streamdehaze.engine.switching import SwitchingEngine
from streamdehaze.engine.tensorrt.runtime import find_gpu
from streamdehaze.engine.torch import TorchEngine
from streamdehaze.errors import EngineError, MissingPackageError
from streamdehaze.extras import has_torch, install_command, require_torch, torch_command
from streamdehaze.network import DEFAULT_CHECKPOINT, find_checkpoint, load_network

ENGINES = ("auto", "tensorrt", "openvino", "onnxruntime", "torch")

_log = logging.getLogger(__name__)


def open_engine(
    checkpoint: str | os.PathLike[str] = DEFAULT_CHECKPOINT,
    engine: str = "auto",
    *,
    device: str = "auto",
    wait: bool = False,
    int8: bool = True,
    cache: EngineCache | None = None,
) -> Engine:
    """The engine of that name for a checkpoint, ready to serve batches of any size.

    A compiled engine that has been built and verified before opens at once. Otherwise PyTorch serves while it is
    built by a child process, and it takes over between two batches.

    Args:
        checkpoint: name of a bundled checkpoint or path of one.
        engine: "torch", "openvino", "onnxruntime", "tensorrt", the path of a recipe (`.toml`), or "auto". That is
            TensorRT on an NVIDIA GPU (by the recipe of the fastest engine that has been built there, if any); on a CPU
            OpenVINO, or ONNX Runtime without it, where installed and not twice measured slower than PyTorch; else
            PyTorch.
        device: "auto", "cpu", "cuda" or "cuda:1".
        wait: return only when the compiled engine serves; its failure is then an error.
        int8: let OpenVINO compute in int8 by default where the processor is fast in it, the checkpoint has an int8
            graph and that passes its comparison; `$STREAMDEHAZE_INT8=0` in the environment forbids it, too.
        cache: where built engines are kept; the user's own by default.

    Without PyTorch a compiled engine is built and verified before the first picture, against the answer kept with
    the checkpoint, and "auto" takes the first that passes.

    Raises:
        EngineError: if there is no such engine or device, its runtime is not installed (an extra is named), or, with
            `wait`, it cannot be built.
        CheckpointError: if the checkpoint cannot be loaded.
        MissingPackageError: if only PyTorch could serve and it is not installed.
        ConfigError: if the recipe is wrong.
    """
    checkpoint = os.fspath(checkpoint)
    find_checkpoint(checkpoint)  # a wrong name is reported before anything else

    def open_torch(note: str | None = None) -> Engine:
        return TorchEngine(load_network(checkpoint), device, note=note)

    alone = not has_torch() or checkpoint.endswith(".onnx")
    """Without PyTorch: a compiled engine must serve from the first picture."""
    cache, note = cache or EngineCache(), None
    for recipe in _recipes(engine, device, checkpoint, int8, cache):
        if recipe.engine == "torch":
            options = recipe.torch
            require_torch("the engine 'torch'")
            network, precision = load_network(checkpoint), recipe.precision
            assert precision != "int8"  # no recipe for PyTorch says so
            return TorchEngine(network, device, precision=precision, threads=options.threads, compiled=options.compiled)
        try:
            backend = find_backend(recipe, checkpoint)
        except EngineError as error:
            if engine != "auto":
                raise
            _log.debug("no engine %s: %s", recipe.engine, error)
            note = str(error)
            continue
        request = BuildRequest(checkpoint, recipe, recipe.shape or DEFAULT_SHAPE)
        if recipe.precision == "int8" and not engine.endswith(".toml"):
            record = cache.find(request.identity(backend))
            if record is not None and record.state == "rejected":
                continue
        fallback = None if alone else open_torch
        switching = SwitchingEngine(request, backend, cache, fallback, wait=wait, only_if_faster=engine == "auto")
        try:
            if recipe.shape is not None or recipe.engine in ("openvino", "onnxruntime"):
                switching.prepare(request.shape.width, request.shape.height, request.shape.batch)
        except EngineError as error:
            if not alone or engine != "auto":
                raise
            _log.warning("no %s engine: %s", recipe.engine, error)
            note = str(error)
            continue
        return switching
    if engine == "torch":
        require_torch("the engine 'torch'")
        return open_torch()
    if alone:
        remedy = install_command("openvino") if has_torch() else torch_command()
        raise MissingPackageError(f"no engine can serve: {note or 'none is installed'}; {remedy} brings one")
    return open_torch(note)


def default_recipes(engine: str, checkpoint: str, *, int8: bool = True) -> list[Recipe]:
    """What the name of an engine stands for, in the order in which to try it.

    Args:
        engine: "openvino", "onnxruntime" or "tensorrt".
        checkpoint: name of a bundled checkpoint or path of one.
        int8: as for `open_engine`.
    """
    recipes = [Recipe.model_validate({"engine": engine})]
    allowed = engine == "openvino" and int8 and os.environ.get("STREAMDEHAZE_INT8", "1") != "0"
    if allowed and is_fast_in_int8() and quantized_graph(checkpoint) is not None:
        recipes.insert(0, Recipe(engine="openvino", precision="int8"))
    return recipes


def _recipes(engine: str, device: str, checkpoint: str, int8: bool, cache: EngineCache) -> list[Recipe]:
    """What to try, in order; nothing stands for PyTorch."""
    if engine == "auto":
        if device == "cuda" or (device == "auto" and find_gpu() is not None):
            return [*_fastest_kept(checkpoint, cache), *default_recipes("tensorrt", checkpoint)]
        names = ("openvino", "onnxruntime") if device in ("auto", "cpu") else ()
        return [each for name in names for each in default_recipes(name, checkpoint, int8=int8)]
    if engine.endswith(".toml"):
        return [read_recipe(engine)]
    if engine not in ENGINES:
        raise EngineError(f"there is no engine '{engine}'; choose {', '.join(ENGINES)} or the path of a recipe")
    if engine == "tensorrt" and device not in ("auto", "cuda"):
        raise EngineError(f"TensorRT does not run on '{device}'; it takes the first GPU $CUDA_VISIBLE_DEVICES names")
    return [] if engine == "torch" else default_recipes(engine, checkpoint, int8=int8)


def _fastest_kept(checkpoint: str, cache: EngineCache) -> list[Recipe]:
    """The recipe of the TensorRT engine that was measured fastest next to PyTorch, of those kept for a checkpoint.

    An engine below the usual floor, or for a range of sizes, which is slower, is used only if its recipe is named.
    """
    sha256, floor_db = file_sha256(find_checkpoint(checkpoint)), Recipe(engine="tensorrt").floor_db
    kept = [
        (found.speedup or 0.0, record)
        for record in cache.records()
        if (found := record.verification) is not None
        and record.state == "verified"
        and record.identity.get("checkpoint_sha256") == sha256
        and record.recipe.engine == "tensorrt"
        and record.recipe.tensorrt.min_shape is None
        and (found.psnr_db or 0.0) >= floor_db
    ]
    for _, record in sorted(kept, key=lambda pair: pair[0], reverse=True):
        if out_of_date(record, cache) is None:
            return [record.recipe]
    return []

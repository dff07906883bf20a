"""The ONNX Runtime engine: CPUs of any make and, by its execution providers, GPUs of several."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdehaze.engine.processor import usable_cores
from streamdehaze.engine.protocol import Backend, BuildProgress, Engine
from streamdehaze.engine.recipe import Recipe, Shape
from streamdehaze.errors import EngineError, first_line
from streamdehaze.extras import install_command, require_torch
from streamdehaze.frame import FloatArray

if TYPE_CHECKING:
    from streamdehaze.network import Checkpoint

_CPU = "CPUExecutionProvider"
_PREFERRED = (
    "CUDAExecutionProvider",
    "MIGraphXExecutionProvider",
    "DmlExecutionProvider",
    "CoreMLExecutionProvider",
    _CPU,
)
"""What "auto" takes the first of. TensorRT is not among them: it has an engine of its own here."""


class ONNXRuntimeEngine(Engine):
    """A graph from `write_filled` or `export_onnx` with free dimensions, run by ONNX Runtime.

    Args:
        path: the ONNX file.
        provider: of execution, by ONNX Runtime's name ("CUDAExecutionProvider").
        precision: of the graph, for the engine's name.
        threads: CPU threads; None for all cores this process may use.

    Raises:
        EngineError: if the file cannot be read, or the provider cannot be used here.
    """

    def __init__(
        self, path: Path, provider: str = _CPU, *, precision: str = "float32", threads: int | None = None
    ) -> None:
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.log_severity_level = 3  # errors, which are raised as well
        # Idle threads that spin take their cores from decoding, dehazing and encoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=list({provider: 0, _CPU: 0}))
        except Exception as error:  # its exceptions share no base but this one
            raise EngineError(f"ONNX Runtime cannot open {path}: {first_line(error)}") from error
        if (used := self._session.get_providers()[0]) != provider:
            self.close()
            raise EngineError(f"ONNX Runtime cannot use {provider} here and would run on {used}; check its driver")
        self._input: str = self._session.get_inputs()[0].name
        self._provider, self._precision = provider, precision

    @property
    def name(self) -> str:
        """Such as "onnxruntime cpu float32"."""
        return f"onnxruntime {self._provider.removesuffix('ExecutionProvider').lower()} {self._precision}"

    def infer(self, hazy: FloatArray) -> FloatArray:
        """See `Engine.infer`.

        Raises:
            EngineError: if ONNX Runtime fails.
        """
        try:
            clear: FloatArray = self._session.run(None, {self._input: np.ascontiguousarray(hazy)})[0]
        except Exception as error:
            raise EngineError(f"ONNX Runtime failed: {first_line(error)}") from error
        return clear

    def close(self) -> None:
        """Free the session."""
        self._session = None


class ONNXRuntimeBackend(Backend):
    """Makes the ONNX file that an `ONNXRuntimeEngine` opens."""

    def __init__(self, recipe: Recipe) -> None:
        runtime = import_onnxruntime()
        self._version = str(runtime.__version__)
        self._threads = recipe.onnxruntime.threads
        self._provider = _choose(recipe.onnxruntime.provider, runtime.get_available_providers())
        self._precision = "float16" if recipe.precision == "float16" else "float32"
        if self._precision == "float16":
            require_torch("exporting a graph in float16")
        # Of the others, not all have the operator.
        self._native_deform = recipe.deformable == "native" or (recipe.deformable == "auto" and self._provider == _CPU)

    def identity(self, shape: Shape) -> dict[str, Any]:
        """See `Backend.identity`; the shape plays no part."""
        exported = {"exporter": f"torch {version('torch')}"} if self._precision == "float16" else {}
        return {
            **exported,
            "runtime": f"onnxruntime {self._version}",
            "device": self._provider,
            "precision": self._precision,
            "deformable": "native" if self._native_deform else "grid",
        }

    def compile(
        self, checkpoint: Checkpoint, shape: Shape, file: Path, metadata: dict[str, str], progress: BuildProgress
    ) -> None:
        """See `Backend.compile`."""
        progress("writing the graph", None)
        if self._precision == "float16":
            from streamdehaze.engine.onnx.export import export_onnx

            export_onnx(
                checkpoint.network(), file, precision="float16", native_deform=self._native_deform, metadata=metadata
            )
        else:
            from streamdehaze.engine.onnx.template import write_filled

            write_filled(checkpoint, file, metadata, native_deform=self._native_deform)

    def open(self, file: Path, work_folder: Path, shape: Shape) -> ONNXRuntimeEngine:
        """See `Backend.open`."""
        return ONNXRuntimeEngine(file, self._provider, precision=self._precision, threads=self._threads)


def import_onnxruntime() -> Any:
    """The module `onnxruntime`, with its reports of use switched off.

    Raises:
        EngineError: naming the extra, if it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f"the engine 'onnxruntime' needs ONNX Runtime ({error}): {install_command('onnxruntime')}"
        ) from error
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _choose(wanted: str, available: list[str]) -> str:
    """The provider, by ONNX Runtime's name; "cuda" and "CUDAExecutionProvider" are the same."""
    if wanted == "auto":
        return next((name for name in _PREFERRED if name in available), _CPU)
    for name in available:
        if wanted.lower() in (name.lower(), name.removesuffix("ExecutionProvider").lower()):
            return name
    named = ", ".join(name.removesuffix("ExecutionProvider").lower() for name in available)
    raise EngineError(f"this build of ONNX Runtime has no execution provider '{wanted}', only {named}")

"""The OpenVINO engine: the fast one on a CPU, and on Intel's GPUs and NPUs."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from streamdehaze.durable import file_sha256
from streamdehaze.engine.build.checked_cache import drop_altered, write_hashes
from streamdehaze.engine.openvino.graph import read_deform_conv, widen_last_convolution
from streamdehaze.engine.openvino.int8 import quantize, quantized_graph
from streamdehaze.engine.processor import has_bfloat16, usable_cores
from streamdehaze.engine.protocol import Backend, BuildProgress, CompilingEngine
from streamdehaze.engine.recipe import Recipe, Shape
from streamdehaze.errors import EngineError
from streamdehaze.extras import install_command
from streamdehaze.frame import FloatArray
from streamdehaze.telemetry import import_quietly

if TYPE_CHECKING:
    import openvino

    from streamdehaze.network import Checkpoint

Precision = Literal["auto", "float32", "float16", "bfloat16", "int8"]
ThreadMode = Literal["auto", "latency", "throughput"]

_HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_CAPABILITIES = {"float16": "FP16", "bfloat16": "BF16"}
_KEPT = 16
"""Compiled models kept, each for one size and mode, of 16 to 65 MiB: two shapes of frames at every size that live
adaption may choose."""


_WORTH_COMPILING = 16
"""Pictures of a size that must have been served by a model of the wrong mode before one of the right mode is compiled,
which takes as long as some twenty pictures: the last batch of a video is not worth it."""
_COMPILING = threading.Lock()
"""Held while a model is compiled: OpenVINO changes the process's locale meanwhile, and puts back what it found, which
may be what another thread that compiles has set (findings/openvino-cache-locale.sh)."""


@dataclass
class _Compiled:
    model: openvino.CompiledModel
    requests: list[openvino.InferRequest]


class OpenVINOEngine(CompilingEngine):
    """A graph from `export_onnx` with free dimensions, compiled by OpenVINO for each frame size it meets.

    Pictures of a batch run as asynchronous requests of one picture each, so that one compiled model serves batches of
    any size. Tuning: leave everything at "auto"; "latency" gives one picture all threads, "throughput" runs several
    pictures at a time, 1.2 to 1.5 times as many a second on two cores.

    Args:
        path: the ONNX file.
        device: OpenVINO's name: "CPU", "GPU", "NPU".
        precision: "auto" is float16 where the device computes in it, else bfloat16, else float32. "int8" says that the
            graph is quantised; what is float in it runs as with "auto".
        mode: "auto" is "latency" where the first pictures of a size come one by one, "throughput" where they come in
            batches; a model of the other kind is compiled once it has been wanted often enough to be worth it.
        threads: CPU threads; None for all cores this process may use.
        cache: folder for compiled models, so that the next start skips compiling.

    Raises:
        EngineError: if OpenVINO is not installed, lacks the device or precision, or cannot read the file.
    """

    def __init__(
        self,
        path: Path,
        device: str = "CPU",
        *,
        precision: Precision = "auto",
        mode: ThreadMode = "auto",
        threads: int | None = None,
        cache: Path | None = None,
    ) -> None:
        openvino = import_openvino()
        self._core = openvino.Core()
        read_deform_conv(self._core)
        _check_device(self._core, device)
        self._path, self._device, self._mode = path, device, mode
        capabilities = _capabilities(self._core, device)
        self.precision = _choose_precision(capabilities, precision)
        of_floats = _choose_precision(capabilities, "auto") if precision == "int8" else self.precision
        self._threads = threads or usable_cores()
        self._config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _HINTS[of_floats]}
        if device == "CPU":
            self._config["INFERENCE_NUM_THREADS"] = self._threads
        self._cache = cache
        if cache is not None:
            try:
                drop_altered(cache.glob("*.blob"))
                self._config["CACHE_DIR"] = os.fspath(cache)
            except OSError:  # altered files stay in this folder, so nothing may be read from it
                self._cache = None
        self._lock = threading.Lock()
        """Guards the fields below: `compile_for` may run while `infer` does."""
        self._compiled: OrderedDict[tuple[int, int, str], _Compiled] = OrderedDict()
        self._held: set[tuple[int, int]] = set()
        """Sizes that `compile_for` made ready; they stay until `release`."""
        self._unsuited: Counter[tuple[int, int]] = Counter()
        self._read()

    @property
    def name(self) -> str:
        """Such as "openvino cpu float16"."""
        return f"openvino {self._device.lower()} {self.precision}"

    def infer(self, hazy: FloatArray) -> FloatArray:
        """See `Engine.infer`.

        Raises:
            EngineError: if OpenVINO cannot compile for this size or fails.
        """
        batch, _, height, width = hazy.shape
        requests = self._compiled_for(height, width, batch).requests
        hazy = np.ascontiguousarray(hazy)
        clear = np.empty(hazy.shape, np.float32)

        def collect(index: int) -> None:
            request = requests[index % len(requests)]
            request.wait()
            clear[index] = request.get_output_tensor().data[0]

        try:
            for index in range(batch):
                if index >= len(requests):
                    collect(index - len(requests))
                requests[index % len(requests)].start_async([hazy[index : index + 1]], share_inputs=True)
            for index in range(max(0, batch - len(requests)), batch):
                collect(index)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed: {_last_line(error)}") from error
        return clear

    def compile_for(self, height: int, width: int, batch: int) -> None:
        """See `CompilingEngine.compile_for`.

        Raises:
            EngineError: if OpenVINO cannot compile for this size.
        """
        mode = self._mode if self._mode != "auto" else _suited_mode(batch)
        with self._lock:
            self._held.add((height, width))
            if (height, width, mode) in self._compiled:
                return
        compiled = self._compile(height, width, batch, mode)
        try:  # the first run fills caches
            compiled.requests[0].infer([np.zeros((1, 3, height, width), np.float32)])
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed: {_last_line(error)}") from error
        with self._lock:
            self._compiled[height, width, mode] = compiled

    def release(self, height: int, width: int) -> None:
        """See `CompilingEngine.release`."""
        with self._lock:
            self._held.discard((height, width))
            for mode in ("latency", "throughput"):
                self._compiled.pop((height, width, mode), None)

    def close(self) -> None:
        """Free the compiled models."""
        with self._lock:
            self._compiled.clear()

    def _read(self) -> openvino.Model:
        try:
            return self._core.read_model(self._path)
        except RuntimeError as error:
            raise EngineError(f"{self._path} is not a graph that OpenVINO can read: {_last_line(error)}") from error

    def _compiled_for(self, height: int, width: int, batch: int) -> _Compiled:
        with self._lock:
            key = height, width, self._mode_for((height, width), batch)
            if (found := self._compiled.get(key)) is not None:
                self._compiled.move_to_end(key)
                return found
        compiled = self._compile(height, width, batch, key[2])
        with self._lock:
            self._compiled[key] = compiled
            passing = [key for key in self._compiled if key[:2] not in self._held]
            if len(passing) > _KEPT:
                del self._compiled[passing[0]]
        return compiled

    def _mode_for(self, size: tuple[int, int], batch: int) -> str:
        if self._mode != "auto":
            return self._mode
        suited = _suited_mode(batch)
        other = "latency" if suited == "throughput" else "throughput"
        if (*size, suited) not in self._compiled and (*size, other) in self._compiled:
            self._unsuited[size] += batch
            if size in self._held or self._unsuited[size] < _WORTH_COMPILING:
                return other
        return suited

    def _compile(self, height: int, width: int, batch: int, mode: str) -> _Compiled:
        model = self._read()
        config = {**self._config, "PERFORMANCE_HINT": mode.upper()}
        if mode == "throughput" and self._device == "CPU":
            # The hint alone counts on more requests than a batch brings, and on few cores makes one stream of two.
            config["NUM_STREAMS"] = min(self._threads, max(batch, 2))
        try:
            model.reshape([1, 3, height, width])
            if self._device == "CPU":
                widen_last_convolution(model)
            with _COMPILING:
                compiled = self._core.compile_model(model, self._device, config)
            if self._cache is not None:
                write_hashes(self._cache.glob("*.blob"))
            count = 1
            if mode == "throughput" and self._device == "CPU":
                # While one request is copied in and out, its stream computes the other.
                count = 2 * int(compiled.get_property("NUM_STREAMS"))
            elif mode == "throughput":
                count = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            return _Compiled(compiled, [compiled.create_infer_request() for _ in range(max(count, 1))])
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot compile {self._path.name} for {width}×{height}: {_last_line(error)}"
            ) from error


class OpenVINOBackend(Backend):
    """Makes the ONNX file an `OpenVINOEngine` compiles at start, which takes a fraction of a second."""

    def __init__(self, recipe: Recipe, checkpoint: str) -> None:
        self._checkpoint, self._options = checkpoint, recipe.openvino
        self._openvino = import_openvino()
        core = self._openvino.Core()
        _check_device(core, self._options.device)
        self._device_name = str(core.get_property(self._options.device, "FULL_DEVICE_NAME"))
        self._precision = _choose_precision(_capabilities(core, self._options.device), recipe.precision)
        # Its other devices are not known to have the operator in every generation.
        on_cpu = self._options.device == "CPU"
        self._native_deform = recipe.deformable == "native" or (recipe.deformable == "auto" and on_cpu)

    def identity(self, shape: Shape) -> dict[str, Any]:
        """See `Backend.identity`; the shape plays no part."""
        identity = {
            "runtime": f"openvino {self._openvino.__version__}",
            "device": f"{self._options.device}: {self._device_name}",
            "precision": self._precision,
            "deformable": "native" if self._native_deform else "grid",
        }
        if self._precision == "int8":
            graph = quantized_graph(self._checkpoint)
            identity["quantized"] = file_sha256(graph) if graph is not None else "here"
        return identity

    def compile(
        self, checkpoint: Checkpoint, shape: Shape, file: Path, metadata: dict[str, str], progress: BuildProgress
    ) -> None:
        """See `Backend.compile`."""
        from streamdehaze.engine.onnx.template import write_filled

        if self._precision == "int8":
            graph = quantized_graph(self._checkpoint)
            if graph is None:
                quantize(self._checkpoint, file, progress=progress)
            else:
                shutil.copyfile(graph, file)
            return
        progress("writing the graph", None)
        write_filled(checkpoint, file, metadata, native_deform=self._native_deform)

    def open(self, file: Path, work_folder: Path, shape: Shape) -> OpenVINOEngine:
        """See `Backend.open`."""
        return OpenVINOEngine(
            file,
            self._options.device,
            precision=self._precision,
            mode=self._options.mode,
            threads=self._options.threads,
            cache=work_folder,
        )


def import_openvino() -> Any:
    """The module `openvino`.

    Raises:
        EngineError: naming the extra, if it is not installed.
    """
    try:
        return import_quietly("openvino")
    except ImportError as error:
        raise EngineError(f"the engine 'openvino' needs OpenVINO ({error}): {install_command('openvino')}") from error


def _check_device(core: openvino.Core, device: str) -> None:
    if device == "CPU":
        return  # always there; to list the devices loads the code for every kind of them, 30 MiB
    devices = core.available_devices  # "CPU", "GPU" or, of several, "GPU.0"
    if device not in devices and device not in {name.split(".")[0] for name in devices}:
        raise EngineError(f"OpenVINO finds no device '{device}' here, only {', '.join(devices)}")


def _capabilities(core: openvino.Core, device: str) -> set[str]:
    """What a device computes in natively, as "FP16", "BF16"."""
    found = set(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
    # Versions of OpenVINO differ in whether they count a CPU that emulates bfloat16, at a third of float32's speed.
    return found - {"BF16"} if device == "CPU" and not has_bfloat16() else found


def _choose_precision(capabilities: set[str], wanted: Precision) -> Literal["float32", "float16", "bfloat16", "int8"]:
    if wanted == "auto":
        if "FP16" in capabilities:
            return "float16"
        return "bfloat16" if "BF16" in capabilities else "float32"
    if wanted in _CAPABILITIES and _CAPABILITIES[wanted] not in capabilities:
        raise EngineError(f"this device does not compute in {wanted}; use float32 or auto")
    return wanted


def _suited_mode(batch: int) -> str:
    return "throughput" if batch > 1 else "latency"


def _last_line(error: BaseException) -> str:
    # OpenVINO's exceptions begin with its own source lines; what happened stands last.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

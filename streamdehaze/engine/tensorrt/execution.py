"""Running a TensorRT plan: several execution contexts, each with its own stream, buffers and CUDA graph."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from streamdehaze.engine.build.checked_cache import drop_altered, keep
from streamdehaze.engine.onnx.export import INPUT, OUTPUT
from streamdehaze.engine.protocol import Engine
from streamdehaze.engine.recipe import Shape, TensorRTOptions
from streamdehaze.engine.tensorrt.cuda import Cuda
from streamdehaze.engine.tensorrt.runtime import logger
from streamdehaze.errors import EngineError, first_line
from streamdehaze.frame import FloatArray


class _Execution:
    """One execution context: pinned memory → device → network → device → pinned memory, all in one stream."""

    def __init__(self, context: Any, cuda: Cuda, shape: tuple[int, int, int, int], graph: bool) -> None:
        self._context, self._cuda = context, cuda
        self.stream = cuda.stream()
        self.given, self.result = cuda.pinned(shape), cuda.pinned(shape)
        self.hazy, self.clear = cuda.device(shape), cuda.device(shape)
        if not context.set_input_shape(INPUT, shape):
            raise EngineError(f"the engine does not take batches of {shape[0]} pictures of {shape[3]}×{shape[2]}")
        context.set_tensor_address(INPUT, self.hazy.data_ptr())
        context.set_tensor_address(OUTPUT, self.clear.data_ptr())
        # The first run allocates and, in TensorRT-RTX, compiles kernels: neither may happen inside a capture.
        with cuda.within(self.stream):
            self._launch()
        self.stream.synchronize()
        self.run: Callable[[], None] = cuda.capture(self.stream, self._launch) if graph else self._launch

    def _launch(self) -> None:
        if not self._context.execute_async_v3(self.stream.cuda_stream):
            raise EngineError("TensorRT could not start the engine")

    def start(self, pictures: FloatArray, between: Callable[[], object] = lambda: None) -> None:
        """Copy up to a batch of pictures in, run, copy out; returns before any of it is done.

        `between` is called before, between and after these three.
        """
        self.given.numpy()[: len(pictures)] = pictures
        with self._cuda.within(self.stream):
            between()
            self.hazy.copy_(self.given, non_blocking=True)
            between()
            self.run()
            between()
            self.result.copy_(self.clear, non_blocking=True)
            between()

    def finish(self, count: int) -> FloatArray:
        """Wait, and give the first `count` pictures; valid until the next `start`."""
        self.stream.synchronize()
        array: FloatArray = self.result.numpy()[:count]
        return array


class TensorRTEngine(Engine):
    """A plan on the GPU.

    A batch is cut into pieces of the plan's batch (the last one filled up with what lies there), which go to the
    execution contexts alternately: while one piece computes, the next is copied in. The host waits only for results.

    Args:
        module: `tensorrt` or `tensorrt_rtx`.
        plan: the engine file's bytes.
        shape: pictures the plan was built for.
        options: of its recipe.
        kernels: where TensorRT-RTX keeps the kernels it compiles on first use, so that the next start has them.
        cuda: the device's streams and memory.

    Raises:
        EngineError: if the plan is damaged or for another GPU, driver or version, or the GPU's memory is used up.
    """

    def __init__(
        self,
        module: Any,
        plan: bytes,
        shape: Shape,
        options: TensorRTOptions = TensorRTOptions(),  # noqa: B008 - frozen
        *,
        kernels: Path | None = None,
        cuda: Cuda | None = None,
    ) -> None:
        log = logger(module)
        self._runtime = module.Runtime(log)
        # Version-compatible plans bring code for the host.
        self._runtime.engine_host_code_allowed = options.version_compatible
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"{module.__name__} refuses the engine: {log.errors[0] if log.errors else 'no reason given'}"
            )
        self._label = f"{module.__name__} {module.__version__}"
        self._batch, self._size = shape.batch, (shape.height, shape.width)
        self._module, self._cuda = module, cuda or Cuda()
        self._options = options
        self._config, self._cache = self._runtime_config(kernels)
        self._executions: dict[tuple[int, int], list[_Execution]] = {}
        self._executions_for(*self._size)
        if self._cache is not None and kernels is not None:
            keep(kernels, bytes(self._cache.serialize()))

    @property
    def name(self) -> str:
        """Such as "tensorrt 11.4.0 256×144"."""
        return f"{self._label} {self._size[1]}×{self._size[0]}"

    @property
    def device(self) -> str | None:
        """See `Engine.device`."""
        return "cuda"

    def infer(self, hazy: FloatArray) -> FloatArray:
        """See `Engine.infer`.

        Raises:
            EngineError: if the plan does not take this size.
        """
        executions = self._executions_for(*hazy.shape[2:])
        clear = np.empty(hazy.shape, np.float32)
        pieces = [slice(at, min(at + self._batch, len(hazy))) for at in range(0, len(hazy), self._batch)]
        for turn, piece in enumerate(pieces):
            if turn >= len(executions):
                self._collect(executions, pieces, turn - len(executions), clear)
            executions[turn % len(executions)].start(hazy[piece])
        for turn in range(max(0, len(pieces) - len(executions)), len(pieces)):
            self._collect(executions, pieces, turn, clear)
        return clear

    def split(self, hazy: FloatArray) -> dict[str, float]:
        """Milliseconds on the device of one run of the plan, as trtexec splits them; `hazy` as for `infer`."""
        execution, marks = self._executions_for(*hazy.shape[2:])[0], []
        execution.start(hazy[: self._batch], lambda: marks.append(self._cuda.mark(execution.stream)))
        execution.finish(0)
        spans = [before.elapsed_time(after) for before, after in itertools.pairwise(marks)]
        return dict(zip(("host to device", "compute", "device to host"), spans, strict=True))

    def close(self) -> None:
        """Free contexts, buffers and the plan."""
        self._executions.clear()
        self._engine = None

    def _collect(self, executions: list[_Execution], pieces: list[slice], turn: int, clear: FloatArray) -> None:
        piece = pieces[turn]
        clear[piece] = executions[turn % len(executions)].finish(piece.stop - piece.start)

    def _executions_for(self, height: int, width: int) -> list[_Execution]:
        if self._engine is None:
            raise EngineError("the engine is closed")
        if (height, width) not in self._executions:
            # A profile serves many sizes; buffers are kept for the two latest.
            while len(self._executions) > 1:
                self._executions.pop(next(iter(self._executions)))
            shape = (self._batch, 3, height, width)
            try:
                self._executions[height, width] = [
                    _Execution(self._context(), self._cuda, shape, self._options.cuda_graph)
                    for _ in range(self._options.contexts)
                ]
            except RuntimeError as error:  # torch's, of memory that is used up, say
                raise EngineError(f"the GPU cannot take up the engine: {first_line(error)}") from error
        return self._executions[height, width]

    def _context(self) -> Any:
        made = self._engine.create_execution_context(*(() if self._config is None else (self._config,)))
        if made is None:
            raise EngineError("TensorRT has no memory left for an execution context: take a smaller batch")
        return made

    def _runtime_config(self, kernels: Path | None) -> tuple[Any, Any]:
        # Only TensorRT-RTX compiles kernels on first use and so has a cache for them.
        if kernels is None or not hasattr(self._module, "IRuntimeCache"):
            return None, None
        config = self._engine.create_runtime_config()
        cache = config.create_runtime_cache()
        with contextlib.suppress(OSError):
            if kernels.is_file():
                drop_altered([kernels])
            if kernels.is_file():
                cache.deserialize(kernels.read_bytes())
        config.set_runtime_cache(cache)
        return config, cache

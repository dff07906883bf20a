"""TensorRT as a backend: what a plan depends on, how it is made and opened."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from streamdehaze.engine.build.cache import default_folder
from streamdehaze.engine.protocol import Backend, BuildProgress
from streamdehaze.engine.recipe import Recipe, Shape
from streamdehaze.engine.tensorrt.runtime import check_gpu, find_gpu, find_package, import_package
from streamdehaze.errors import EngineError
from streamdehaze.extras import require_torch

if TYPE_CHECKING:
    from streamdehaze.engine.tensorrt.execution import TensorRTEngine
    from streamdehaze.network import Checkpoint


class TensorRTBackend(Backend):
    """Builds plans for this machine's GPU, or with TensorRT-RTX ahead of time for those the recipe names."""

    suffix = ".engine"

    def __init__(self, recipe: Recipe) -> None:
        self._options = recipe.tensorrt
        self._package = find_package(self._options.runtime)
        require_torch("the engine 'tensorrt'")  # it exports the graph, and its streams and memory are used
        self._gpu = find_gpu()
        ahead = self._options.compute_capabilities
        if ahead and self._package != "tensorrt_rtx":
            raise EngineError(
                "compute_capabilities are TensorRT-RTX's: TensorRT builds only for the GPU of this machine"
            )
        if self._gpu is None and not ahead:
            raise EngineError(
                "TensorRT-RTX finds no NVIDIA GPU here; to build ahead of time, name compute_capabilities"
                if self._package == "tensorrt_rtx"
                else "TensorRT finds no NVIDIA GPU here"
            )
        self._module = import_package(self._package)  # after the driver: without one, a runtime may end the process
        if self._gpu is not None:
            check_gpu(self._gpu, self._module)
        self.runs_here = self._gpu is not None and (not ahead or self._gpu.architecture in ahead)
        self._precision: Literal["float32", "float16"] = "float32" if recipe.precision == "float32" else "float16"
        self._native_deform = recipe.deformable == "native"

    def identity(self, shape: Shape) -> dict[str, Any]:
        """See `Backend.identity`."""
        exporter = {} if self._options.version_compatible else {"exporter": f"torch {metadata.version('torch')}"}
        options = self._options.model_dump(
            mode="json", exclude={"runtime", "contexts", "cuda_graph", "compute_capabilities"}
        )
        # What lets an engine run elsewhere must not tie its key to one place.
        version = str(self._module.__version__)
        if self._options.version_compatible:
            version = f"{version.split('.')[0]}.x"
        return {
            "runtime": f"{self._package.removesuffix('_lean')} {version}",
            "device": list(self._options.compute_capabilities) or self._gpu_in_words(),
            **exporter,
            "precision": self._precision,
            "deformable": "native" if self._native_deform else "grid",
            "shape": shape.model_dump(),
            "options": options,
        }

    def _gpu_in_words(self) -> str | None:
        if self._gpu is None:
            return None
        if self._options.hardware_compatible and self._gpu.capability >= (8, 0):
            return "Ampere or later"
        return f"{self._gpu.name} {self._gpu.architecture}"

    def covers(self, shape: Shape, height: int, width: int) -> bool:
        """See `Backend.covers`."""
        least, most = self._options.min_shape, self._options.max_shape
        if least is None or most is None:
            return (shape.height, shape.width) == (height, width)
        return least.height <= height <= most.height and least.width <= width <= most.width

    def compile(
        self, checkpoint: Checkpoint, shape: Shape, file: Path, metadata: dict[str, str], progress: BuildProgress
    ) -> None:
        """See `Backend.compile`."""
        from streamdehaze.engine.onnx.export import export_onnx
        from streamdehaze.engine.onnx.template import GraphShape
        from streamdehaze.engine.tensorrt.compile import compile_plan

        if self._package == "tensorrt_lean":
            raise EngineError(
                "the lean runtime builds no engines: build this recipe with runtime = 'tensorrt' on a machine with "
                f"such a GPU, and bring the engine and its .json into {default_folder()}"
            )
        progress("exporting the network", None)
        profile = self._options.min_shape is not None
        graph = file.with_suffix(".onnx")
        fixed = GraphShape() if profile else GraphShape(shape.batch, shape.height, shape.width)
        export_onnx(
            checkpoint.network(),
            graph,
            fixed,
            precision=self._precision,
            native_deform=self._native_deform,
            metadata=metadata,
        )
        # Kernel times hold for one GPU: an ahead-of-time build measures none.
        timings = None
        if self._gpu is not None and not self._options.compute_capabilities and self._package == "tensorrt":
            name = f"{self._module.__version__}-{self._gpu.name.replace(' ', '-')}"
            timings = default_folder() / f"tensorrt-{name}.timings"
            timings.parent.mkdir(parents=True, exist_ok=True)
        plan = compile_plan(self._module, graph, shape, self._options, timings, progress)
        file.write_bytes(plan)

    def open(self, file: Path, work_folder: Path, shape: Shape) -> TensorRTEngine:
        """See `Backend.open`."""
        from streamdehaze.engine.tensorrt.execution import TensorRTEngine

        kernels = work_folder / "kernels"
        return TensorRTEngine(self._module, file.read_bytes(), shape, self._options, kernels=kernels)

"""The compilers of engines behind one protocol: what an engine depends on, how it is made, how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from streamdehaze.engine.protocol import Engine, Progress
from streamdehaze.engine.recipe import Recipe, Shape
from streamdehaze.errors import EngineError

if TYPE_CHECKING:
    from streamdehaze.network import Checkpoint


class Backend(Protocol):
    """One compiler of engines, for one recipe."""

    suffix: str
    """Of engine files: ".onnx", ".engine"."""
    runs_here: bool
    """Whether the device it compiles for is at hand, so that the engine can be verified and used."""

    def identity(self, shape: Shape) -> dict[str, Any]:
        """Plain values for all the engine depends on but the checkpoint: runtime, device, shapes, options."""
        ...

    def covers(self, shape: Shape, height: int, width: int) -> bool:
        """Whether an engine built for `shape` serves pictures of this size; any engine serves any batch."""
        ...

    def compile(
        self, checkpoint: Checkpoint, shape: Shape, file: Path, metadata: dict[str, str], progress: Progress
    ) -> None:
        """Write the engine file."""
        ...

    def open(self, file: Path, work_folder: Path, shape: Shape) -> Engine:
        """The engine in a file that was built for `shape`; what is compiled further may be kept in `work_folder`."""
        ...


def find_backend(recipe: Recipe, checkpoint: str) -> Backend:
    """The backend a recipe asks for, for a checkpoint.

    Raises:
        EngineError: if its runtime is not installed or its device is not there, with what to do.
    """
    if recipe.engine == "openvino":
        from streamdehaze.engine.openvino import OpenVINOBackend

        return OpenVINOBackend(recipe, checkpoint)
    if recipe.engine == "onnxruntime":
        from streamdehaze.engine.onnxruntime import ONNXRuntimeBackend

        return ONNXRuntimeBackend(recipe)
    if recipe.engine == "torch":
        raise EngineError("PyTorch runs the checkpoint as it is: there is nothing to build")
    from streamdehaze.engine.tensorrt import TensorRTBackend

    return TensorRTBackend(recipe)

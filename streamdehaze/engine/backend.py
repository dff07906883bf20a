"""Which compiler of engines a recipe asks for."""

from __future__ import annotations

from streamdehaze.engine.protocol import Backend
from streamdehaze.engine.recipe import Recipe
from streamdehaze.errors import EngineError


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

"""PyTorch, OpenVINO, ONNX Runtime and TensorRT behind one protocol; their recipes, cache and verification."""

from streamdehaze.engine.build.cache import EngineCache
from streamdehaze.engine.opening import ENGINES, open_engine
from streamdehaze.engine.protocol import Engine
from streamdehaze.engine.recipe import Recipe, read_recipe
from streamdehaze.engine.torch import TorchEngine

__all__ = ["ENGINES", "Engine", "EngineCache", "Recipe", "TorchEngine", "open_engine", "read_recipe"]

"""TensorRT and TensorRT-RTX: building plans and running them."""

from streamdehaze.engine.tensorrt.backend import TensorRTBackend

__all__ = ["TensorRTBackend"]

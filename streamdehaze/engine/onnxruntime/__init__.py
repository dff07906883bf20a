"""ONNX Runtime: the network on whatever device one of its execution providers drives."""

from streamdehaze.engine.onnxruntime.backend import ONNXRuntimeBackend

__all__ = ["ONNXRuntimeBackend"]

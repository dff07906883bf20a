"""OpenVINO: compiling the network for CPUs and Intel's GPUs and NPUs, its own operators, int8."""

from streamdehaze.engine.openvino.backend import OpenVINOBackend

__all__ = ["OpenVINOBackend"]

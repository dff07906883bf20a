"""Inference engines: one protocol, and PyTorch behind it."""

from streamdehaze.engine.protocol import Engine
from streamdehaze.engine.torch import TorchEngine

__all__ = ["Engine", "TorchEngine"]

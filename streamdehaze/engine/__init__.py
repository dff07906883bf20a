"""Inference engines: one protocol, and PyTorch behind it."""

from __future__ import annotations

import os

from streamdehaze.engine.protocol import Engine
from streamdehaze.engine.torch import TorchEngine
from streamdehaze.errors import EngineError
from streamdehaze.network import load_network

__all__ = ["Engine", "TorchEngine", "open_engine"]


def open_engine(checkpoint: str | os.PathLike[str], engine: str = "auto") -> Engine:
    """The engine of that name for a checkpoint.

    Raises:
        EngineError: if there is no such engine.
        CheckpointError: if the checkpoint cannot be had.
    """
    if engine not in ("auto", "torch"):
        raise EngineError(f"there is no engine '{engine}'; choose auto or torch")
    return TorchEngine(load_network(checkpoint))

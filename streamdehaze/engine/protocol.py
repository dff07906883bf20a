"""What the house asks of an inference engine."""

from __future__ import annotations

from typing import Protocol

from streamdehaze.frame import FloatArray


class Engine(Protocol):
    """Runs the network: a clear picture for each hazy one."""

    @property
    def name(self) -> str:
        """What serves, for reports: "torch cpu float32", say."""
        ...

    def infer(self, hazy: FloatArray) -> FloatArray:
        """(B, 3, H, W) float32 RGB in [0, 1] → the same shape, clamped to [0, 1]. H and W are multiples of 4."""
        ...

    def close(self) -> None:
        """Free what the engine holds; may be called twice."""
        ...

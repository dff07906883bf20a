"""The interface of an inference engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from streamdehaze.frame import FloatArray

Progress = Callable[[str, float | None], None]
"""Called with what is being done and the share done, 0 to 1, where it is known."""


class Engine(Protocol):
    """Runs the network: a clear picture for each hazy one."""

    @property
    def name(self) -> str:
        """What serves, for reports: "torch cpu float32", say."""
        ...

    @property
    def note(self) -> str | None:
        """Why no faster engine serves, if there is a reason to tell: "the openvino engine is being built"."""
        ...

    def infer(self, hazy: FloatArray) -> FloatArray:
        """(B, 3, H, W) float32 RGB in [0, 1] → the same, clamped to [0, 1]. H and W: multiples of 4, at least 8."""
        ...

    def split(self, hazy: FloatArray) -> dict[str, float]:
        """Milliseconds of one run's parts on a device of its own; empty for an engine that has none."""
        ...

    def close(self) -> None:
        """Free what the engine holds; may be called twice."""
        ...


@runtime_checkable
class CompilingEngine(Engine, Protocol):
    """An engine that compiles for each size of picture, and may do so in a thread of its own while `infer` runs."""

    def compile_for(self, height: int, width: int, batch: int) -> None:
        """Make ready for batches of this size: `infer` compiles nothing for it afterwards.

        Raises:
            EngineError: if it cannot.
        """
        ...

    def release(self, height: int, width: int) -> None:
        """Free what `compile_for` made for this size."""
        ...

"""The interfaces of an inference engine, and of what compiles one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from streamdehaze.engine.recipe import Shape
from streamdehaze.frame import FloatArray

if TYPE_CHECKING:
    from streamdehaze.network import Checkpoint

BuildProgress = Callable[[str, float | None], None]
"""Called with what is being done and the share done, 0 to 1, where it is known."""


class Engine(Protocol):
    """Runs the network: a clear picture for each hazy one; engines that inherit from it may leave some of this out."""

    @property
    def name(self) -> str:
        """What serves, for reports: "torch cpu float32", say."""
        ...

    @property
    def note(self) -> str | None:
        """Why no faster engine serves, if there is a reason to tell: "the openvino engine is being built"."""
        return None

    @property
    def device(self) -> str | None:
        """PyTorch's name of the GPU it runs on, which then shrinks frames and applies maps too; None for the CPU."""
        return None

    def infer(self, hazy: FloatArray) -> FloatArray:
        """(B, 3, H, W) float32 RGB in [0, 1] → the same, clamped to [0, 1]. H and W: multiples of 4, at least 8."""
        ...

    def split(self, hazy: FloatArray) -> dict[str, float]:
        """Milliseconds of one run's parts on a device of its own; empty for an engine that has none."""
        return {}

    def close(self) -> None:
        """Free what the engine holds; may be called twice."""
        return


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


def compiles(engine: Engine | None) -> TypeGuard[CompilingEngine]:
    """Whether an engine compiles for each size; one of the caller's own may lack what else an `Engine` has."""
    return hasattr(engine, "compile_for")


def device_of(engine: Engine) -> str | None:
    """See `Engine.device`; None also for an engine of the caller's own that does not say."""
    return getattr(engine, "device", None)


class Backend(Protocol):
    """One compiler of engines, for one recipe."""

    suffix: str = ".onnx"
    """Extension of engine files: ".onnx", ".engine"."""
    runs_here: bool = True
    """Whether the device it compiles for is present, so that the engine can be verified and used."""

    def identity(self, shape: Shape) -> dict[str, Any]:
        """Plain values for all the engine depends on but the checkpoint: runtime, device, shapes, options."""
        ...

    def covers(self, shape: Shape, height: int, width: int) -> bool:
        """Whether an engine built for `shape` serves pictures of this size; any engine serves any batch."""
        return True

    def compile(
        self, checkpoint: Checkpoint, shape: Shape, file: Path, metadata: dict[str, str], progress: BuildProgress
    ) -> None:
        """Write the engine file."""
        ...

    def open(self, file: Path, work_folder: Path, shape: Shape) -> Engine:
        """The engine in a file that was built for `shape`; what is compiled further may be kept in `work_folder`."""
        ...

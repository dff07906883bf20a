"""Which TensorRT serves: the packages `tensorrt` (10 and 11) and `tensorrt_rtx` share one Python interface."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import sys
from dataclasses import dataclass
from typing import Any, Literal

from streamdehaze.errors import EngineError
from streamdehaze.extras import has_torch, install_command

Package = Literal["tensorrt", "tensorrt_rtx", "tensorrt_lean"]

_log = logging.getLogger(__name__)

_OLDEST = (7, 5)  # Turing; earlier GPUs went with TensorRT 10


@dataclass(frozen=True)
class NvidiaGpu:
    """The GPU engines are built for and run on."""

    name: str
    capability: tuple[int, int]

    @property
    def architecture(self) -> str:
        """As TensorRT-RTX writes it: "SM89"."""
        return "SM{}{}".format(*self.capability)


def find_gpu() -> NvidiaGpu | None:
    """The CUDA device torch uses now, or None."""
    # Asking for the driver's library first spares machines without one the second torch takes to import.
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    if not has_torch():  # nothing here uses a GPU without it
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    return NvidiaGpu(torch.cuda.get_device_name(), torch.cuda.get_device_capability())


def find_package(wanted: Literal["auto", "tensorrt", "tensorrt_rtx", "lean"]) -> Package:
    """The package to use: the wanted one, or the installed one, TensorRT first.

    Raises:
        EngineError: naming the extra, if it is not installed.
    """
    candidates: tuple[Package, ...] = ("tensorrt", "tensorrt_rtx")
    if wanted != "auto":
        candidates = ("tensorrt_lean",) if wanted == "lean" else (wanted,)
    for package in candidates:
        if importlib.util.find_spec(package) is not None:
            return package
    if wanted == "lean":
        raise EngineError(f"this engine needs TensorRT's lean runtime: {install_command('tensorrt-lean')}")
    if wanted == "tensorrt_rtx":
        raise EngineError(f"this engine needs TensorRT-RTX: {install_command('tensorrt-rtx')}")
    raise EngineError(f"the engine 'tensorrt' needs TensorRT: {install_command('tensorrt')}")


def import_package(package: Package) -> Any:
    """The module of a package.

    Raises:
        EngineError: if its libraries do not load, a driver missing or too old, say.
    """
    try:
        return importlib.import_module(package)
    except (ImportError, OSError) as error:
        raise EngineError(f"{package} is installed but does not load: {error}") from error


def check_gpu(gpu: NvidiaGpu, module: Any) -> None:
    """Refuse a GPU that `tensorrt` or `tensorrt_rtx` does not serve.

    Raises:
        EngineError: with what to use instead.
    """
    if gpu.capability < _OLDEST:
        raise EngineError(
            f"the {gpu.name} (compute capability {gpu.capability[0]}.{gpu.capability[1]}) is too old for "
            f"{module.__name__}, which needs {_OLDEST[0]}.{_OLDEST[1]}: use --engine torch"
        )
    if module.__name__ == "tensorrt_rtx" and gpu.architecture not in module.ComputeCapability.__members__:
        raise EngineError(
            f"TensorRT-RTX does not serve the {gpu.name} ({gpu.architecture}): {install_command('tensorrt')}"
        )


def logger(module: Any) -> Any:
    """A TensorRT logger that speaks through Python's logging."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (module.ILogger.INTERNAL_ERROR, module.ILogger.ERROR):
                self.errors.append(message)
            _log.debug("%s", message)

    return Logger()

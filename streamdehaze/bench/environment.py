"""Where a measurement was made: without it no number means anything."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from typing import Any

from streamdehaze.engine.processor import processor_name, usable_cores
from streamdehaze.extras import versions

_PACKAGES = (
    "streamdehaze", "torch", "openvino", "onnxruntime", "tensorrt", "tensorrt-rtx", "onnx", "numpy", "numba",
    "opencv-python-headless", "av",
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """Processor, cores, load, GPU, system and versions, as plain values."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "processor": processor_name(),
        "cores": usable_cores(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions(_PACKAGES),
    }


def _gpu() -> str | None:
    from streamdehaze.engine.tensorrt.runtime import find_gpu

    gpu = find_gpu()
    return None if gpu is None else f"{gpu.name} {gpu.architecture}"

"""The machine: Python, FFmpeg's encoders, processors, folders."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from streamdehaze.diagnosis.finding import Finding
from streamdehaze.extras import has_torch, pip_install

_ENCODERS = {
    "libx264": ("yuv420p", "H.264"),
    "libx265": ("yuv420p", "HEVC"),
    "libsvtav1": ("yuv420p", "AV1"),
    "libvpx-vp9": ("yuv420p", "VP9"),
    "prores_ks": ("yuv422p10le", "ProRes"),
    "ffv1": ("yuv420p", "FFV1, lossless"),
    "h264_nvenc": ("yuv420p", "H.264 on an NVIDIA GPU"),
    "hevc_nvenc": ("yuv420p", "HEVC on an NVIDIA GPU"),
    "av1_nvenc": ("yuv420p", "AV1 on an NVIDIA GPU"),
}
"""The encoders most used: a pixel format to try each with, and what it makes."""

_LOW_DISK_BYTES = 1 << 30


def python() -> Iterator[Finding]:
    """Which Python, on which system, and which version of this package."""
    running = f"{platform.python_version()} at {sys.executable}"
    yield Finding("python", "Python", "ok", running, core=True)
    yield Finding("python", "system", "ok", platform.platform())
    yield Finding("python", "streamdehaze", "ok", metadata.version("streamdehaze"))


def encoders() -> Iterator[Finding]:
    """FFmpeg's libraries, and whether its most used encoders open."""
    from streamdehaze.video.libraries import encoder_state, ffmpeg_libraries

    for name, version in ffmpeg_libraries().items():
        if name in ("libavcodec", "libavformat", "libswscale"):
            yield Finding("ffmpeg", name, "ok", version, core=True)
    for name, (pixel_format, makes) in _ENCODERS.items():
        state = encoder_state(name, pixel_format)
        if state == "ok":
            yield Finding("encoders", name, "ok", makes)
        elif state == "missing":
            fix = pip_install("--force-reinstall", "--only-binary", "av", "av")
            yield Finding("encoders", name, "missing", f"{makes}: this FFmpeg was built without it", fix)
        else:
            why = "no NVIDIA GPU with this encoder, or no driver" if name.endswith("nvenc") else "it cannot be opened"
            yield Finding("encoders", name, "missing", f"{makes}: {why}")


def processors() -> Iterator[Finding]:
    """The CPU, and NVIDIA's GPUs with what their driver and PyTorch say."""
    from streamdehaze.engine.processor import processor_name, usable_cores  # fails where OpenCV is broken

    threads, gpu = f"{usable_cores()} threads usable", nvidia_gpu()
    if not has_torch():
        yield Finding("cpu", processor_name(), "ok", threads)
        if gpu is not None:
            yield Finding("gpu", gpu.name, "ok", f"driver {gpu.driver}; PyTorch is not installed")
    else:
        import torch

        yield Finding("cpu", processor_name(), "ok", f"{threads}, vectors: {torch.backends.cpu.get_cpu_capability()}")
        for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
            facts = torch.cuda.get_device_properties(index)
            detail = f"compute capability {facts.major}.{facts.minor}, {facts.total_memory / 2**30:.0f} GiB"
            detail += f", CUDA {torch.version.cuda}" + (f", driver {gpu.driver}" if gpu else "")
            detail += "; frames are shrunk and changed on it where PyTorch or TensorRT serves"
            yield Finding("gpu", facts.name, "ok", detail)
        if gpu is not None and not torch.cuda.is_available():
            detail = f"driver {gpu.driver} is there, but PyTorch {torch.__version__} does not use it"
            yield Finding(
                "gpu", gpu.name, "broken", detail, "install a CUDA build of PyTorch that this driver supports"
            )
    if gpu is None:
        yield Finding("gpu", "NVIDIA", "missing", "no NVIDIA GPU or driver; the CPU does the work")


def folders() -> Iterator[Finding]:
    """Whether there is room where files are written."""
    from streamdehaze.engine.build.cache import EngineCache

    for name, folder, core in (
        ("engine cache", EngineCache().folder, False),
        ("temporary files", Path(tempfile.gettempdir()), False),
        ("this folder", Path.cwd(), False),
    ):
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        detail = f"{folder}, {free / 2**30:.1f} GiB free"
        if not os.access(existing, os.W_OK | os.X_OK):
            yield Finding("folders", name, "broken", f"{detail}, not writable", f"chmod u+rwx '{existing}'", core)
        elif free < _LOW_DISK_BYTES:
            yield Finding("folders", name, "broken", f"{detail}: nearly full", "make room on that disk", core)
        else:
            yield Finding("folders", name, "ok", detail, core=core)


class NvidiaGpu(NamedTuple):
    """The first GPU of NVIDIA's and its driver's version."""

    name: str
    driver: str


@functools.cache
def nvidia_gpu() -> NvidiaGpu | None:
    """What NVIDIA's own tool tells, where it is there and works."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    name, comma, driver = answer.stdout.partition("\n")[0].rpartition(",")
    return NvidiaGpu(name.strip(), driver.strip()) if comma else None

"""What this installation has, what it lacks, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from streamdehaze.telemetry import import_quietly

State = Literal["ok", "missing", "broken"]

_CORE = {
    "numpy": "numpy",
    "av": "av",
    "cv2": "opencv-python-headless",
    "torch": "torch",
    "numba": "numba",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "pydantic": "pydantic",
    "filelock": "filelock",
    "click": "click",
    "rich": "rich",
}
"""Packages every job needs: module and distribution."""

_OPTIONAL = {
    "openvino": ("engines", "'streamdehaze[openvino]'", ("openvino",), "the fastest engine on a CPU"),
    "tensorrt": (
        "engines", "'streamdehaze[tensorrt]'", ("tensorrt", "tensorrt_cu13", "tensorrt_cu12"),
        "the fastest engine on an NVIDIA GPU",
    ),
    "tensorrt_rtx": ("engines", "'streamdehaze[tensorrt-rtx]'", ("tensorrt_rtx",), "TensorRT for RTX cards"),
    "onnx": ("extras", "'streamdehaze[onnx]'", ("onnx",), "exporting the network"),
    "onnxruntime": ("extras", "onnxruntime", ("onnxruntime", "onnxruntime-gpu"), "checking an exported network"),
    "lightning": ("extras", "'streamdehaze[train]'", ("lightning",), "training"),
    "torchmetrics": ("extras", "'streamdehaze[train]'", ("torchmetrics",), "evaluation"),
}  # fmt: skip
"""Optional modules: section, what pip installs for each, its distributions, and what it is for."""

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
"""FFmpeg's encoders worth knowing of: a pixel format to try each with, and what it makes."""

_LOW_DISK_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    section: str
    name: str
    state: State
    """"missing" is something optional that is not there; "broken" something that should work and does not."""
    detail: str
    fix: str | None = None
    """The command, or else the sentence, that mends it."""
    core: bool = False
    """Whether nothing works without it."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def diagnose() -> list[Finding]:
    """Look at everything; takes some seconds, changes nothing, raises nothing."""
    sections: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python, _packages, _ffmpeg, _engines, _processors, _checkpoints, _folders, _trial,
    )  # fmt: skip
    findings: list[Finding] = []
    for section in sections:
        try:
            findings.extend(section())
        except Exception as error:  # a half-installed package can raise anything; the doctor has to go on
            name = section.__name__.strip("_")
            findings.append(Finding(name, name, "broken", _one_line(error), "see the lines above", core=True))
    return findings


def is_healthy(findings: list[Finding]) -> bool:
    """Whether files can be dehazed here, whatever optional things are missing."""
    return not any(finding.core and finding.state != "ok" for finding in findings)


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    recent = sys.version_info >= (3, 10)
    yield Finding(
        "python", "Python", "ok" if recent else "broken", f"{version} at {sys.executable}",
        None if recent else "install Python 3.10 or later", core=True,
    )  # fmt: skip
    yield Finding("python", "system", "ok", platform.platform())
    yield Finding("python", "streamdehaze", "ok", _version("streamdehaze") or "not installed as a package")


def _packages() -> Iterator[Finding]:
    for module, distribution in _CORE.items():
        fix = f"pip install --force-reinstall {distribution}"
        yield _imported("packages", module, (distribution,), fix, core=True)


def _ffmpeg() -> Iterator[Finding]:
    from streamdehaze.video.libraries import encoder_state, ffmpeg_libraries

    for name, version in ffmpeg_libraries().items():
        if name in ("libavcodec", "libavformat", "libswscale"):
            yield Finding("ffmpeg", name, "ok", version, core=True)
    for name, (pixel_format, makes) in _ENCODERS.items():
        state = encoder_state(name, pixel_format)
        if state == "ok":
            yield Finding("encoders", name, "ok", makes)
        elif state == "missing":
            fix = "pip install --force-reinstall --only-binary av av"
            yield Finding("encoders", name, "missing", f"{makes}: this FFmpeg was built without it", fix)
        else:
            why = "no NVIDIA GPU with this encoder, or no driver" if name.endswith("nvenc") else "it cannot be opened"
            yield Finding("encoders", name, "missing", f"{makes}: {why}")


def _engines() -> Iterator[Finding]:
    yield Finding("engines", "torch", "ok", f"{_version('torch')}, always there", core=True)
    for module, (section, wanted, distributions, purpose) in _OPTIONAL.items():
        yield _imported(section, module, distributions, f"pip install {wanted}", purpose=purpose)


def _processors() -> Iterator[Finding]:
    import torch

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    capability = torch.backends.cpu.get_cpu_capability()
    yield Finding("cpu", _cpu_name(), "ok", f"{usable} threads usable, vectors: {capability}")
    driver = _nvidia_driver()
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            detail = f"compute capability {facts.major}.{facts.minor}, {facts.total_memory / 2**30:.0f} GiB"
            detail += f", CUDA {torch.version.cuda}" + (f", driver {driver}" if driver else "")
            yield Finding("gpu", facts.name, "ok", detail)
    elif driver:
        fix = "install a CUDA build of PyTorch that this driver supports"
        yield Finding(
            "gpu", "NVIDIA", "broken", f"driver {driver} is there, but PyTorch {torch.__version__} does not use it", fix
        )
    else:
        yield Finding("gpu", "NVIDIA", "missing", "no NVIDIA GPU or driver; the CPU does the work")


def _checkpoints() -> Iterator[Finding]:
    from streamdehaze.errors import StreamDehazeError
    from streamdehaze.network import DEFAULT_CHECKPOINT, list_checkpoints, load_network

    fix = "pip install --force-reinstall streamdehaze"
    names = list_checkpoints()
    if DEFAULT_CHECKPOINT not in names:
        yield Finding("checkpoints", DEFAULT_CHECKPOINT, "broken", "it is not in the package", fix, core=True)
    for name in names:
        try:
            parameters = sum(parameter.numel() for parameter in load_network(name).parameters())
        except (StreamDehazeError, OSError, RuntimeError) as error:
            yield Finding("checkpoints", name, "broken", _one_line(error), fix, core=True)
        else:
            yield Finding("checkpoints", name, "ok", f"loads; {parameters / 1e6:.2f} million parameters", core=True)


def _folders() -> Iterator[Finding]:
    from streamdehaze.engine.cache import EngineCache

    for name, folder, core in (
        ("engine cache", EngineCache().folder, False),
        ("temporary files", Path(tempfile.gettempdir()), False),
        ("this folder", Path.cwd(), False),
    ):
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        detail = f"{folder}, {free / 2**30:.1f} GiB free"
        if not os.access(existing, os.W_OK | os.X_OK):
            yield Finding(
                "folders", name, "broken", f"{detail}, may not be written to", f"chmod u+rwx '{existing}'", core
            )
        elif free < _LOW_DISK_BYTES:
            yield Finding("folders", name, "broken", f"{detail}: nearly full", "make room on that disk", core)
        else:
            yield Finding("folders", name, "ok", detail, core=core)


def _trial() -> Iterator[Finding]:
    """Dehaze one small picture, as `run` would."""
    import numpy as np

    from streamdehaze.dehaze import Dehazer

    hazy = np.linspace(110, 220, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint8)
    with Dehazer(engine="torch", network_size=64) as dehazer:
        clear = dehazer(hazy)
    works = clear.shape == hazy.shape and not np.array_equal(clear, hazy)
    fix = None if works else "pip install --force-reinstall streamdehaze"
    detail = f"a small picture was made clear with {dehazer.engine.name}" if works else "the picture came out wrong"
    yield Finding("trial", "dehazing", "ok" if works else "broken", detail, fix, core=True)


def _imported(
    section: str, module: str, distributions: tuple[str, ...], fix: str, *, purpose: str = "", core: bool = False
) -> Finding:
    """A package that is there and imports, or is not, or does not."""
    version = next((found for name in distributions if (found := _version(name))), None)
    about = f"; {purpose}" if purpose else ""
    try:
        imported = import_quietly(module)
    except ModuleNotFoundError as error:
        if error.name == module and version is None:
            state: State = "broken" if core else "missing"
            return Finding(section, module, state, f"not installed{about}", fix, core)
        return Finding(section, module, "broken", _one_line(error), fix, core)
    except Exception as error:  # a shared library that is missing, a version that does not fit: anything at all
        return Finding(section, module, "broken", _one_line(error), fix, core)
    return Finding(
        section, module, "ok", f"{version or getattr(imported, '__version__', 'installed')}{about}", core=core
    )


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _nvidia_driver() -> str | None:
    """The driver's version, where NVIDIA's own tool is there to tell."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split("\n", 1)[0].strip() or None

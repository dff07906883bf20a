"""Optional packages: what each extra is for, and the command that installs it into this very environment."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streamdehaze.errors import MissingPackageError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PURPOSES = {
    "openvino": "the fastest engine on a CPU",
    "onnxruntime": "an engine for CPUs, and for GPUs of other makes",
    "tensorrt": "the fastest engine on an NVIDIA GPU",
    "tensorrt-lean": "running TensorRT engines that were built elsewhere",
    "tensorrt-rtx": "the fastest engine on an NVIDIA RTX card, small and quick to build",
    "live": "the web page and the metrics of live cameras",
    "webrtc": "the web page as H.264, a third of the bytes",
    "mqtt": "cameras on an MQTT broker, as Home Assistant discovers them",
    "onvif": "finding cameras in the network, and their streams",
    "ray": "long files on the machines of a Ray cluster",
    "cloud": "inputs and outputs in S3 and Google Cloud Storage",
    "heif": "HEIC photos, as iPhones take them",
    "vapoursynth": "a filter for VapourSynth scripts",
    "virtual-camera": "the clear picture as a camera of this computer, for OBS and meetings",
    "plot": "plots of measurements and of flicker",
    "train": "training and evaluating checkpoints",
    "ocr": "reading text before and after in evaluations",
    "detect": "scoring your own detector in evaluations",
    "onnx": "exporting the network",
    "int8": "quantising checkpoints for CPUs",
}
"""What a user gains by each extra."""


@contextmanager
def needed_for(what: str, extra: str) -> Iterator[None]:
    """Around late imports: a missing package becomes one sentence, with the command that installs it.

    Args:
        what: needs the package: "--serve", "training".
        extra: brings it.

    Raises:
        MissingPackageError: if an import inside fails for want of a package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "streamdehaze"):  # a fault of ours, which no installation cures
            raise
        if python := newer_python(extra).get(package):
            raise MissingPackageError(f"{what} needs {package}, and that Python {python} or newer") from error
        raise MissingPackageError(f"{what} needs {package}: {install_command(extra)}") from error


def require_torch(what: str) -> None:
    """Check that PyTorch is installed, which light installations do without.

    Raises:
        MissingPackageError: with the command that installs it.
    """
    if not has_torch():
        raise MissingPackageError(f"{what} needs PyTorch, which is not installed: {torch_command()}")


def torch_command() -> str:
    """The command that installs PyTorch: without CUDA, 5 GB on disk, where no NVIDIA GPU is found."""
    small = sys.platform == "linux" and shutil.which("nvidia-smi") is None
    return pip_install("torch", *(("--index-url", "https://download.pytorch.org/whl/cpu") if small else ()))


def has_torch() -> bool:
    """Whether PyTorch is installed, without the second that importing it takes."""
    return importlib.util.find_spec("torch") is not None


def require(module: str, what: str, extra: str) -> None:
    """Check that a module can be imported, without the time that takes.

    Raises:
        MissingPackageError: if it cannot.
    """
    with needed_for(what, extra):
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(name=module)


def install_command(extra: str) -> str:
    """The command that adds an extra to this installation, whether a checkout or from an index."""
    arguments, place, direct = _origin()
    if direct and direct.startswith("file:"):  # a wheel, or a folder that is gone, as in an image
        return pip_install(*(str(each) for each in requirements(extra)))
    wanted = f"{place}[{extra}] @ {direct}" if direct else f"{place}[{extra}]"
    return pip_install(*arguments, wanted)


def requirements(extra: str = "") -> list[Requirement]:
    """What the package itself needs on this system, or what an extra adds; extras inside an extra are followed."""
    from packaging.requirements import Requirement  # late: 10 ms at each start
    from packaging.utils import canonicalize_name

    found: list[Requirement] = []
    for line in metadata.requires("streamdehaze") or []:
        each = Requirement(line)
        of_extra = each.marker is not None and "extra ==" in str(each.marker)
        if of_extra != bool(extra) or (each.marker is not None and not each.marker.evaluate({"extra": extra})):
            continue
        if canonicalize_name(each.name) == "streamdehaze":
            found += (inner for name in sorted(each.extras) for inner in requirements(name))
        else:
            each.marker = None
            found.append(each)
    return found


def newer_python(extra: str) -> dict[str, str]:
    """Packages of an extra that the running Python is too old for, and the oldest that will do."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    for each in map(Requirement, metadata.requires("streamdehaze") or []):
        conditions = str(each.marker or "")
        oldest = re.search(r'python_version >= "([\d.]+)"', conditions)
        if (
            each.marker
            and oldest
            and f'extra == "{extra}"' in conditions
            and not each.marker.evaluate({"extra": extra})
        ):
            found[each.name] = oldest[1]
    return found


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those that are installed; "python" is Python's own."""
    found = {package: _version(package) for package in packages}
    return {package: version for package, version in found.items() if version is not None}


@functools.cache
def _version(package: str) -> str | None:
    """Read once: it takes milliseconds."""
    with suppress(metadata.PackageNotFoundError, OSError):
        return platform.python_version() if package == "python" else metadata.version(package)
    return None


def reinstall_command() -> str:
    """The command that installs this package again, as it was installed."""
    arguments, place, direct = _origin()
    return pip_install("--force-reinstall", "--no-deps", *arguments, f"{place} @ {direct}" if direct else place)


def pip_install(*arguments: str) -> str:
    """A command that installs into the environment of the running Python, to be typed in the current folder."""
    python = _shown(Path(sys.executable))
    if importlib.util.find_spec("pip") is None:  # as in environments that uv made
        command = ["uv", "pip", "install", "--python", python]
    elif (found := shutil.which("pip")) and Path(found).parent == Path(sys.executable).parent:
        command = ["pip", "install"]
    else:
        command = [python, "-m", "pip", "install"]
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    return join([*command, *arguments])


def _origin() -> tuple[tuple[str, ...], str, str | None]:
    """Further arguments for pip, what to install, and its address, if it is installed by one (PEP 610)."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "setup.cfg").is_file():
        return ("--editable",), _shown(checkout), None
    try:
        direct = json.loads(metadata.distribution("streamdehaze").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        direct = {}
    url = str(direct.get("url", ""))
    if url.startswith("file:"):
        from urllib.request import url2pathname  # late: with it come HTTP and TLS, 30 ms at each start

        folder = Path(url2pathname(urlsplit(url).path))
        if (folder / "setup.cfg").is_file():
            return (), _shown(folder), None
    if "vcs_info" in direct:
        return (), "streamdehaze", f"{direct['vcs_info']['vcs']}+{url}"
    return (), "streamdehaze", url or None


def _shown(path: Path) -> str:
    """A path as one would type it here: relative, if it lies below the current folder."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)

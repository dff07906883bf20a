"""The packages that are required, and the extras, as the installed metadata lists them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streamdehaze.diagnosis.finding import Finding, one_line
from streamdehaze.diagnosis.machine import nvidia_gpu
from streamdehaze.extras import PURPOSES, install_command, newer_python, pip_install, requirements, versions
from streamdehaze.process import python_command

_ENGINES = ("openvino", "onnxruntime", "tensorrt", "tensorrt-lean", "tensorrt-rtx")
"""Extras that bring an engine."""
_FOR_DEVELOPERS = ("dev", "docs")
_MODULES = {
    "tensorrt-lean-cu13": "tensorrt_lean",
    "opencv-python-headless": "cv2",
    "onvif-zeep-async": "onvif",
    "paho-mqtt": "paho",
    "pillow": "PIL",
}
"""Modules that are not named after their distribution."""


def packages() -> Iterator[Finding]:
    """Whether each package is there, new enough, and can be imported."""
    required, extras = requirements(), {extra: requirements(extra) for extra in user_extras()}
    everything = {*required, *(each for group in extras.values() for each in group)}
    failures = _import_failures({module_of(each) for each in everything if _is_there(each)})
    faults = {each: fault for each in everything if (fault := _fault(each, failures))}
    compiled = any(name in extras and not faults.keys() & {*extras[name]} for name in _ENGINES)
    for each in required:
        torch = each.name == "torch"
        section, core = ("engines", not compiled) if torch else ("packages", True)  # a compiled engine does without it
        if fault := faults.get(each):
            again = ("--force-reinstall",) if _is_there(each) else ()
            fix = pip_install(*again, f"{each.name}{each.specifier}")
            yield Finding(section, each.name, "broken" if core else "missing", fault, fix, core)
        else:
            yield Finding(section, each.name, "ok", _version(each) or "installed", core=core)
    for extra, group in extras.items():
        yield _extra(extra, group, faults)


def _extra(extra: str, group: list[Requirement], faults: dict[Requirement, str]) -> Finding:
    section, purpose = "engines" if extra in _ENGINES else "extras", PURPOSES.get(extra, "an extra")
    faulty = [each for each in group if each in faults]
    if newer := newer_python(extra):
        needs = ", ".join(f"{name} needs Python {python} or newer" for name, python in newer.items())
        return Finding(section, extra, "missing", f"{purpose}: {needs}")
    if not faulty:
        versions = ", ".join(f"{each.name} {_version(each) or ''}".strip() for each in group)
        return Finding(section, extra, "ok", f"{purpose}: {versions}")
    if broken := [f"{each.name}: {faults[each]}" for each in faulty if _is_there(each)]:
        return Finding(section, extra, "broken", "; ".join(broken), install_command(extra))
    gpu = nvidia_gpu()
    if extra.startswith("tensorrt") and gpu is None:
        return Finding(section, extra, "missing", f"{purpose}: no NVIDIA GPU here")
    best = "openvino" if gpu is None else "tensorrt-rtx" if "RTX" in gpu.name else "tensorrt"
    detail = f"{purpose}: {', '.join(each.name for each in faulty)} not installed"
    return Finding(section, extra, "missing", detail, install_command(extra), useful=extra == best)


def user_extras() -> list[str]:
    """The extras a user may want."""
    provided = metadata.metadata("streamdehaze").get_all("Provides-Extra") or []
    ordered = (*PURPOSES, *sorted({*provided} - {*PURPOSES}))
    return [extra for extra in ordered if extra in provided and extra not in _FOR_DEVELOPERS]


def module_of(requirement: Requirement) -> str:
    """The module to import."""
    return _MODULES.get(canonicalize_name(requirement.name), requirement.name.replace("-", "_"))


def _version(requirement: Requirement) -> str | None:
    return versions([requirement.name]).get(requirement.name)


def _is_there(requirement: Requirement) -> bool:
    """Whether it is installed, if only under another name, as onnxruntime-gpu for onnxruntime."""
    return _version(requirement) is not None or importlib.util.find_spec(module_of(requirement)) is not None


def _fault(requirement: Requirement, failures: dict[str, str]) -> str | None:
    """What is wrong with a package, if anything."""
    if not _is_there(requirement):
        return "not installed"
    version = _version(requirement)
    if version and not requirement.specifier.contains(version, prereleases=True):
        return f"version {version} is here, {requirement.specifier} is needed"
    return failures.get(module_of(requirement))


def _import_failures(modules: Iterable[str]) -> dict[str, str]:
    """Why modules do not import; tried in a child process, which a runtime without its driver may end."""
    waiting, failures = sorted(modules), dict[str, str]()
    command = python_command(f"from {__name__} import import_each; import_each()")
    while waiting:
        child = subprocess.run([*command, *waiting], capture_output=True, text=True)
        answers = [json.loads(line) for line in child.stdout.splitlines() if line.startswith('["')]
        failures.update((module, failure) for module, failure in answers if failure)
        waiting = waiting[len(answers) :]
        if waiting:
            failures[waiting.pop(0)] = f"importing it ends the process (status {child.returncode})"
    return failures


def import_each() -> None:
    """In the child process: import the modules that the command line names, and print how each went."""
    from streamdehaze.telemetry import import_quietly

    for module in sys.argv[1:]:
        failure = None
        try:
            import_quietly(module)
        except Exception as error:  # a shared library that is missing, a version that does not fit: anything at all
            failure = one_line(error)
        print(json.dumps([module, failure]), flush=True)

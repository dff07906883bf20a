"""Importing packages that report their use, without the reports.

`import openvino` forks the process from a thread, writes an identity into the user's home and sends an event to a web
analytics service (2026.4); so does NNCF's. Both do without where the package `openvino_telemetry` is not installed.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_REPORTER = "openvino_telemetry"
_CONVERTER = "openvino.tools.ovc"
"""Makes models of other frameworks' files; nothing here does, and it takes longer to import than the rest."""


def import_quietly(name: str) -> Any:
    """The module of a name; if it is OpenVINO's or NNCF's, it reports nothing.

    Every import of `openvino` and `nncf` in this project goes through here.

    Raises:
        ImportError: as the import statement does.
    """
    hide_reporter()
    if "openvino" in sys.modules or name.partition(".")[0] != "openvino":
        return importlib.import_module(name)
    sys.modules[_CONVERTER] = None  # type: ignore[assignment] # see `hide_reporter`
    try:
        found = importlib.import_module(name)
    finally:
        del sys.modules[_CONVERTER]
    vars(sys.modules["openvino"])["__getattr__"] = _late  # another part of the program may want the converter
    return found


def _late(name: str) -> Any:
    if name == "convert_model":
        return importlib.import_module(_CONVERTER).convert_model
    raise AttributeError(f"module 'openvino' has no attribute '{name}'")


def hide_reporter() -> None:
    """Make `openvino_telemetry` look absent, so that OpenVINO and NNCF take their own stub in its place."""
    sys.modules[_REPORTER] = None  # type: ignore[assignment] # None: the import fails, as of a missing package

"""Pictures and video that are too large for the repository, or not ours; tests that need them are skipped without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOLDER = Path(os.environ.get("STREAMDEHAZE_SHARED", Path(__file__).parents[2] / "shared"))


def shared(path: str) -> Path:
    """A file or folder of the shared data; without it the calling test is skipped with a message."""
    found = _FOLDER / path
    if not found.exists():
        pytest.skip(f"needs {path} of the shared data (set STREAMDEHAZE_SHARED to its folder)")
    return found

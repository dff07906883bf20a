"""FFmpeg's own programs, which make inputs for tests and read outputs as other software does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1")
SOUND = ("-f", "lavfi", "-i", "sine=d=1:r=48000")
H264 = ("-c:v", "libx264", "-preset", "ultrafast")


def ffmpeg(*arguments: str | Path) -> Path:
    """Run FFmpeg; the last argument is the file it makes, which is returned."""
    _run("ffmpeg", "-v", "error", "-nostdin", "-y", *arguments)
    return Path(arguments[-1])


def ffprobe(path: Path | str, *arguments: str) -> Any:
    """What ffprobe reports about a file or an address with these options, from JSON."""
    return json.loads(_run("ffprobe", "-v", "error", *arguments, "-of", "json", path))


def streams(path: Path) -> list[dict[str, Any]]:
    """The streams of a file with their packets counted, as ffprobe reads them."""
    found: list[dict[str, Any]] = ffprobe(path, "-count_packets", "-show_streams")["streams"]
    return found


def _run(*command: str | Path) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""Image sequences: one video whose frames are numbered picture files, named as FFmpeg does ("%05d.png")."""

from __future__ import annotations

import os
import re
from pathlib import PurePath

_NUMBER = re.compile(r"%0?\d*d")


def is_sequence(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an image sequence; a file of just that name is not."""
    return bool(_NUMBER.search(PurePath(path).name)) and not os.path.exists(path)

"""Named arrays in one .npz file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def pack_arrays(**arrays: npt.ArrayLike) -> bytes:
    """The content of a file that `read_arrays` reads."""
    content = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez(content, **named)
    return content.getvalue()


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of a file by their names; nothing is unpickled.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged, or another kind of file.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:  # numpy alone may leave it open
            return {name: content[name] for name in content.files}
    except (OSError, ValueError):
        raise
    except Exception as error:  # those of numpy, zipfile and zlib share no base
        raise ValueError(f"'{path}' is damaged") from error

"""The bundled checkpoints, by name."""

from __future__ import annotations

import difflib
import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING

from streamdehaze.errors import CheckpointError
from streamdehaze.network.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from streamdehaze.network.aecrnet import AECRNet

DEFAULT_CHECKPOINT = "aecrnet-s"

_FOLDER = Path(__file__).parent / "weights"


def list_checkpoints(pattern: str = "*") -> list[str]:
    """Names of the bundled checkpoints that match a shell pattern, such as ``"aecrnet*"``."""
    return sorted(p.stem for p in _FOLDER.glob("*.safetensors") if fnmatch.fnmatch(p.stem, pattern))


def find_checkpoint(name: str | os.PathLike[str]) -> Path:
    """The file of a bundled checkpoint, or of one given by path.

    Raises:
        CheckpointError: if there is neither, with the nearest names.
    """
    bundled = _FOLDER / f"{os.fspath(name)}.safetensors"
    if os.fspath(name) in list_checkpoints():
        return bundled
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.suffix or os.sep in os.fspath(name):
        raise CheckpointError(f"there is no checkpoint file {path}")
    near = difflib.get_close_matches(os.fspath(name), list_checkpoints(), n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise CheckpointError(f"no checkpoint '{name}'; {hint}bundled are {', '.join(list_checkpoints())}")


def load_network(name: str | os.PathLike[str] = DEFAULT_CHECKPOINT) -> AECRNet:
    """The network of a bundled checkpoint or a checkpoint file, float32, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: if it cannot be found, read or does not fit.
    """
    return read_checkpoint(find_checkpoint(name)).network()

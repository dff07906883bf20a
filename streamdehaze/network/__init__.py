"""AECR-Net, its checkpoints, and the registry of bundled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamdehaze.network.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from streamdehaze.network.zoo import (
    DEFAULT_CHECKPOINT,
    find_checkpoint,
    list_checkpoints,
    load_network,
)

if TYPE_CHECKING:
    from streamdehaze.network.aecrnet import AECRNet

__all__ = [
    "DEFAULT_CHECKPOINT",
    "AECRNet",
    "Checkpoint",
    "find_checkpoint",
    "list_checkpoints",
    "load_network",
    "read_checkpoint",
    "write_checkpoint",
]


def __getattr__(name: str) -> Any:
    # torch takes over a second to import; names that need it are resolved on first use.
    if name == "AECRNet":
        from streamdehaze.network.aecrnet import AECRNet

        return AECRNet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

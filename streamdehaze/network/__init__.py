"""AECR-Net (in `aecrnet`, which imports torch), its checkpoints, and the registry of bundled ones."""

from streamdehaze.network.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from streamdehaze.network.zoo import (
    DEFAULT_CHECKPOINT,
    find_checkpoint,
    list_checkpoints,
    load_network,
)

__all__ = [
    "DEFAULT_CHECKPOINT",
    "Checkpoint",
    "find_checkpoint",
    "list_checkpoints",
    "load_network",
    "read_checkpoint",
    "write_checkpoint",
]

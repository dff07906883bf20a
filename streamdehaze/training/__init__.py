"""Training AECR-Net: clear pictures made hazy on the fly, data sets as people have them, losses, and the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamdehaze.training.config import TrainingConfig, read_config
from streamdehaze.training.layouts import Layout, Pair, Scene, find_layout, pair_folders

if TYPE_CHECKING:
    from streamdehaze.training.run import Trained, train

__all__ = [
    "Layout",
    "Pair",
    "Scene",
    "Trained",
    "TrainingConfig",
    "find_layout",
    "pair_folders",
    "read_config",
    "train",
]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import; reading a configuration or a layout does not need it.
    if name in ("Trained", "train"):
        from streamdehaze.training import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

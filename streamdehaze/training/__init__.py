"""Training AECR-Net: samples, losses, the loop and what it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamdehaze.training.config import TrainingConfig, read_config

if TYPE_CHECKING:
    from streamdehaze.training.run import Trained, train

__all__ = [
    "Trained",
    "TrainingConfig",
    "read_config",
    "train",
]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import; reading a configuration does not need it.
    if name in ("Trained", "train"):
        from streamdehaze.training import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

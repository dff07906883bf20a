"""A request for an engine: what is wanted, and all that the result depends on."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from streamdehaze.durable import file_sha256
from streamdehaze.engine.protocol import Backend
from streamdehaze.engine.recipe import Recipe, Shape
from streamdehaze.errors import ConfigError
from streamdehaze.network import find_checkpoint, list_checkpoints

DEFAULT_SHAPE = Shape(width=256, height=144, batch=2)
"""What engines that serve every size are verified on, and what a build without a size is for."""


@dataclass(frozen=True)
class BuildRequest:
    """An engine that is wanted: of which checkpoint, by which recipe, for which pictures."""

    checkpoint: str
    """Name of a bundled checkpoint or path of one."""
    recipe: Recipe
    shape: Shape = DEFAULT_SHAPE

    def identity(self, backend: Backend) -> dict[str, Any]:
        """All the engine depends on, as plain values."""
        return {
            "engine": self.recipe.engine,
            "checkpoint_sha256": file_sha256(find_checkpoint(self.checkpoint)),
            "streamdehaze": version("streamdehaze"),
            "graph": _graph_hash(),
            "floor_db": self.recipe.floor_db,
            **backend.identity(self.shape),
        }

    def __post_init__(self) -> None:
        # A path must mean the same to a process started elsewhere, and to `engine verify` tomorrow.
        if self.checkpoint not in list_checkpoints():
            object.__setattr__(self, "checkpoint", os.path.abspath(os.path.expanduser(self.checkpoint)))

    @property
    def stem(self) -> str:
        """Start of the engine's file name."""
        return f"{find_checkpoint(self.checkpoint).stem}-{self.recipe.engine}"


def _graph_hash() -> str:
    # In a checkout the network may change without the version: what the graph is drawn from counts too.
    package = Path(__file__).parents[2]
    files = [package / "network" / name for name in ("aecrnet.py", "deconvolution.py", "deformable.py")]
    files += [package / "engine" / "onnx" / name for name in ("export.py", "template.py")]
    files += [package / "engine" / "openvino" / "graph.py"]
    files += sorted((package / "engine" / "onnx" / "graphs").glob("*.onnx"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def choose_shape(recipe: Recipe, size: tuple[int, int] | None, batch: int | None) -> Shape:
    """The shape to build for: what is asked, else what the recipe says, else `DEFAULT_SHAPE`.

    Args:
        recipe: whose shape, if it has one, fills in what is not asked.
        size: (width, height) in pixels.
        batch: pictures a run.

    Raises:
        ConfigError: if a side is not a multiple of 4.
    """
    base = recipe.shape or DEFAULT_SHAPE
    width, height = size or (base.width, base.height)
    try:
        return Shape(width=width, height=height, batch=batch or base.batch)
    except ValidationError:
        raise ConfigError(
            f"an engine cannot be built for {width}×{height}, batch {batch or base.batch}: "
            "sides are multiples of 4 from 8, a batch has 1 to 256 pictures"
        ) from None

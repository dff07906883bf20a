"""PyTorch's answer kept with a checkpoint: what engines are verified against where PyTorch is not installed.

The answer to one drawn hazy picture lies next to the checkpoint, `NAME.answer.png` next to `NAME.safetensors`, and
holds the checkpoint's hash: no other checkpoint is measured by it. Its 8 bits hold 59 dB, far above any recipe's floor.
`streamdehaze engine answer` writes it; those of the bundled checkpoints are in the package.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, PngImagePlugin

from streamdehaze.durable import file_sha256, write_output
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.frame import FloatArray
from streamdehaze.network import find_checkpoint, load_network

if TYPE_CHECKING:
    from torch import nn

SHAPE = (1, 144, 256)
"""(pictures, height, width) that was answered: the default network size for 16:9."""

_HASH = "checkpoint_sha256"


def kept_answer(checkpoint: str | os.PathLike[str]) -> FloatArray | None:
    """PyTorch's answer to `hazy_pictures(*SHAPE)`, (1, 3, H, W) RGB in [0, 1], if it is kept with this very checkpoint.

    Raises:
        CheckpointError: if the checkpoint cannot be found.
    """
    path = find_checkpoint(checkpoint)
    try:
        with Image.open(_file(path)) as picture:
            if picture.info.get(_HASH) != file_sha256(path) or picture.size != SHAPE[:0:-1]:
                return None
            pixels = np.asarray(picture.convert("RGB"), np.float32)
    except OSError:  # none there, or not a whole picture
        return None
    answer: FloatArray = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]) / np.float32(255)
    return answer


def write_answer(checkpoint: str | os.PathLike[str], network: nn.Module | None = None) -> Path:
    """Keep PyTorch's answer next to a checkpoint; returns its file.

    Args:
        checkpoint: name of a bundled checkpoint or path of one.
        network: that answers, where the checkpoint is its graph.

    Raises:
        CheckpointError: if the checkpoint cannot be loaded.
        MissingPackageError: without PyTorch.
        SinkError: if the file cannot be written.
    """
    from streamdehaze.engine.torch import TorchEngine

    path = find_checkpoint(checkpoint)
    clear = TorchEngine(network or load_network(checkpoint), "cpu", precision="float32").infer(hazy_pictures(*SHAPE))[0]
    facts = PngImagePlugin.PngInfo()
    facts.add_text(_HASH, file_sha256(path))
    content = io.BytesIO()
    Image.fromarray(np.rint(clear.transpose(1, 2, 0) * 255).astype(np.uint8)).save(
        content, "PNG", optimize=True, pnginfo=facts
    )
    write_output(_file(path), content.getvalue())
    return _file(path)


def _file(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".answer.png")

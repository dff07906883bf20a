"""Small data sets and configurations for the tests of training and evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.training.config import TrainingConfig


def picture(seed: int, height: int = 48, width: int = 64) -> npt.NDArray[np.uint8]:
    """A clear picture of smooth colours with sharp-edged blocks."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (4, 5, 3)).astype(np.float32)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        y, x = rng.integers(height - 8), rng.integers(width - 8)
        pixels[y : y + 8, x : x + 8] = rng.uniform(0, 255, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def depth(seed: int, height: int = 48, width: int = 64) -> npt.NDArray[np.uint8]:
    """A depth map that grows from the bottom to the top, with a near block."""
    pixels = np.linspace(200, 40, height)[:, None].repeat(width, 1)
    pixels[height // 2 :, : width // 3] = 20 + seed % 10
    return pixels.astype(np.uint8)


def write_picture(path: Path, pixels: npt.NDArray[Any]) -> Path:
    """Write RGB or grey pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


def make_scenes(folder: Path, count: int = 4) -> Path:
    """A folder of pictures with depth."""
    for i in range(count):
        write_picture(folder / f"{i}.png", picture(i))
        write_picture(folder / f"{i}.depth.png", depth(i))
    return folder


def make_pairs(folder: Path, count: int = 3, airlight: int = 220) -> Path:
    """A folder of hazy and clear pairs as RESIDE names them."""
    for i in range(count):
        clear = picture(100 + i)
        t = np.exp(-1.2 * depth(i)[..., None] / 212.5)
        write_picture(folder / "clear" / f"{i}.png", clear)
        write_picture(folder / "hazy" / f"{i}_1_0.9.png", (clear * t + airlight * (1 - t)).astype(np.uint8))
    return folder


def make_vgg19(folder: Path) -> Path:
    """A file of VGG19's first thirteen convolutions under torchvision's names, with weights from a seed."""
    import torch
    from safetensors.torch import save_file
    from torchvision.models import vgg19

    with torch.device("meta"):  # the layers that are not kept have ten times as many weights
        features = vgg19(weights=None, init_weights=False).features[:29]
    features.to_empty(device="cpu")
    torch.manual_seed(0)
    for name, weights in features.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.kaiming_normal_(weights, mode="fan_out", nonlinearity="relu")
        else:
            torch.nn.init.zeros_(weights)
    path = folder / "vgg19.safetensors"
    save_file(features.state_dict(), path)
    return path


def configuration(output: Path, scenes: Path, **changes: Any) -> TrainingConfig:
    """A run of eight tiny steps, saved every two."""
    content: dict[str, Any] = {
        "name": "run",
        "output": output / "runs",
        "seed": 3,
        "data": [{"folder": scenes}],
        "stages": [{"size": [32, 32], "batch": 2, "steps": 4}, {"size": [32, 48], "batch": 2, "steps": 4}],
        "network": {"width": 4},
        "optimizer": {"rate": 1e-3, "average": 0.9},
        "machine": {"accelerator": "cpu", "threads": 1},
        "save_every_steps": 2,
    }
    return TrainingConfig.model_validate({**content, **changes})

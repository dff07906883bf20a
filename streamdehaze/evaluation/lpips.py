"""Learned perceptual distance (Zhang et al., CVPR 2018), where AlexNet's weights are on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

_ALEXNET = "alexnet-owt-7be5be79.pth"


def find_lpips() -> Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], float] | None:
    """A function of two (H, W, 3) pictures, or None where torch.hub's folder does not hold torchvision's AlexNet."""
    if not (Path(torch.hub.get_dir()) / "checkpoints" / _ALEXNET).is_file():
        return None
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    metric = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)

    def distance(picture: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> float:
        tensors = (torch.from_numpy(p.transpose(2, 0, 1).copy()).float().div(255)[None] for p in (picture, truth))
        with torch.inference_mode():
            return float(metric(*tensors))

    return distance

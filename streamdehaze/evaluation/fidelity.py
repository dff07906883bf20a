"""How close a picture is to the truth: PSNR and SSIM."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

IDENTICAL_PSNR = 100.0
"""PSNR in dB that stands for no difference at all, so that a mean over pictures stays finite."""
_REACH = 5
"""Pixels that the window of SSIM reaches to each side."""


def psnr(picture: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of (H, W, 3) pictures."""
    if np.array_equal(picture, truth):
        return IDENTICAL_PSNR
    return float(peak_signal_noise_ratio(_tensor(picture), _tensor(truth), data_range=255.0))


def ssim(picture: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> float:
    """Structural similarity (Wang et al., TIP 2004) of (H, W, 3) pictures, at least 11 pixels a side.

    The original's Gaussian window of deviation 1.5; the mean over channels and all pixels whose window lies inside.
    """
    _, everywhere = structural_similarity_index_measure(
        _tensor(picture), _tensor(truth), gaussian_kernel=True, sigma=1.5, data_range=255.0, return_full_image=True
    )
    # torchmetrics pads by reflection and counts what lies there; the original does not.
    return float(everywhere[..., _REACH:-_REACH, _REACH:-_REACH].mean())


def _tensor(picture: npt.NDArray[np.uint8]) -> Tensor:
    # Double precision would move SSIM by 5e-5 at most, in flat regions, and take twenty times as long.
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float().unsqueeze(0)

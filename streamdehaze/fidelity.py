"""How close a picture is to the truth: PSNR and SSIM."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IDENTICAL_PSNR = 100.0
"""PSNR in dB that stands for no difference at all, so that a mean over pictures stays finite."""
_REACH = 5
"""Pixels that the window of SSIM reaches to each side."""


def psnr(picture: npt.NDArray[Any], truth: npt.NDArray[Any], peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB of pictures of one shape; `IDENTICAL_PSNR` if they are equal.

    Args:
        picture, truth: of any numbers; their difference is taken in float32.
        peak: the value of white.
    """
    error = np.subtract(picture, truth, dtype=np.float32)
    square = float(np.mean(error * error, dtype=np.float64))
    return min(IDENTICAL_PSNR, 10 * float(np.log10(peak**2 / square))) if square > 0 else IDENTICAL_PSNR


def ssim(picture: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> float:
    """Structural similarity (Wang et al., TIP 2004) of (H, W, 3) pictures, at least 11 pixels a side.

    The original's Gaussian window of deviation 1.5; the mean over channels and all pixels whose window lies inside.
    """
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    # Double precision would move SSIM by 5e-5 at most, in flat regions, and take twenty times as long.
    one, other = (torch.from_numpy(p.transpose(2, 0, 1).copy()).float().unsqueeze(0) for p in (picture, truth))
    _, everywhere = structural_similarity_index_measure(
        one, other, gaussian_kernel=True, sigma=1.5, data_range=255.0, return_full_image=True
    )
    # torchmetrics pads by reflection and counts what lies there; the original does not.
    return float(everywhere[..., _REACH:-_REACH, _REACH:-_REACH].mean())

"""Network deconvolution (Ye et al., ICLR 2020): a convolution that whitens its input patches first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def inverse_square_root(matrix: Tensor, iterations: int) -> Tensor:
    """``matrix ** -1/2`` of a symmetric positive definite (n, n) matrix by coupled Newton–Schulz iterations."""
    identity = torch.eye(matrix.shape[0], dtype=matrix.dtype, device=matrix.device)
    norm = torch.linalg.matrix_norm(matrix)
    y, z = matrix / norm, identity
    for _ in range(iterations):
        t = 0.5 * (3.0 * identity - z @ y)
        y, z = y @ t, t @ z
    root: Tensor = z / norm.sqrt()
    return root


class NetworkDeconvolution(nn.Module):
    """3×3 convolution from 3 to 3 channels on patches with their mean removed and their covariance undone.

    In training the statistics are the batch's, taken over every third patch, and enter the running ones with
    `momentum`; in evaluation the running ones make it a fixed affine convolution, which `folded` returns.

    Set `frozen` to train with the running statistics, as in evaluation (useful with tiny batches).
    """

    running_mean: Tensor
    running_deconv: Tensor

    def __init__(self, channels: int = 3, momentum: float = 0.1, eps: float = 1e-5, iterations: int = 5) -> None:
        super().__init__()
        self.momentum, self.eps, self.iterations = momentum, eps, iterations
        self.frozen = False
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        taps = channels * 9
        self.register_buffer("running_mean", torch.zeros(taps))
        self.register_buffer("running_deconv", torch.eye(taps))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 3, H, W)."""
        if self.training and not self.frozen:
            weight, bias = self._affine(*self._batch_statistics(x))
        else:
            weight, bias = self._affine(self.running_mean, self.running_deconv)
        return F.conv2d(x, weight.to(x.dtype), bias.to(x.dtype), padding=1)

    def _batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Half precision is too coarse for Newton–Schulz: the small eigenvalues of image patches drown.
        with torch.autocast(x.device.type, enabled=False):
            patches = F.unfold(x.float(), 3, padding=1, stride=3).transpose(1, 2).reshape(-1, self.running_mean.numel())
            mean = patches.mean(0)
            centred = patches - mean
            identity = torch.eye(mean.numel(), device=x.device)
            covariance = centred.T @ centred / len(patches) + self.eps * identity
            deconv = inverse_square_root(covariance, self.iterations)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_deconv.lerp_(deconv, self.momentum)
        return mean, deconv

    def _affine(self, mean: Tensor, deconv: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(mean.device.type, enabled=False):
            weight = self.weight.float().flatten(1) @ deconv
            return weight.view_as(self.weight), self.bias - weight @ mean

    def folded(self) -> nn.Conv2d:
        """The plain convolution this layer is in evaluation."""
        channels = len(self.bias)
        conv = nn.Conv2d(channels, channels, 3, padding=1).to(self.weight.device)
        with torch.no_grad():
            weight, bias = self._affine(self.running_mean, self.running_deconv)
            conv.weight.copy_(weight)
            assert conv.bias is not None
            conv.bias.copy_(bias)
        return conv

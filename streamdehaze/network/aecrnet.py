"""AECR-Net (Wu et al., "Contrastive Learning for Compact Single Image Dehazing", CVPR 2021, arXiv 2104.09367).

The module names are those of the authors' checkpoints. One feature-attention block serves six times and one
deformable convolution twice; only so shared does the network have the paper's 2.61 M parameters.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from streamdehaze.network.deconvolution import NetworkDeconvolution
from streamdehaze.network.deformable import ModulatedDeformConv


class ChannelAttention(nn.Module):
    """Scales each channel by a gate computed from the picture's mean (the "CA" of FFA-Net)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ca = nn.Sequential(
            nn.Conv2d(channels, channels // 8, 1),
            nn.ReLU(),
            nn.Conv2d(channels // 8, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        # The mean runs over the whole picture, in float32: half precision loses it on large ones.
        mean = x.float().mean((2, 3), keepdim=True).to(x.dtype)
        gate: Tensor = self.ca(mean)
        return x * gate


class PixelAttention(nn.Module):
    """Scales each pixel by a gate computed from its own features (the "PA" of FFA-Net)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pa = nn.Sequential(
            nn.Conv2d(channels, channels // 8, 1), nn.ReLU(), nn.Conv2d(channels // 8, 1, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        gate: Tensor = self.pa(x)
        return x * gate


class FeatureAttentionBlock(nn.Module):
    """Two convolutions with channel and pixel attention inside a residual (FFA-Net, AAAI 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.calayer = ChannelAttention(channels)
        self.palayer = PixelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        residual: Tensor = torch.relu(self.conv1(x)) + x
        residual = self.palayer(self.calayer(self.conv2(residual)))
        return residual + x


class DeformableBlock(nn.Module):
    """The "dynamic feature enhancement" of the paper: one deformable convolution (`dcn`)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dcn = ModulatedDeformConv(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        features: Tensor = self.dcn(x)
        return features


class AdaptiveMixup(nn.Module):
    """``s · down + (1 − s) · up`` with ``s = sigmoid(w)`` learnt (the paper's "adaptive mixup")."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([start]))

    def forward(self, down: Tensor, up: Tensor) -> Tensor:
        """Mix two (B, C, H, W) feature maps."""
        s = torch.sigmoid(self.w)
        return down * s + up * (1 - s)


class AECRNet(nn.Module):
    """A hazy picture in, a clear one out.

    Args:
        width: channels n of the first stage; 64 in the paper. A multiple of 2, so that 4n/8 is whole.
        deconv: whether network deconvolution stands before the first convolution, as in the paper.

    Input and output are (B, 3, H, W) RGB in [0, 1]; H and W are multiples of 4. The output passes through tanh, so it
    lies in (−1, 1) and is to be clamped to [0, 1].

    Raises:
        ValueError: if `width` is not a positive even number.
    """

    def __init__(self, width: int = 64, deconv: bool = True) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"width must be a positive even number, not {width}")
        self.width = width
        n = width
        if deconv:
            self.deconv: nn.Module = NetworkDeconvolution()
        self.down1 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, n, 7), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(n, 2 * n, 3, stride=2, padding=1), nn.ReLU())
        self.down3 = nn.Sequential(nn.Conv2d(2 * n, 4 * n, 3, stride=2, padding=1), nn.ReLU())
        self.block = FeatureAttentionBlock(4 * n)
        self.dcn_block = DeformableBlock(4 * n)
        self.mix1 = AdaptiveMixup(-1.0)
        self.up1 = nn.Sequential(nn.ConvTranspose2d(4 * n, 2 * n, 3, stride=2, padding=1, output_padding=1), nn.ReLU())
        self.mix2 = AdaptiveMixup(-0.6)
        self.up2 = nn.Sequential(nn.ConvTranspose2d(2 * n, n, 3, stride=2, padding=1, output_padding=1), nn.ReLU())
        self.up3 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(n, 3, 7), nn.Tanh())

    @property
    def has_deconv(self) -> bool:
        """Whether a layer stands before `down1`: network deconvolution, or the convolution it folds into."""
        return hasattr(self, "deconv")

    def forward(self, hazy: Tensor) -> Tensor:
        """(B, 3, H, W) hazy → (B, 3, H, W) clear."""
        down1 = self.down1(self.deconv(hazy) if self.has_deconv else hazy)
        down2 = self.down2(down1)
        down3 = self.down3(down2)
        features = down3
        for _ in range(6):
            features = self.block(features)
        features = self.dcn_block(self.dcn_block(features))
        up1 = self.up1(self.mix1(down3, features))
        up2 = self.up2(self.mix2(down2, up1))
        clear: Tensor = self.up3(up2)
        return clear

    def folded(self) -> AECRNet:
        """A copy for inference, the same function as in evaluation.

        Network deconvolution becomes a fixed convolution, and a deformable convolution without offsets a plain one.
        """
        clone = copy.deepcopy(self).eval()
        if isinstance(clone.dcn_block.dcn, ModulatedDeformConv):
            clone.dcn_block.dcn = clone.dcn_block.dcn.folded()  # type: ignore[assignment]
        if isinstance(self.deconv if self.has_deconv else None, NetworkDeconvolution):
            clone.deconv = self.deconv.folded()  # type: ignore[operator]
        return clone

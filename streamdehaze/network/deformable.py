"""Modulated deformable convolution (Zhu et al., "Deformable ConvNets v2", CVPR 2019) from portable operators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """3×3 modulated deformable convolution, stride 1, padding 1, as one `grid_sample` and one strided convolution.

    Equal to `torchvision.ops.deform_conv2d` up to rounding, but made of operators that every runtime takes: the
    nine sampling positions of each pixel are laid out as a 3H × 3W picture, sampled once, weighted by the mask laid
    out alike, and reduced by a 3×3 convolution of stride 3.

    Args:
        x: features, (B, C, H, W).
        offset: (B, 18, H, W); channels 2k and 2k + 1 are tap k's vertical and horizontal shift in pixels, k row-major.
        mask: (B, 9, H, W), the weight of each tap.
        weight: (D, C, 3, 3).
        bias: (D,) or None.

    Returns:
        (B, D, H, W).
    """
    batch, _, height, width = x.shape
    # Coordinates and sampling stay in float32: in half precision a coordinate near 1 is off by a tenth of a pixel.
    shift = offset.float().view(batch, 3, 3, 2, height, width).permute(0, 4, 1, 5, 2, 3)  # B, H, ky, W, kx, (y, x)
    tap = torch.arange(-1, 2, device=x.device, dtype=torch.float32)
    rows = torch.arange(height, device=x.device, dtype=torch.float32)
    columns = torch.arange(width, device=x.device, dtype=torch.float32)
    y = rows.view(-1, 1, 1, 1) + tap.view(1, -1, 1, 1) + shift[..., 0]
    sample_x = columns.view(1, 1, -1, 1) + tap.view(1, 1, 1, -1) + shift[..., 1]
    grid = torch.stack([(2 * sample_x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    grid = grid.reshape(batch, 3 * height, 3 * width, 2)
    sampled = F.grid_sample(x.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False).to(x.dtype)
    laid_out = mask.view(batch, 3, 3, height, width).permute(0, 3, 1, 4, 2).reshape(batch, 1, 3 * height, 3 * width)
    # Nine times the features: to take memory for the product costs ten times the multiplication.
    weighted = sampled * laid_out if torch.is_grad_enabled() else sampled.mul_(laid_out)
    return F.conv2d(weighted, weight, bias, stride=3)


class ModulatedDeformConv(nn.Module):
    """Deformable convolution that predicts its own offsets and mask (the `DCN` layer of the DCNv2 code).

    `conv_offset_mask` starts at zero, so that the layer starts as a plain convolution with every tap at one half.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.conv_offset_mask = nn.Conv2d(channels, 27, 3, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]

    def folded(self) -> nn.Module:
        """The plain convolution this layer equals as long as it has learnt no offsets and no masks; else itself."""
        predictor = self.conv_offset_mask
        assert predictor.bias is not None
        return self if predictor.weight.any() or predictor.bias[:18].any() else self.plain()

    def plain(self) -> nn.Conv2d:
        """A plain convolution of the same weights and the mean mask, without the offsets."""
        channels = len(self.weight)
        plain = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            mask = torch.sigmoid(self.conv_offset_mask.bias[18:]).view(1, 1, 3, 3)  # type: ignore[index]
            plain.weight.copy_(self.weight * mask)
            plain.bias.copy_(self.bias)  # type: ignore[union-attr]
        return plain

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        shifts_1, shifts_2, mask = self.conv_offset_mask(x).chunk(3, dim=1)
        offset = torch.cat([shifts_1, shifts_2], dim=1)
        return deform_conv2d(x, offset, torch.sigmoid(mask), self.weight, self.bias)

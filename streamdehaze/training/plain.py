"""Plain 3×3 convolutions instead of the deformable ones: the same function until offsets have been learned."""

from __future__ import annotations

import copy

import torch
from torch import nn

from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.network.deformable import ModulatedDeformConv


def with_plain_convolution(network: AECRNet) -> AECRNet:
    """A copy to train faster; learnt offsets are lost, the learnt mean mask is kept."""
    clone = copy.deepcopy(network)
    deformable = clone.dcn_block.dcn
    if isinstance(deformable, ModulatedDeformConv):
        channels = deformable.weight.shape[0]
        plain = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            mask = torch.sigmoid(deformable.conv_offset_mask.bias[18:]).view(1, 1, 3, 3)  # type: ignore[index]
            plain.weight.copy_(deformable.weight * mask)
            plain.bias.copy_(deformable.bias)  # type: ignore[union-attr]
        clone.dcn_block.dcn = plain  # type: ignore[assignment]
    return clone


def with_deformable_convolution(network: AECRNet) -> AECRNet:
    """A copy whose deformable convolution starts as the plain one it replaces: no offset, every tap at one half."""
    clone = copy.deepcopy(network)
    plain: nn.Module = clone.dcn_block.dcn
    if isinstance(plain, nn.Conv2d):
        deformable = ModulatedDeformConv(plain.out_channels)
        with torch.no_grad():
            deformable.weight.copy_(plain.weight * 2)
            deformable.bias.copy_(plain.bias)  # type: ignore[arg-type]
        clone.dcn_block.dcn = deformable
    return clone

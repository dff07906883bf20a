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
    if isinstance(clone.dcn_block.dcn, ModulatedDeformConv):
        clone.dcn_block.dcn = clone.dcn_block.dcn.plain()  # type: ignore[assignment]
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

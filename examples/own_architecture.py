"""Train a network of your own, in one file, and dehaze with it:

    streamdehaze train smoke network.module=examples/own_architecture.py:Small name=small
    streamdehaze run foggy.mp4 --checkpoint runs/small/last.onnx

Whatever turns (batch, 3, height, width) RGB between 0 and 1, sides multiples of 4, into the same will do. The trainer
keeps its weights (last.safetensors) and writes it as ONNX, which needs none of this code any more.
"""

import torch
from torch import nn


class Small(nn.Module):
    """J = K I - K + 1, where K comes from the picture (Li et al., "AOD-Net", ICCV 2017), on a few dilated layers."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
        for step in (2, 4, 8):
            layers += [nn.Conv2d(width, width, 3, padding=step, dilation=step), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, hazy: torch.Tensor) -> torch.Tensor:
        k = 1 + self.layers(hazy)
        return k * hazy - k + 1

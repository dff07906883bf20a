"""Muon against its definition, and against Adam where it is Adam."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from streamdehaze.network import AECRNet
from streamdehaze.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (24, 24)])
def test_all_directions_become_equally_long(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    values = torch.logspace(0, -1.5, min(shape))  # from 1 down to 0.03
    found = orthogonalised(left * values @ right)
    assert found.shape == shape
    lengths = torch.linalg.svdvals(found)
    assert 0.6 < lengths.min() <= lengths.max() < 1.3  # where the quintic's coefficients leave them
    assert torch.nn.functional.cosine_similarity(found.flatten(), (left @ right).flatten(), dim=0) > 0.97


def test_biases_and_1x1_kernels_go_adams_way() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 3, 3))
    other = copy.deepcopy(layers)
    rate, betas = 1e-2, (0.9, 0.99)
    steps = (
        (layers, Muon(layers.parameters(), rate, betas)),
        (other, torch.optim.Adam(other.parameters(), rate, betas)),
    )
    for network, optimizer in steps:
        for index in range(5):
            optimizer.zero_grad()
            (network(torch.full((1, 3, 6, 6), 0.1 * index + 0.1)) - 1).square().mean().backward()
            optimizer.step()
    for a, b in zip(layers.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_kernels_step_is_as_long_as_adams() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 32, 3, bias=False)
    before = layer.weight.detach().clone()
    optimizer = Muon(layer.parameters(), 1e-3, (0.9, 0.999))
    layer(torch.randn(2, 32, 8, 8)).square().mean().backward()
    optimizer.step()
    rms = float((layer.weight.detach() - before).square().mean().sqrt()) / 1e-3
    assert 0.12 < rms < 0.25  # 0.2, times what the iteration leaves of the smallest singular values


def test_a_network_learns_by_it() -> None:
    torch.manual_seed(0)
    hazy = torch.rand(2, 3, 16, 16)
    clear = (hazy - 0.4).clamp(min=0) * 1.6
    network = AECRNet(8, deconv=False)
    optimizer = Muon(network.parameters(), lr=2e-3, betas=(0.9, 0.999))
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = (network(hazy) - clear).abs().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]

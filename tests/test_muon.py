"""Muon for convolutions: which weights it takes, and that a network learns with it."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("lightning")
pytest.importorskip("timm")

import itertools

import torch
from torch import nn

from streamdehaze.training.task import muon


def steps(network: nn.Module, optimizer: torch.optim.Optimizer, rate: float, count: int) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    for index in range(count):
        optimizer.zero_grad()
        (network(torch.full((1, 3, 6, 6), 0.1 * index + 0.1)) - 1).square().mean().backward()
        optimizer.step()


def test_biases_and_1x1_kernels_use_adam() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 3, 3))
    other = copy.deepcopy(layers)
    steps(layers, muon(layers, (0.9, 0.99)), 1e-2, 5)
    steps(other, torch.optim.Adam(other.parameters(), betas=(0.9, 0.99)), 1e-2, 5)
    for a, b in zip(layers.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_kernels_step_is_orthogonal_and_as_long_as_adams() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 32, 3, bias=False)
    before = layer.weight.detach().clone()
    optimizer = muon(layer, (0.9, 0.999))
    optimizer.param_groups[0]["lr"] = 1e-3
    layer.weight.grad = torch.randn_like(layer.weight) * torch.logspace(0, -1.5, 32).view(-1, 1, 1, 1)
    optimizer.step()
    step = (layer.weight.detach() - before).reshape(32, 27) / 1e-3
    lengths = torch.linalg.svdvals(step) / (0.2 * 32**0.5)  # Adam's usual step is 0.2 of the rate per weight
    assert 0.6 < lengths.min() <= lengths.max() < 1.3  # as far as the quintic's coefficients bring them


def test_a_network_learns_with_it() -> None:
    torch.manual_seed(0)
    hazy = torch.rand(2, 3, 16, 16)
    clear = (hazy - 0.4).clamp(min=0) * 1.6
    widths = (3, 16, 16, 3)
    layers = [nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(widths)]
    network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    optimizer = muon(network, (0.9, 0.999))
    for group in optimizer.param_groups:
        group["lr"] = 2e-3
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = (network(hazy) - clear).abs().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]

"""A widened network is the same function; averaging and plain convolution do what they promise."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")

import torch

from streamdehaze.errors import CheckpointError
from streamdehaze.network import Checkpoint
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.training.average import average_checkpoints
from streamdehaze.training.plain import with_deformable_convolution, with_plain_convolution
from streamdehaze.training.widen import widen


def network(width: int = 4, deconv: bool = True, seed: int = 0) -> AECRNet:
    torch.manual_seed(seed)
    net = AECRNet(width, deconv=deconv).eval()
    with torch.no_grad():  # offsets that differ from zero, as after training
        net.dcn_block.dcn.conv_offset_mask.weight.normal_(0, 0.05)
        net.dcn_block.dcn.conv_offset_mask.bias.normal_(0, 0.3)
    return net


@pytest.mark.parametrize("width", [4, 8, 12])
@pytest.mark.parametrize("deconv", [True, False])
@torch.no_grad()
def test_a_widened_network_computes_the_same(width: int, deconv: bool) -> None:
    narrow = network(deconv=deconv)
    x = torch.rand(2, 3, 24, 32)
    wide = widen(narrow, width)
    assert wide.width == width
    torch.testing.assert_close(wide(x), narrow(x), atol=2e-6, rtol=0)


@torch.no_grad()
def test_noise_breaks_the_symmetry_but_not_the_function() -> None:
    narrow = network()
    wide = widen(narrow, 8, noise=0.01)
    assert not torch.equal(wide.down1[1].weight[0], wide.down1[1].weight[1])
    x = torch.rand(1, 3, 24, 32)
    assert float((wide(x) - narrow(x)).abs().max()) < 0.05


def test_only_multiples_can_be_widened_to() -> None:
    with pytest.raises(CheckpointError, match="width 10 is not a multiple of 4"):
        widen(network(), 10)


@torch.no_grad()
def test_plain_convolution_comes_back_as_the_same_function() -> None:
    plain = with_plain_convolution(network(deconv=False))
    whole = with_deformable_convolution(plain)
    x = torch.rand(1, 3, 24, 32)
    torch.testing.assert_close(whole(x), plain(x), atol=1e-5, rtol=0)
    assert whole.state_dict().keys() == AECRNet(4, deconv=False).state_dict().keys()


def test_the_average_is_the_mean_of_every_weight(tmp_path: Path) -> None:
    nets = [network(seed=seed) for seed in range(3)]
    mean = average_checkpoints([Checkpoint.of(net) for net in nets])
    expected = sum(net.up2[0].weight for net in nets) / 3
    torch.testing.assert_close(mean.up2[0].weight, expected)
    most = average_checkpoints([Checkpoint.of(net) for net in nets[:2]], (3, 1))
    torch.testing.assert_close(most.up2[0].weight, 0.75 * nets[0].up2[0].weight + 0.25 * nets[1].up2[0].weight)
    with pytest.raises(CheckpointError, match="of one width"):
        average_checkpoints([Checkpoint.of(nets[0]), Checkpoint.of(network(8))])

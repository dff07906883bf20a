"""AECR-Net is that of the paper: parameters, keys, deformable convolution, network deconvolution."""

from __future__ import annotations

import pytest
import torch
import torchvision

from streamdehaze.network import list_checkpoints, load_network
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.network.deconvolution import NetworkDeconvolution, inverse_square_root
from streamdehaze.network.deformable import ModulatedDeformConv, deform_conv2d

AUTHORS_KEYS = {
    *(f"{layer}.{part}" for part in ("weight", "bias") for layer in (
        "down1.1", "down2.0", "down3.0", "block.conv1", "block.conv2", "block.calayer.ca.0", "block.calayer.ca.2",
        "block.palayer.pa.0", "block.palayer.pa.2", "up1.0", "up2.0", "up3.1", "dcn_block.dcn",
        "dcn_block.dcn.conv_offset_mask", "deconv",
    )),
    "deconv.running_mean", "deconv.running_deconv", "mix1.w", "mix2.w",
}  # fmt: skip


def test_width_64_has_the_papers_parameters() -> None:
    network = AECRNet(width=64)
    assert sum(p.numel() for p in network.parameters()) == 2_614_229


def test_keys_are_those_of_the_authors_checkpoints() -> None:
    assert set(AECRNet(width=8).state_dict()) == AUTHORS_KEYS


def test_upsampling_weights_are_laid_out_as_the_authors_wrote_them() -> None:
    state = AECRNet(width=64).state_dict()
    assert state["up1.0.weight"].shape == (256, 128, 3, 3)
    assert state["dcn_block.dcn.conv_offset_mask.weight"].shape == (27, 256, 3, 3)
    assert state["mix1.w"].item() == pytest.approx(-1.0)
    assert state["mix2.w"].item() == pytest.approx(-0.6)


def test_an_impossible_width_is_refused() -> None:
    with pytest.raises(ValueError, match="positive even number, not 7"):
        AECRNet(width=7)


def deformable_inputs(shift: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(2, 6, 9, 11), (2, 18, 9, 11), (2, 9, 9, 11), (5, 6, 3, 3), (5,)]
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    tensors[1] *= shift  # many samples fall outside the picture
    tensors[2] = torch.sigmoid(tensors[2])
    return [t.float().requires_grad_() for t in tensors]


@pytest.mark.parametrize("shift", [0.0, 0.7, 6.0])
def test_deformable_convolution_equals_torchvisions_in_values_and_gradients(shift: float) -> None:
    ours, theirs = deformable_inputs(shift), deformable_inputs(shift)
    result = deform_conv2d(*ours)
    x, offset, mask, weight, bias = theirs
    expected = torchvision.ops.deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    # Float32 sums of 54 products of order 1; coordinates of order 10 carry 1e-6 of rounding into each sample.
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=5e-5)
    probe = torch.randn(result.shape, generator=torch.Generator().manual_seed(2))
    (result * probe).sum().backward()
    (expected * probe).sum().backward()
    for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if shift == 0 and index == 1:
            continue  # bilinear sampling has a kink at whole pixels: either side's slope is right
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=5e-4)


def test_a_new_deformable_layer_is_a_plain_convolution_with_half_weights() -> None:
    layer = ModulatedDeformConv(4)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = torch.nn.functional.conv2d(x, 0.5 * layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), plain, rtol=1e-4, atol=1e-5)


def test_folding_makes_a_plain_convolution_of_a_layer_that_has_learnt_no_offsets_and_of_no_other() -> None:
    torch.manual_seed(2)
    network, hazy = AECRNet(8, deconv=False).eval(), torch.rand(1, 3, 32, 40)
    predictor = network.dcn_block.dcn.conv_offset_mask
    with torch.no_grad():
        predictor.bias[18:].normal_()  # type: ignore[index]
        folded = network.folded()
        assert isinstance(folded.dcn_block.dcn, torch.nn.Conv2d)
        torch.testing.assert_close(folded(hazy), network(hazy), atol=1e-6, rtol=0)
        for learnt in (predictor.bias[3:4], predictor.weight[20]):  # type: ignore[index]
            learnt += 0.1
            assert isinstance(network.folded().dcn_block.dcn, ModulatedDeformConv)
            torch.testing.assert_close(network.folded()(hazy), network(hazy), atol=1e-6, rtol=0)
            learnt -= 0.1


def test_newton_schulz_finds_the_inverse_square_root() -> None:
    a = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = a @ a.T + torch.eye(6, dtype=torch.float64)
    root = inverse_square_root(matrix, iterations=30)
    torch.testing.assert_close(root @ matrix @ root, torch.eye(6, dtype=torch.float64), rtol=1e-8, atol=1e-8)


def smooth_pictures(count: int, seed: int) -> torch.Tensor:
    noise = torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=(48, 48), mode="bilinear")


def test_network_deconvolution_learns_running_statistics_only_in_training() -> None:
    layer = NetworkDeconvolution()
    before = layer.running_deconv.clone()
    layer.eval()(smooth_pictures(4, 0))
    assert torch.equal(layer.running_deconv, before)
    layer.train()
    layer.frozen = True
    layer(smooth_pictures(4, 0))
    assert torch.equal(layer.running_deconv, before)
    layer.frozen = False
    for seed in range(60):
        layer(smooth_pictures(4, seed))
    patches = (
        torch.nn.functional.unfold(smooth_pictures(16, 99), 3, padding=1, stride=3).transpose(1, 2).reshape(-1, 27)
    )
    torch.testing.assert_close(layer.running_mean, patches.mean(0), rtol=0.1, atol=0.02)
    # What it is for: decorrelated patches. Off-diagonal correlation falls well below that of the pictures.
    covariance = torch.cov(patches.T)
    whitened = layer.running_deconv @ covariance @ layer.running_deconv.T

    def correlation(c: torch.Tensor) -> float:
        d = c.diagonal().sqrt()
        return float(((c / d[:, None] / d[None]).abs().sum() - 27) / (27 * 26))

    assert correlation(whitened) < 0.5 * correlation(covariance)


def test_gradients_pass_through_network_deconvolution() -> None:
    network = AECRNet(width=4).train()
    network(smooth_pictures(2, 5)).mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_folding_network_deconvolution_changes_nothing_in_evaluation() -> None:
    torch.manual_seed(0)
    network = AECRNet(width=4).train()
    for seed in range(5):
        network(smooth_pictures(2, seed))
    network.eval()
    folded = network.folded()
    assert isinstance(folded.deconv, torch.nn.Conv2d)
    with torch.no_grad():
        torch.testing.assert_close(folded(smooth_pictures(1, 7)), network(smooth_pictures(1, 7)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", list_checkpoints("aecrnet*"))
def test_bundled_checkpoints_load_and_clear(name: str) -> None:
    network = load_network(name)
    assert not network.training
    with torch.no_grad():
        clear = network(torch.full((1, 3, 32, 48), 0.7))
    assert clear.shape == (1, 3, 32, 48)
    assert torch.isfinite(clear).all()

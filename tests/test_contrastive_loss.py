"""Contrastive regularization as published."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from shared import shared
from streamdehaze.errors import CheckpointError
from streamdehaze.training.contrastive import ContrastiveLoss, VGG19Features
from training_data import make_vgg19


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vgg19(tmp_path_factory.mktemp("vgg"))


def published(path: Path, out: Tensor, clear: Tensor, hazy: Tensor, ablation: bool = False) -> Tensor:
    """The authors' arithmetic, on torchvision's own VGG19 cut into their five slices."""
    from safetensors.torch import load_file
    from torchvision.models import vgg19

    with torch.device("meta"):
        vgg = vgg19(weights=None).features[:30]
    vgg.load_state_dict(load_file(path), assign=True)
    slices = [vgg[a:b] for a, b in ((0, 2), (2, 7), (7, 12), (12, 21), (21, 30))]
    weights = [1.0 / 32, 1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0]
    loss, a, p, n = torch.zeros(()), out, clear, hazy
    for piece, weight in zip(slices, weights, strict=True):
        a, p, n = piece(a), piece(p), piece(n)
        d_ap = nn.functional.l1_loss(a, p.detach())
        d_an = nn.functional.l1_loss(a, n.detach())
        loss = loss + weight * (d_ap if ablation else d_ap / (d_an + 1e-7))
    return loss


@pytest.mark.parametrize("ablation", [False, True], ids=["with negatives", "without"])
def test_it_equals_the_published_loss_and_its_gradient(features: Path, ablation: bool) -> None:
    torch.manual_seed(1)
    clear, hazy = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    ours, theirs = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2)).requires_grad_() for _ in "ab")
    loss = ContrastiveLoss(VGG19Features(features), negatives=not ablation)(ours, clear, hazy)
    expected = published(features, theirs, clear, hazy, ablation)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-7, rtol=1e-4)


def test_positives_and_negatives_get_no_gradient(features: Path) -> None:
    clear, hazy = torch.rand(1, 3, 32, 32).requires_grad_(), torch.rand(1, 3, 32, 32).requires_grad_()
    out = torch.rand(1, 3, 32, 32).requires_grad_()
    vgg = VGG19Features(features)
    ContrastiveLoss(vgg)(out, clear, hazy).backward()
    assert clear.grad is None
    assert hazy.grad is None
    assert all(parameter.grad is None for parameter in vgg.parameters())


def test_more_negatives_are_other_pictures_of_the_batch(features: Path) -> None:
    torch.manual_seed(3)
    out, clear, hazy = (torch.rand(3, 3, 32, 32) for _ in range(3))
    vgg = VGG19Features(features)
    one, all_three = (ContrastiveLoss(vgg, more_negatives=n)(out, clear, hazy) for n in (0, 2))
    turned = [published(features, out, clear, hazy.roll(shift, 0)) for shift in range(3)]
    assert not torch.isclose(one, all_three, rtol=1e-5)
    assert min(turned) < all_three < max(turned)


def test_input_is_normalised_as_for_imagenet(features: Path) -> None:
    x = torch.rand(1, 3, 32, 32)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    raw = VGG19Features(features)((x - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
    normalised = VGG19Features(features, normalise=True)(x)
    for a, b in zip(normalised, raw, strict=True):
        torch.testing.assert_close(a, b)


def test_torchvisions_own_file_serves_as_well(features: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    path = tmp_path / "vgg19-dcbb9e9d.pth"
    torch.save({f"features.{name}": weights for name, weights in load_file(features).items()}, path)
    one, other = VGG19Features(features).state_dict(), VGG19Features(path).state_dict()
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)


def test_a_file_that_is_not_vgg19_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"0.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(CheckpointError, match=r"does not hold VGG19's convolutions; missing are 0\.bias, 2\.weight"):
        VGG19Features(path)


def test_real_weights_prefer_the_clear_picture() -> None:
    path = shared("weights/vgg19-features-fp16.safetensors")
    torch.manual_seed(4)
    clear = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), 64, mode="bilinear")
    hazy = clear * 0.4 + 0.5
    loss = ContrastiveLoss(VGG19Features(path))
    assert loss(clear * 0.95, clear, hazy) < loss(hazy * 0.95, clear, hazy)

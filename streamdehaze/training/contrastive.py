"""Contrastive regularization (the paper's CR): to VGG19, close to the clear picture and far from the hazy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from streamdehaze.errors import CheckpointError
from streamdehaze.network import read_checkpoint

WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Weights of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1."""
_TAPS = (1, 6, 11, 20, 29)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19Features(nn.Module):
    """The first thirteen convolutions of VGG19 (Simonyan & Zisserman, ICLR 2015), fixed.

    Args:
        path: safetensors with torchvision's names (`0.weight`, or `features.0.weight`), or torchvision's own file; None
            takes its ImageNet weights, which it downloads once.
        normalise: subtract ImageNet's mean and divide by its deviation first; the published code does not.

    Raises:
        CheckpointError: if the file lacks a convolution, or the weights cannot be downloaded.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, path: Path | None = None, *, normalise: bool = False) -> None:
        super().__init__()
        from torchvision.models import vgg19

        with torch.device("meta"):  # the weights come from elsewhere: none are drawn at random first
            self.features: nn.Sequential = vgg19(weights=None).features[: _TAPS[-1] + 1]
        self._load(path)
        self.normalise = normalise
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def _load(self, path: Path | None) -> None:
        state = _torchvision_state() if path is None else _file_state(path)
        state = {key.removeprefix("features."): value.float() for key, value in state.items()}
        wanted = self.features.state_dict()
        missing = [k for k in wanted if k not in state or state[k].shape != wanted[k].shape]
        if missing:
            raise CheckpointError(f"{path} does not hold VGG19's convolutions; missing are {', '.join(missing[:4])}")
        self.features.load_state_dict({key: state[key] for key in wanted}, assign=True)

    def forward(self, pictures: Tensor) -> Iterator[Tensor]:
        """(B, 3, H, W) in [0, 1] → relu1_1, relu2_1, relu3_1, relu4_1, relu5_1, one by one."""
        x = (pictures - self.mean) / self.deviation if self.normalise else pictures
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in _TAPS:
                yield x


class ContrastiveLoss(nn.Module):
    """``Σ wᵢ · L1(Vᵢ(out), Vᵢ(clear)) / (L1(Vᵢ(out), Vᵢ(hazy)) + 1e-7)``; clear and hazy without gradient.

    Args:
        features: VGG19.
        negatives: False leaves the denominator away: the published ablation.
        more_negatives: how many other hazy pictures of the batch each output is also pushed away from; the denominator
            is then the mean over all of them.
    """

    def __init__(self, features: VGG19Features, *, negatives: bool = True, more_negatives: int = 0) -> None:
        super().__init__()
        self.features = features
        self.negatives = negatives
        self.more_negatives = more_negatives

    def forward(self, out: Tensor, clear: Tensor, hazy: Tensor) -> Tensor:
        """A scalar for (B, 3, H, W) outputs, clear and hazy pictures."""
        with torch.no_grad():
            positives = list(self.features(clear))
            negatives = list(self.features(hazy)) if self.negatives else []
        loss = out.new_zeros(())
        for i, anchor in enumerate(self.features(out)):
            distance = (anchor - positives[i]).abs().mean()
            if self.negatives:
                distance = distance / (self._push(anchor, negatives[i]) + 1e-7)
            loss = loss + WEIGHTS[i] * distance
        return loss

    def _push(self, anchor: Tensor, negatives: Tensor) -> Tensor:
        shifts = range(min(self.more_negatives, len(negatives) - 1) + 1)
        return torch.stack([(anchor - negatives.roll(shift, 0)).abs().mean() for shift in shifts]).mean()


def _torchvision_state() -> dict[str, Tensor]:
    from torchvision.models import VGG19_Weights

    try:
        return dict(VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        raise CheckpointError(
            f"VGG19's weights cannot be downloaded ({error}); give the file vgg19-dcbb9e9d.pth with --features PATH"
        ) from error


def _file_state(path: Path) -> dict[str, Tensor]:
    return {key: torch.from_numpy(array) for key, array in read_checkpoint(path).state.items()}

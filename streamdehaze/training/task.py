"""The training task: one step's loss, the optimizer, the average of the weights, and what a run's checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from streamdehaze.errors import CheckpointError, ConfigError, TrainingError
from streamdehaze.network import find_checkpoint, read_checkpoint
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.network.deconvolution import NetworkDeconvolution
from streamdehaze.training.config import NetworkConfig, OptimizerConfig, TrainingConfig
from streamdehaze.training.contrastive import ContrastiveLoss, VGG19Features
from streamdehaze.training.own import load_own, own_network
from streamdehaze.training.plain import with_deformable_convolution, with_plain_convolution
from streamdehaze.training.samples.dataset import Sample
from streamdehaze.training.widen import widen


def start_network(config: NetworkConfig, seed: int = 0) -> nn.Module:
    """The network a run starts with: new, or from a checkpoint, widened if that is narrower.

    Raises:
        CheckpointError: if the checkpoint cannot be loaded or does not fit the configuration.
        ConfigError: if a network of one's own cannot be made.
    """
    if config.module is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            own = own_network(config.module)
        if config.start is not None:
            load_own(own, read_checkpoint(find_checkpoint(config.start)))
        return own
    if config.start is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = AECRNet(config.width, deconv=config.deconv)
    else:
        checkpoint = read_checkpoint(find_checkpoint(config.start))
        if checkpoint.has_deconv != config.deconv:
            has = "has" if checkpoint.has_deconv else "has no"
            raise CheckpointError(
                f"{config.start} {has} network deconvolution; set network.deconv = {str(checkpoint.has_deconv).lower()}"
            )
        network = checkpoint.network()
        if checkpoint.width != config.width:
            network = widen(network, config.width, noise=config.widen_noise, seed=seed)
    if isinstance(deconv := getattr(network, "deconv", None), NetworkDeconvolution):
        deconv.frozen = config.freeze_deconv
    return network if config.deformable else with_plain_convolution(network)


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """The rate of optimizer step `step`, from 0, of `steps`: a linear warm-up, then a cosine."""
    if step < config.warm_up_steps:
        return config.rate * (step + 1) / config.warm_up_steps
    progress = (step - config.warm_up_steps) / max(1, steps - config.warm_up_steps)
    return config.last_rate + (config.rate - config.last_rate) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def coarse_error(error: Tensor) -> Tensor:
    """Mean absolute error of what is left of (B, C, H, W) errors when they are shrunk 8 and 32 times."""
    shrunk = nn.functional.avg_pool2d(error, 8)
    return shrunk.abs().mean() + nn.functional.avg_pool2d(shrunk, 4, ceil_mode=True).abs().mean()


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's parameters; buffers are copied as they are.

    The buffers of network deconvolution are moving averages already, and belong to the weights that made them only
    loosely: averaging them again would make them lag.

    Args:
        network: whose weights.
        decay: share of the old average kept at each update; smaller over the first updates, when the average is still
            mostly its starting point.
    """

    def move(averages: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor | int) -> None:
        kept = min(decay, (int(updates) + 1) / (int(updates) + 21))
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, 1 - kept)

    return AveragedModel(network, multi_avg_fn=move).requires_grad_(False)


_MUON_SMALLEST = 8
"""Rows and columns from which on a kernel is worth Muon."""


def muon(network: nn.Module, betas: tuple[float, float]) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024) for the kernels of convolutions, each as a matrix, and Adam for the rest.

    Muon makes the momentum of a matrix orthogonal, so that rare directions are learnt as fast as common ones. Steps are
    as long as Adam's (Liu et al., "Muon is Scalable for LLM Training", arXiv 2502.16982). `torch.optim.Muon` refuses
    convolutions.
    """
    from timm.optim.muon import Muon

    kernels: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for parameter in network.parameters():
        is_kernel = parameter.ndim == 4 and parameter.shape[2] > 1
        large = is_kernel and min(len(parameter), parameter[0].numel()) >= _MUON_SMALLEST
        (kernels if large else rest).append(parameter)
    groups = [{"params": kernels, "nesterov": True}, {"params": rest, "use_fallback": True, "eps": 1e-8}]
    optimizer: torch.optim.Optimizer = Muon(groups, lr=1.0, betas=betas, ns_coefficients="original")
    return optimizer


class DehazingTask(lightning.LightningModule):
    """Trains `AECRNet`, or a network of one's own, on pairs of hazy and clear pictures.

    Args:
        config: the run; kept in its checkpoints, and a run is resumed only with the same.
    """

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self.config = config
        # Lightning leaves the mode as it finds it, and a checkpoint's network comes in evaluation mode.
        self.network = start_network(config.network, config.seed).train()
        if config.machine.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.average = averaged(self.network, config.optimizer.average)
        # In a list, so that VGG's weights are neither saved nor synchronised.
        self._contrast: list[ContrastiveLoss] = []
        loss = config.loss
        if config.largest_contrast:
            features = VGG19Features(loss.features, normalise=loss.normalise)
            self._contrast.append(
                ContrastiveLoss(features, negatives=loss.negatives, more_negatives=loss.more_negatives)
            )

    def setup(self, stage: str) -> None:
        for contrast in self._contrast:
            contrast.to(self.device)

    def training_step(self, batch: Sample, batch_index: int) -> Tensor:
        """The loss of one batch."""
        hazy, clear = batch.hazy, batch.clear
        if self.config.machine.channels_last:
            hazy = hazy.contiguous(memory_format=torch.channels_last)
        out = self.network(hazy)
        loss = nn.functional.l1_loss(out.float(), clear)
        self.log("loss/l1", loss.detach())
        if self.config.loss.square:
            loss = loss + self.config.loss.square * nn.functional.mse_loss(out.float(), clear)
        if self.config.loss.coarse:
            loss = loss + self.config.loss.coarse * coarse_error(out.float() - clear)
        if weight := self.config.contrast(self.trainer.global_step):
            contrast = self._contrast[0](out, clear, hazy).float()
            self.log("loss/contrast", contrast.detach())
            loss = loss + weight * contrast
        self.log("loss/total", loss.detach(), prog_bar=True)
        if not torch.isfinite(loss):
            path = self.config.folder / f"not-finite-step{self.trainer.global_step}-rank{self.global_rank}.safetensors"
            save_file({"hazy": hazy.contiguous(), "clear": clear.contiguous(), "out": out.detach().contiguous()}, path)
            raise TrainingError(
                f"the loss of step {self.trainer.global_step} is {loss.item()}; its batch is in {path}. "
                "Lower optimizer.rate, set optimizer.clip, or use machine.precision = '32-true'"
            )
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step, and the average right after it: callbacks that save must find the two together."""
        super().optimizer_step(*args, **kwargs)
        self.average.update_parameters(self.network)

    def configure_optimizers(self) -> Any:
        """Adam or Muon, and the rate of each step."""
        config = self.config.optimizer
        # The schedule's own start is a factor of one, so that the factors below are the rates themselves.
        optimizer = (
            muon(self.network, config.betas)
            if config.method == "muon"
            else torch.optim.Adam(self.network.parameters(), lr=1.0, betas=config.betas)
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(config, step, self.config.steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def kept_network(self) -> nn.Module:
        """A whole network with the averaged weights, in evaluation mode: what is validated and kept."""
        network = start_network(self.config.network.model_copy(update={"start": None}))
        source = self.average.module if self.config.optimizer.average else self.network
        network.load_state_dict(source.state_dict())
        return (with_deformable_convolution(network) if isinstance(network, AECRNet) else network).eval()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = self.config.model_dump(mode="json")
        checkpoint["processes"] = self.trainer.world_size

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        before, now = checkpoint.get("processes", self.trainer.world_size), self.trainer.world_size
        if before != now:  # each has a batch of its own, so a step would be of another size
            raise ConfigError(
                f"cannot resume: {self.config.folder} was trained by {before} processes (devices x nodes), not {now}; "
                "set machine.devices and machine.nodes as they were, or give the run another name"
            )


FREE_TO_CHANGE = ("output", "name", "machine", "validation", "save_every_steps", "in_memory", "damaged")
"""Parts of a configuration that do not change what is learnt, and so may differ in a resumed run."""


def check_same_run(saved: dict[str, Any], config: TrainingConfig) -> None:
    """Compare a configuration with the state of the run that it would resume.

    Raises:
        CheckpointError: if that is not a run of ours.
        ConfigError: naming the first key by which they contradict each other.
    """
    if "config" not in saved:
        raise CheckpointError(f"{config.folder} holds the state of another program's run; give this run another name")
    earlier = _flat(saved["config"])
    for key, now in _flat(config.model_dump(mode="json")).items():
        if key.split(".")[0] in FREE_TO_CHANGE and key != "machine.precision":
            continue
        before = earlier.get(key)
        if before != now:
            raise ConfigError(
                f"cannot resume: {key} was {before!r} in {config.folder} and is {now!r} now; change it back, "
                "or give the run another name"
            )


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(content, list):
        content = {"length": len(content), **{str(i): entry for i, entry in enumerate(content)}}
    if not isinstance(content, dict):
        return {prefix: content}
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else key))
    return flat

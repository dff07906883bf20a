"""Net2WiderNet (Chen et al., ICLR 2016) for AECR-Net: the same function in more channels, to train on from."""

from __future__ import annotations

import torch

from streamdehaze.errors import CheckpointError
from streamdehaze.network.aecrnet import AECRNet


def widen(network: AECRNet, width: int, *, noise: float = 0.0, seed: int = 0) -> AECRNet:
    """A network of `width` that computes what the narrow one does.

    Each hidden channel is repeated k = width / network.width times and each fan-in divided by k, which is exact for
    this network: its means, gates, sampling positions and products act on repeated channels as on one.

    Args:
        network: the narrow one.
        width: of the wide one, a multiple of the narrow one's.
        noise: standard deviation, relative to each weight tensor's, added to break the symmetry; 0.01 serves.
        seed: of the noise.

    Raises:
        CheckpointError: if `width` is not a multiple of the network's.
    """
    factor, rest = divmod(width, network.width)
    if rest or factor < 1:
        raise CheckpointError(f"width {width} is not a multiple of {network.width}, the width of the checkpoint")
    wide = AECRNet(width, deconv=network.has_deconv)
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    widened = wide.state_dict()
    for key, value in state.items():
        target = widened[key].shape
        if value.shape == target:  # the mixing weights, network deconvolution, the biases of picture and offsets
            widened[key] = value.clone()
            continue
        repeated = value
        for axis, (old, new) in enumerate(zip(value.shape, target, strict=True)):
            if old != new:
                repeated = repeated.repeat_interleave(new // old, dim=axis)
        # Transposed convolutions keep their inputs on axis 0, all others on axis 1.
        fan_in = 0 if key.startswith(("up1.", "up2.")) else 1
        if value.dim() == 4 and value.shape[fan_in] != target[fan_in]:
            repeated = repeated / (target[fan_in] // value.shape[fan_in])
        if noise and value.dim() == 4:
            spread = float(repeated.std())
            repeated = repeated + torch.randn(repeated.shape, generator=generator) * (noise * spread)
        widened[key] = repeated
    wide.load_state_dict(widened)
    return wide.train(network.training)

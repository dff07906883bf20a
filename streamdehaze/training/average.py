"""The mean of several checkpoints' weights: often better than each if of one run (Izmailov et al., UAI 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from streamdehaze.errors import CheckpointError
from streamdehaze.network import Checkpoint
from streamdehaze.network.aecrnet import AECRNet


def average_checkpoints(checkpoints: Sequence[Checkpoint], shares: Sequence[float] = ()) -> AECRNet:
    """The network whose every weight is the mean of theirs.

    Args:
        checkpoints: at least one.
        shares: weight of each, relative to the others; empty for equal weights.

    Raises:
        CheckpointError: if they are of different widths, or not all have network deconvolution.
    """
    first = checkpoints[0]
    for other in checkpoints[1:]:
        if (other.width, other.has_deconv) != (first.width, first.has_deconv):
            raise CheckpointError("only checkpoints of one width, all with or all without deconv, can be averaged")
    networks = [checkpoint.network() for checkpoint in checkpoints]
    states = [network.state_dict() for network in networks]
    weights = torch.tensor(shares or [1.0] * len(states))
    weights = weights / weights.sum()
    mean = {key: torch.tensordot(weights, torch.stack([state[key] for state in states]), 1) for key in states[0]}
    networks[0].load_state_dict(mean)
    return networks[0]

"""A moving average of the weights, which is what is validated and kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a network's parameters; buffers are copied as they are.

    The buffers of network deconvolution are moving averages already, and belong to the weights that made them only
    loosely: averaging them once more would lag behind.

    Args:
        network: whose weights.
        decay: share of the old average kept at each update; smaller over the first updates, when the average is still
            mostly its starting point.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._average = {key: value.detach().clone() for key, value in network.state_dict().items()}
        self._parameters = {key for key, _ in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's present weights."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 20))
        for key, value in network.state_dict().items():
            average = self._average[key]
            if average.device != value.device:
                average = self._average[key] = average.to(value.device)
            if key in self._parameters:
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The average, under the names of `network.state_dict()`."""
        return self._average

    def state_dict(self) -> dict[str, object]:
        """What `load_state_dict` takes."""
        return {"updates": self.updates, "average": self._average}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from a saved average."""
        updates, average = state["updates"], state["average"]
        assert isinstance(updates, int)
        assert isinstance(average, dict)
        self.updates = updates
        for key in self._average:
            self._average[key].copy_(average[key])

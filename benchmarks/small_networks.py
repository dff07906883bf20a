"""What the trainers of the small networks have in common: steps, and the file that the package has."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
import torch
from torch import nn

_DECAY, _AVERAGE, _SMOOTH = 0.02, 0.998, 0.995
_PRINTED = 500


class Course:
    """A network in training; what comes of it is an average of its weights over time.

    Args:
        network: begins with the weights in `state`, if there are any.
        state: keeps the average, every 500 steps and at the end.
    """

    def __init__(self, network: nn.Module, state: Path | None) -> None:
        self.network = network
        self.goes_on = state is not None and state.exists()
        """Whether it was begun by an earlier call."""
        if state is not None and self.goes_on:
            network.load_state_dict(torch.load(state, weights_only=True))
        self._state = state
        self._average = {name: value.clone() for name, value in network.state_dict().items()}
        self._optimizer = torch.optim.AdamW(network.parameters(), weight_decay=_DECAY)
        self._step, self._loss = 0, math.nan

    def step(self, loss: torch.Tensor, rate: float, done: float) -> None:
        """Learn from a loss.

        Args:
            loss: of the network as it is.
            rate: of learning.
            done: share of the time that is over, to be printed.

        Raises:
            FloatingPointError: if the loss is not finite; what was kept is.
        """
        if not loss.isfinite():
            raise FloatingPointError(f"the loss of step {self._step + 1} is {loss.item()}")
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self._step += 1
        self._loss = loss.item() if self._step == 1 else _SMOOTH * self._loss + (1 - _SMOOTH) * loss.item()
        for name, value in self.network.state_dict().items():
            self._average[name].lerp_(value, 1 - _AVERAGE)
        if self._step % _PRINTED == 0:
            print(f"{done:4.0%}  step {self._step}, loss {self._loss:.4f}", flush=True)
            self._keep()

    def finish(self) -> None:
        """Give the network its average weights."""
        self._keep()
        self.network.load_state_dict(self._average)
        self.network.eval()

    def _keep(self) -> None:
        if self._state is not None:
            torch.save(self._average, self._state)


def load_mean(network: nn.Module, states: list[Path]) -> None:
    """Give a network the mean of the weights that several courses kept; a file named twice counts twice."""
    weights = [torch.load(state, weights_only=True) for state in states]
    network.load_state_dict({name: sum(each[name] for each in weights) / len(weights) for name in weights[0]})
    network.eval()


def write(network: nn.Module, path: Path, size: tuple[int, int], outputs: list[str], trained_on: str) -> None:
    """Write a network as ONNX, for an RGB picture of (rows, columns) in [0, 1]."""
    torch.onnx.export(
        network, (torch.zeros(1, 3, *size),), path, input_names=["picture"], output_names=outputs,
        dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"trained on": trained_on, "input": "RGB, 0 to 1"})
    for node in model.graph.node:  # what PyTorch knows of it, with the paths of this machine
        del node.metadata_props[:]
    onnx.save(model, path)

"""Muon: momentum whose matrices are made orthogonal, so that rare directions are learnt as fast as common ones.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. Steps are as long as Adam's, after Liu
et al., "Muon is Scalable for LLM Training", arXiv 2502.16982. PyTorch's own takes matrices only, no convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5
_SMALLEST = 8
"""Rows and columns from which on a matrix is worth it."""
_RMS = 0.2
"""Of Adam's usual step, in units of the rate."""


def orthogonalised(matrix: Tensor) -> Tensor:
    """A (rows, columns) matrix with its singular values brought near one, by a quintic Newton-Schulz iteration."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for the kernels of convolutions, each as a matrix of (first channels, all else), and Adam for the rest.

    Args:
        parameters: of a network.
        lr: rate of both.
        betas: of Adam.
        momentum: of Muon, with Nesterov's look ahead.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "momentum": momentum, "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of each parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    step = _muon_step if _is_kernel(parameter) else _adam_step
                    step(parameter, parameter.grad, self.state[parameter], group)
        return loss


def _is_kernel(parameter: Tensor) -> bool:
    return parameter.ndim == 4 and parameter.shape[2] > 1 and min(len(parameter), parameter[0].numel()) >= _SMALLEST


def _muon_step(kernel: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state.update(mean=torch.zeros_like(kernel))
    mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
    update = gradient.lerp(mean, group["momentum"]).reshape(len(kernel), -1)
    size = _RMS * max(update.shape) ** 0.5
    kernel.add_(orthogonalised(update).reshape(kernel.shape), alpha=-group["lr"] * size)


def _adam_step(parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state.update(steps=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
    first, second = group["betas"]
    state["steps"] += 1
    mean = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["steps"])
    square = state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second) / (
        1 - second ** state["steps"]
    )
    parameter.addcdiv_(mean, square.sqrt() + group["eps"], value=-group["lr"])

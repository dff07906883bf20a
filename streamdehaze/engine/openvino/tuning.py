"""Training an int8 graph until it answers as its checkpoint does in float32.

NNCF chooses ranges and rounds; narrow networks lose more by that than wide ones. So the graph is trained with the
rounding in it, whose gradient is taken for that of no rounding (Bengio et al., arXiv 1308.3432), and with learned
ranges (LSQ: Esser et al., ICLR 2020). What it learns from is the checkpoint's own answers to hazy pictures: no truth is
needed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamdehaze.errors import EngineError

if TYPE_CHECKING:
    import onnx

BATCH = 3
"""Pictures of a step."""
SIZES = ((192, 112), (160, 112), (112, 160), (256, 144))
"""Width and height of the pictures to train on, in turn."""

_RATE, _RANGE_RATE = 5e-5, 1e-3
"""Learning rates of weights, and of the logarithms of ranges; both rise for `_WARM_UP` steps and fall as a cosine."""
_WARM_UP = 50
_COARSE = 0.5
"""Weight of the error of 8×8 means, which eyes see as a wrong brightness, next to that of pixels."""
_LAST = 200
"""Pictures whose mean is told at the end."""
_WEIGHTS = 64
"""Largest int8 of a weight, see `quantize`."""


@dataclass(frozen=True)
class _Steps:
    """How a tensor is rounded: ``step · (clamp(round(x / step) + zero, least, most) − zero)``."""

    step: str
    """Name of the graph's constant."""
    zero: int
    least: int
    most: int


class QuantizedNetwork(nn.Module):
    """An int8 graph as NNCF writes it for AECR-Net, computed in float with the same rounding, and trainable.

    Args:
        model: stays as it is until `write`.

    Raises:
        EngineError: if it has operators that AECR-Net has not.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        from onnx import helper, numpy_helper

        super().__init__()
        self._model = model
        self._nodes = [
            (node, {each.name: helper.get_attribute_value(each) for each in node.attribute})
            for node in model.graph.node
        ]
        unknown = sorted({node.op_type for node, _ in self._nodes} - set(_OPERATORS) - {_ROUND, _BACK})
        if unknown:
            raise EngineError(f"graphs with {', '.join(unknown)} cannot be tuned")
        self._constants = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in model.graph.initializer}
        self._learned = nn.ParameterDict()
        self._rounded = dict[str, _Steps]()
        """By the name of the rounded tensor."""
        self._weights = dict[str, str]()
        """Constant of their step by that of int8 weights."""
        for node, attributes in self._nodes:
            if node.op_type == _BACK and node.input[0] in self._constants:
                whole, step = (self._constants[name] for name in node.input[:2])
                if step.ndim:
                    step = step.reshape([-1 if axis == attributes["axis"] else 1 for axis in range(whole.ndim)])
                self._learn(node.input[0], whole * step)
                self._constants[node.input[1]] = step
                self._weights[node.input[0]] = node.input[1]
            elif node.op_type == _ROUND:
                zero = self._constants[node.input[2]]
                kind = torch.iinfo(zero.dtype)
                self._learn(node.input[1], self._constants[node.input[1]].log())
                self._rounded[node.output[0]] = _Steps(node.input[1], int(zero), kind.min, kind.max)
        for name, value in self._constants.items():
            if name.endswith(("weight", "bias")) and value.is_floating_point():
                self._learn(name, value)

    def _learn(self, name: str, value: Tensor) -> None:
        self._learned[_key(name)] = nn.Parameter(value.clone())

    def _value(self, name: str) -> Tensor:
        return self._learned[_key(name)] if _key(name) in self._learned else self._constants[name]

    def groups(self) -> list[dict[str, Any]]:
        """Parameters and learning rates, as optimizers take them."""
        ranges = {_key(each.step) for each in self._rounded.values()}
        return [
            {"params": [value for key, value in self._learned.items() if key not in ranges], "lr": _RATE},
            {"params": [self._learned[key] for key in sorted(ranges)], "lr": _RANGE_RATE},
        ]

    def forward(self, hazy: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] → the same."""
        found = {self._model.graph.input[0].name: hazy}
        for node, attributes in self._nodes:
            if node.op_type == _BACK and node.input[0] in self._weights:
                step = self._constants[node.input[1]]
                result = _round(self._value(node.input[0]) / step).clamp(-_WEIGHTS, _WEIGHTS) * step
            elif node.op_type == _ROUND:
                steps = self._rounded[node.output[0]]
                step = self._value(steps.step).exp()
                whole = _round((found[node.input[0]] / step + steps.zero).clamp(steps.least, steps.most))
                result = (whole - steps.zero) * step
            elif node.op_type == _BACK:
                result = found[node.input[0]]
            else:
                inputs = [found[name] if name in found else self._value(name) for name in node.input]
                result = _OPERATORS[node.op_type](attributes, *inputs)
            found[node.output[0]] = result
        return found[self._model.graph.output[0].name]

    def write(self) -> None:
        """Put what was learned into the graph."""
        from onnx import numpy_helper

        steps = {each.step for each in self._rounded.values()}
        for tensor in self._model.graph.initializer:
            if _key(tensor.name) not in self._learned:
                continue
            value = self._learned[_key(tensor.name)].detach()
            if tensor.name in self._weights:
                step = self._constants[self._weights[tensor.name]]
                value = (value / step).round().clamp(-_WEIGHTS, _WEIGHTS).to(torch.int8)
            elif tensor.name in steps:
                value = value.exp()
            shape = tuple(tensor.dims)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value.numpy()).reshape(shape), tensor.name))


def tune(
    model: onnx.ModelProto,
    answer: Callable[[Tensor], Tensor],
    hazy: Iterable[Tensor],
    steps: int,
    progress: Callable[[float], None] = lambda share: None,
) -> float:
    """Train an int8 graph to give a network's answers; how near it comes, PSNR in dB over the last pictures.

    Args:
        model: is changed.
        answer: the network in float32, (B, 3, H, W) → the same.
        hazy: batches of pictures, RGB in [0, 1], one for each step.
        steps: how many.
        progress: called with the share done.

    Raises:
        EngineError: if the graph has operators that AECR-Net has not.
    """
    network, last = QuantizedNetwork(model), deque[float](maxlen=_LAST)
    optimizer = torch.optim.Adam(network.groups())
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / _WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2
    )
    for step, batch in zip(range(steps), hazy, strict=False):
        progress(step / steps)
        with torch.no_grad():
            wanted = answer(batch).clamp(0, 1)
        error = network(batch) - wanted
        # Of each picture its root, so that those that are hard to round do not outweigh all others.
        roots = (error.square().mean((1, 2, 3)) + 1e-10).sqrt()
        loss = roots.mean() + _COARSE * F.avg_pool2d(error, 8).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        last += (-20 * roots.detach().log10()).tolist()
    network.write()
    return sum(last) / max(1, len(last))


_ROUND, _BACK = "QuantizeLinear", "DequantizeLinear"


def _key(name: str) -> str:
    return name.replace(".", "/")  # a ParameterDict takes no dots


def _round(x: Tensor) -> Tensor:
    return x + (x.round() - x).detach()


def _convolution(attributes: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    padding = attributes.get("pads", [0, 0])[:2]
    return F.conv2d(x, weight, bias, attributes.get("strides", 1), padding, groups=attributes.get("group", 1))


def _transposed(attributes: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    padding = attributes.get("pads", [0, 0])[:2]
    return F.conv_transpose2d(x, weight, bias, attributes["strides"], padding, attributes.get("output_padding", 0))


def _mirrored(_attributes: dict[str, Any], x: Tensor, pads: Tensor) -> Tensor:
    top, left, bottom, right = (int(pads[index]) for index in (2, 3, 6, 7))
    return F.pad(x, (left, right, top, bottom), mode="reflect")


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Pad": _mirrored,
    "Relu": lambda _, x: x.relu(),
    "Sigmoid": lambda _, x: x.sigmoid(),
    "Tanh": lambda _, x: x.tanh(),
    "Add": lambda _, x, y: x + y,
    "Mul": lambda _, x, y: x * y,
    "ReduceMean": lambda attributes, x, axes: x.mean(axes.tolist(), keepdim=bool(attributes.get("keepdims", 1))),
    "Clip": lambda _, x, least, most: x.clamp(least, most),
}

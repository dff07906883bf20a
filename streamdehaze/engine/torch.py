"""The PyTorch engine: the reference the others are verified against, and the fallback that always works."""

from __future__ import annotations

import contextlib
import copy
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from streamdehaze.engine.processor import usable_cores
from streamdehaze.engine.protocol import Engine
from streamdehaze.errors import EngineError, first_line
from streamdehaze.frame import FloatArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_log = logging.getLogger(__name__)


class TorchEngine(Engine):
    """`AECRNet`, or another network, in PyTorch, channels-last, on the CPU or a CUDA device.

    A program that decodes or encodes as well runs faster with `OMP_WAIT_POLICY=PASSIVE` in its environment before
    torch is imported, as the command line sets it.

    Args:
        network: in any mode; a folded copy in evaluation mode is used.
        device: "cpu", "cuda", "cuda:1", or "auto" for CUDA where there is one.
        precision: of the computation; "auto" is float32 on a CPU and float16 on CUDA. Below float32, autocast keeps
            the sampling grid and the global means in float32.
        threads: CPU threads of one operator; None for all cores this process may use. torch has one such number for
            the whole process: it is set while a batch runs and put back afterwards.
        note: why it serves, where another engine would be faster; see `Engine.note`.
        compiled: run through `torch.compile`, with CUDA graphs on CUDA. The first batch of each shape then takes
            tens of seconds, which are logged.

    Raises:
        EngineError: if the device is unavailable.
    """

    def __init__(
        self,
        network: nn.Module,
        device: str = "auto",
        *,
        precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto",
        threads: int | None = None,
        compiled: bool = False,
        note: str | None = None,
    ) -> None:
        import torch

        from streamdehaze.network.aecrnet import AECRNet

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._device = torch.device(device)
            deployed = network.folded() if isinstance(network, AECRNet) else copy.deepcopy(network).eval()
            self._network = deployed.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"PyTorch cannot use the device '{device}': {first_line(error)}") from error
        self._note = note
        cuda = self._device.type == "cuda"
        self._threads = None if cuda else threads or usable_cores()
        self.precision = ("float16" if cuda else "float32") if precision == "auto" else precision
        self._dtype: torch.dtype = getattr(torch, self.precision)
        self._compiled_shapes: set[tuple[int, ...]] | None = None
        if compiled:
            self._compiled_shapes = set()
            self._network = torch.compile(self._network, mode="reduce-overhead" if cuda else None, dynamic=False)

    @property
    def name(self) -> str:
        """Such as "torch cpu float32"."""
        return f"torch {self._device} {self.precision}{'' if self._compiled_shapes is None else ' compiled'}"

    @property
    def note(self) -> str | None:
        """See `Engine.note`."""
        return self._note

    @property
    def device(self) -> str | None:
        """See `Engine.device`."""
        return str(self._device) if self._device.type == "cuda" else None

    def infer(self, hazy: FloatArray) -> FloatArray:
        """See `Engine.infer`."""
        import torch

        x = torch.from_numpy(np.ascontiguousarray(hazy)).to(self._device, memory_format=torch.channels_last)
        if self._compiled_shapes is not None and hazy.shape not in self._compiled_shapes:
            self._compile_for(x)
        array: FloatArray = self._run(x).float().clamp(0, 1).contiguous().cpu().numpy()
        return array

    def _run(self, x: Tensor) -> Tensor:
        import torch

        with (
            _threads(self._threads),
            torch.inference_mode(),
            torch.autocast(x.device.type, self._dtype, self.precision != "float32"),
        ):
            clear: Tensor = self._network(x)
        return clear

    def _compile_for(self, x: Tensor) -> None:
        assert self._compiled_shapes is not None
        start = time.perf_counter()
        try:
            self._run(x)
        except Exception as error:  # a missing C++ compiler, say: torch's errors here share no base
            raise EngineError(f"torch.compile failed: {first_line(error)}") from error
        self._compiled_shapes.add(tuple(x.shape))
        _log.info("torch.compile took %.1f s for %d×%d", time.perf_counter() - start, x.shape[3], x.shape[2])


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use that many CPU threads for a while; None changes nothing."""
    import torch

    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""The PyTorch engine: the reference the others are verified against, and the fallback that always works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamdehaze.errors import EngineError
from streamdehaze.frame import FloatArray

if TYPE_CHECKING:
    from streamdehaze.network.aecrnet import AECRNet


class TorchEngine:
    """`AECRNet` in eager PyTorch, channels-last, on the CPU (float32) or a CUDA device (float16 autocast).

    Args:
        network: in any mode; a folded copy in evaluation mode is used.
        device: "cpu", "cuda", "cuda:1", or "auto" for CUDA where there is one.

    Raises:
        EngineError: if the device cannot be had.
    """

    def __init__(self, network: AECRNet, device: str = "auto") -> None:
        import torch

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._device = torch.device(device)
            self._network = network.folded().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"PyTorch cannot use the device '{device}': {error}") from error
        self._half = self._device.type == "cuda"

    @property
    def name(self) -> str:
        """Such as "torch cpu float32"."""
        return f"torch {self._device} {'float16' if self._half else 'float32'}"

    def infer(self, hazy: FloatArray) -> FloatArray:
        """See `Engine.infer`."""
        import torch

        x = torch.from_numpy(np.ascontiguousarray(hazy)).to(self._device, memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=self._half):
            clear = self._network(x)
        array: FloatArray = clear.float().clamp(0, 1).contiguous().cpu().numpy()
        return array

    def close(self) -> None:
        """Nothing to free beyond what garbage collection does."""

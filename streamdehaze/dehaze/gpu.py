"""Frames on a GPU: shrunk and changed there at full size; what lies in between is small and stays on the CPU.

The planes are uploaded once and downloaded once. The operations are those of `affine` and `kernels`, in PyTorch, and
give the same samples but for the last bit of a rounding. Every call waits for its own CUDA stream, one for each thread,
so that looking at frames and changing them overlap, and no memory is reused while another stream works on it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdehaze.dehaze import affine
from streamdehaze.dehaze.affine import AffineMaps
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.errors import first_line
from streamdehaze.frame import FloatArray, Frame, Plane

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_log = logging.getLogger(__name__)


class Gpu:
    """Shrinks frames and applies maps on a device of PyTorch's, and on the CPU once that has failed.

    Args:
        device: "cuda" or "cuda:1"; "cpu" does the same there, slowly, for tests.
    """

    def __init__(self, device: str) -> None:
        import torch

        self.device = torch.device(device)
        self._threads = threading.local()
        self.failed = False
        """Whether the CPU does the work from now on."""

    def shrink(self, frame: Frame, frame_format: FrameFormat) -> tuple[FloatArray, Surface | None]:
        """The small colour components, as `affine.shrink_components`, and the frame on the device if it is there."""
        if not self.failed:
            try:
                with self.stream():
                    surface = Surface(self, frame, frame_format)
                    return self.download(surface.shrunk()), surface
            except RuntimeError as error:
                self.give_up(error)
        return affine.shrink_components(frame, frame_format), None

    def give_up(self, error: RuntimeError) -> None:
        """Leave the work to the CPU: the device's memory is used up, say."""
        if not self.failed:
            self.failed = True
            _log.warning(
                "the CPU shrinks and changes frames from here on, for %s cannot: %s", self.device, first_line(error)
            )

    def stream(self) -> Any:
        """This thread's CUDA stream as a context."""
        import torch

        if self.device.type != "cuda":
            return contextlib.nullcontext()
        if not hasattr(self._threads, "stream"):
            self._threads.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self._threads.stream)

    def upload(self, plane: Plane) -> Tensor:
        """A plane on the device; its 16-bit words as int16, the one type of that size with all operations."""
        host = self._host(plane.shape, plane.dtype.itemsize)
        host.numpy().view(plane.dtype.newbyteorder("="))[...] = plane
        return host.to(self.device, non_blocking=True)

    def download(self, tensor: Tensor) -> Any:
        """An array of it, complete."""
        if self.device.type != "cuda":
            return tensor.numpy()
        host = self._host(tensor.shape, tensor.element_size())
        host.copy_(tensor, non_blocking=True)
        self._threads.stream.synchronize()
        return host.numpy()

    def _host(self, shape: tuple[int, ...], itemsize: int) -> Tensor:
        """Memory that is copied to and from the device while the host works."""
        import torch

        dtype = {1: torch.uint8, 2: torch.int16, 4: torch.float32}[itemsize]
        return torch.empty(shape, dtype=dtype, pin_memory=self.device.type == "cuda")


class Surface:
    """A frame whose colour planes are on a device."""

    def __init__(self, gpu: Gpu, frame: Frame, frame_format: FrameFormat) -> None:
        self._gpu, self._frame, self._format = gpu, frame, frame_format
        self._planes = {
            component.plane: gpu.upload(frame.planes[component.plane])
            for component in frame_format.pixel_format.components
        }

    def shrunk(self) -> Tensor:
        """The colour components by area averaging, (n, rows, columns) of the small picture, in [0, 1]."""
        import torch
        from torch.nn import functional

        rows, columns = self._format.shape
        scale = 1 / self._format.pixel_format.max_value
        small = []
        for index, (width, height) in enumerate(self._format.component_sizes):
            down = _averages(height, min(height, rows), self._gpu.device)
            across = _averages(width, min(width, columns), self._gpu.device)
            means = down @ self._samples(index) @ across.T * scale
            # A no-op but for a frame that is no larger than the network's size in one direction.
            small.append(functional.interpolate(means[None, None], (rows, columns), mode="bilinear")[0, 0])
        return torch.stack(small)

    def apply(self, maps: AffineMaps, strength: float) -> Frame:
        """The clear frame, as `affine.apply`."""
        if not self._gpu.failed:
            try:
                with self._gpu.stream():
                    return self._changed(maps, strength)
            except RuntimeError as error:
                self._gpu.give_up(error)
        return affine.apply(self._frame, self._format, maps, strength)

    def _changed(self, maps: AffineMaps, strength: float) -> Frame:
        import torch
        from torch.nn import functional

        layout = self._format.pixel_format
        gain = 1 + strength * (maps.gain - 1)
        bias = strength * maps.offset * layout.max_value + np.float32(0.5)
        small = torch.from_numpy(np.stack([gain, bias], axis=1).astype(np.float32, copy=False)).to(self._gpu.device)
        targets = {index: plane.clone() for index, plane in self._planes.items()}
        for index, component in enumerate(layout.components):
            samples = self._samples(index)
            a, b = functional.interpolate(small[index, None], samples.shape, mode="bilinear")[0]
            clear = samples.mul_(a).add_(b).clamp_(0, layout.max_value).int() << layout.shift
            target = targets[component.plane]
            layout.samples(target, index, self._frame.width, self._frame.height).copy_(clear.to(target.dtype))
        planes = list(self._frame.planes)
        for index, target in targets.items():
            native = self._gpu.download(target).view(layout.dtype.newbyteorder("="))
            planes[index] = native.astype(layout.dtype, copy=False)
        return self._frame.with_planes(tuple(planes))

    def _samples(self, index: int) -> Tensor:
        """A colour component's samples as float, (height, width)."""
        layout = self._format.pixel_format
        plane = self._planes[layout.components[index].plane]
        samples = layout.samples(plane, index, self._frame.width, self._frame.height)
        return ((samples.int() & 0xFFFF) >> layout.shift).float()


@functools.lru_cache(maxsize=32)
def _averages(size: int, out: int, device: torch.device) -> Tensor:
    """The matrix (out, size) that averages a row of samples by area, those that straddle an edge by their share."""
    import torch

    edges = np.arange(out + 1) * (size / out)
    x = np.arange(size)
    share = np.minimum(x + 1, edges[1:, None]) - np.maximum(x, edges[:-1, None])
    return torch.from_numpy((np.clip(share, 0, 1) * (out / size)).astype(np.float32)).to(device)

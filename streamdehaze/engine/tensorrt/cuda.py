"""The little of CUDA that running a plan needs, from torch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class CudaStream(Protocol):
    """A CUDA stream: work in it runs in order, concurrently with other streams."""

    @property
    def cuda_stream(self) -> int:
        """Its handle."""
        ...

    def synchronize(self) -> None:
        """Wait until its work is done."""
        ...


class Mark(Protocol):
    """A moment in a stream."""

    def elapsed_time(self, later: Any) -> float:
        """Milliseconds from this mark to a later one; both streams must have been waited for."""
        ...


class Cuda(Protocol):
    """Streams, memory and graphs of one device."""

    def stream(self) -> CudaStream:
        """A new stream."""
        ...

    def within(self, stream: CudaStream) -> AbstractContextManager[Any]:
        """Make torch's copies go into a stream."""
        ...

    def pinned(self, shape: tuple[int, ...]) -> Tensor:
        """Float32 host memory that copies may run from while the host works."""
        ...

    def device(self, shape: tuple[int, ...]) -> Tensor:
        """Float32 device memory."""
        ...

    def capture(self, stream: CudaStream, launch: Callable[[], None]) -> Callable[[], None]:
        """Record what `launch` puts into the stream as one graph; the result replays it."""
        ...

    def mark(self, stream: CudaStream) -> Mark:
        """Note in a stream when the device gets here."""
        ...


class TorchCuda:
    """torch's current CUDA device."""

    def stream(self) -> CudaStream:
        """See `Cuda.stream`."""
        import torch

        stream: CudaStream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        return stream

    def within(self, stream: CudaStream) -> AbstractContextManager[Any]:
        """See `Cuda.within`."""
        import torch

        return torch.cuda.stream(_torch_stream(stream))

    def pinned(self, shape: tuple[int, ...]) -> Tensor:
        """See `Cuda.pinned`."""
        import torch

        return torch.zeros(shape, pin_memory=True)

    def device(self, shape: tuple[int, ...]) -> Tensor:
        """See `Cuda.device`."""
        import torch

        return torch.zeros(shape, device="cuda")

    def capture(self, stream: CudaStream, launch: Callable[[], None]) -> Callable[[], None]:
        """See `Cuda.capture`."""
        import torch

        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=_torch_stream(stream)):
            launch()
        return graph.replay

    def mark(self, stream: CudaStream) -> Mark:
        """See `Cuda.mark`."""
        import torch

        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(_torch_stream(stream))
        return event


def _torch_stream(stream: CudaStream) -> torch.cuda.Stream:
    import torch

    assert isinstance(stream, torch.cuda.Stream)
    return stream

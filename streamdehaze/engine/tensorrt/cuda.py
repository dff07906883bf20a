"""The little of CUDA that running a plan needs, from torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Cuda:
    """Streams, memory and graphs of torch's current CUDA device."""

    def stream(self) -> torch.cuda.Stream:
        """A new stream: work in it runs in order, concurrently with other streams."""
        return torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def within(self, stream: torch.cuda.Stream) -> torch.cuda.StreamContext:
        """Make torch's copies go into a stream."""
        return torch.cuda.stream(stream)

    def pinned(self, shape: tuple[int, ...]) -> Tensor:
        """Float32 host memory that copies may run from while the host works."""
        return torch.zeros(shape, pin_memory=True)

    def device(self, shape: tuple[int, ...]) -> Tensor:
        """Float32 device memory."""
        return torch.zeros(shape, device="cuda")

    def capture(self, stream: torch.cuda.Stream, launch: Callable[[], None]) -> Callable[[], None]:
        """Record what `launch` puts into the stream as one graph; the result replays it.

        Other threads may allocate memory meanwhile, as those that change frames do.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            launch()
        return graph.replay

    def mark(self, stream: torch.cuda.Stream) -> torch.cuda.Event:
        """Note in a stream when the device gets here."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(stream)
        return event

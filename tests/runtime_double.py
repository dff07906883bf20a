"""TensorRT's run-time interface over ONNX Runtime and host memory, for machines without an NVIDIA GPU.

It only replaces the device: graphs, plans, recipes and the cache are tested for real. A "plan" is an ONNX file. It is
stricter than a GPU: work waits in its stream until something synchronises, so that a result read too early is visibly
wrong, and captured work runs on replay only.
"""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime
import torch


class DoubleStream:
    def __init__(self, cuda: DoubleCuda) -> None:
        self.cuda = cuda
        self.cuda_stream = len(cuda.streams) + 1
        self.waiting: list[Callable[[], None]] = []
        self.synchronised = 0

    def synchronize(self) -> None:
        self.synchronised += 1
        work, self.waiting = self.waiting, []
        for step in work:
            step()


class DeviceTensor(torch.Tensor):
    """Memory whose copies go into the current stream, as non-blocking copies do."""

    home: DoubleCuda
    """The latest device, as torch makes new tensors of this class without saying from which one."""

    @staticmethod
    def of(shape: tuple[int, ...]) -> DeviceTensor:
        return torch.zeros(shape).as_subclass(DeviceTensor)

    def copy_(self, source: torch.Tensor, non_blocking: bool = False) -> DeviceTensor:  # type: ignore[override]
        plain, origin = self.as_subclass(torch.Tensor), source.as_subclass(torch.Tensor)
        assert non_blocking, "a blocking copy would stall the other contexts"
        DeviceTensor.home.put(lambda: plain.copy_(origin))
        return self

    def numpy(self) -> np.ndarray:  # type: ignore[override]
        return self.as_subclass(torch.Tensor).numpy()


class DoubleCuda:
    def __init__(self) -> None:
        self.streams: list[DoubleStream] = []
        self.current: DoubleStream | None = None
        self.recording: list[Callable[[], None]] | None = None
        self.replays = 0
        DeviceTensor.home = self

    def put(self, step: Callable[[], None]) -> None:
        assert self.current is not None, "work outside of any stream"
        (self.current.waiting if self.recording is None else self.recording).append(step)

    def stream(self) -> DoubleStream:
        self.streams.append(DoubleStream(self))
        return self.streams[-1]

    @contextlib.contextmanager
    def within(self, stream: DoubleStream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before

    def pinned(self, shape: tuple[int, ...]) -> torch.Tensor:
        return DeviceTensor.of(shape)

    device = pinned

    def capture(self, stream: DoubleStream, launch: Callable[[], None]) -> Callable[[], None]:
        assert not stream.waiting, "a capture while work is under way"
        with self.within(stream):
            self.recording = recorded = []
            launch()
            self.recording = None

        def replay() -> None:
            self.replays += 1
            for step in recorded:
                self.put(step)

        return replay

    def mark(self, stream: DoubleStream) -> DoubleMark:
        mark = DoubleMark()
        stream.waiting.append(mark.reach)
        return mark


class DoubleMark:
    def reach(self) -> None:
        self.seconds = time.perf_counter()

    def elapsed_time(self, later: DoubleMark) -> float:
        return (later.seconds - self.seconds) * 1000


class DoubleTensorRT:
    """The module `tensorrt`, as far as running a plan needs it."""

    __name__ = "tensorrt"
    __version__ = "0.double"

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self, cuda: DoubleCuda) -> None:
        self.cuda = cuda
        self.contexts: list[Any] = []
        self.fail = False

    def Runtime(self, log: Any) -> Any:  # noqa: N802 - TensorRT's own name
        double = self

        class Context:
            def __init__(self, session: onnxruntime.InferenceSession) -> None:
                self.session, self.addresses, self.launches, self.shape = session, {}, 0, None
                double.contexts.append(self)

            def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
                wanted = self.session.get_inputs()[0].shape
                self.shape = shape
                return all(isinstance(w, str) or w == s for w, s in zip(wanted, shape, strict=True))

            def set_tensor_address(self, name: str, address: int) -> bool:
                self.addresses[name] = address
                return True

            def execute_async_v3(self, stream: int) -> bool:
                assert double.cuda.current is not None
                assert stream == double.cuda.current.cuda_stream, "launched into a foreign stream"
                self.launches += 1
                double.cuda.put(self.compute)
                return not double.fail

            def compute(self) -> None:
                hazy, clear = (self.memory(name) for name in ("hazy", "clear"))
                clear[...] = self.session.run(["clear"], {"hazy": hazy})[0]

            def memory(self, name: str) -> np.ndarray:
                count = int(np.prod(self.shape))
                cells = (ctypes.c_float * count).from_address(self.addresses[name])
                return np.frombuffer(cells, np.float32).reshape(self.shape)

        class Engine:
            def __init__(self, plan: bytes) -> None:
                self.session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])

            def create_execution_context(self) -> Context:
                return Context(self.session)

        class Runtime:
            engine_host_code_allowed = False

            def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
                try:
                    return Engine(plan)
                except Exception:
                    log.log(double.ILogger.ERROR, "Serialization assertion failed: magicTag")
                    return None

        self.runtime = Runtime()
        return self.runtime

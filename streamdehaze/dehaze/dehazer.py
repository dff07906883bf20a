"""`Dehazer`: hazy frames or arrays in, clear ones out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from streamdehaze.control.keyframes import Keyframes
from streamdehaze.dehaze.exact import infer_padded, whole_shape
from streamdehaze.dehaze.gpu import Gpu
from streamdehaze.dehaze.look import Look
from streamdehaze.dehaze.settings import SettingsKeywords
from streamdehaze.dehaze.steady import StateDict
from streamdehaze.dehaze.stream import Solution, Stream, apply
from streamdehaze.durable import file_sha256
from streamdehaze.engine import Engine, open_engine
from streamdehaze.engine.protocol import device_of
from streamdehaze.errors import ConfigError, EngineError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.network import DEFAULT_CHECKPOINT, find_checkpoint

if TYPE_CHECKING:
    from typing_extensions import Unpack

_COLOURLESS = 2 / 255
"""Largest difference between the channels of a picture without colour: what a codec's rounding leaves."""


class Dehazer:
    """Makes hazy pictures clear: an engine, and one `Stream` of its own.

    The network sees a small copy of each frame; what it did there is fitted as a local affine map and applied to the
    frame's own planes at full size and depth. With `exact`, the network runs on the whole frame instead. `process` and
    calls with an array take one video; `process_many` takes the frames of many, each in a `Stream` of its own.

    Args:
        checkpoint: name of a bundled checkpoint or path of one; ignored if `engine` is an `Engine`.
        engine: "auto", "torch", … or an `Engine` of your own.
        engine_wait: wait until a compiled engine is built, rather than let PyTorch serve meanwhile.
        int8: let the network compute in int8 where it does not run on every frame, see `open_engine`.
        **settings: the fields of `Settings`: strength, mode, airlight, airlight_color, brightness, network_size, exact,
            steady, every, look_ahead, input_curve, mask, near, far. With `look_ahead`, `process` returns frames later
            than it takes them; `flush` returns the rest.

    Raises:
        ConfigError: if a setting is out of range, or `exact` is combined with `steady` or `every`.
        CheckpointError, EngineError: if the checkpoint or the engine cannot be loaded.
        TypeError: if `engine` is an object that runs no network.

    Example:
        >>> clear = Dehazer("aecrnet-s")(hazy)  # (height, width, 3) uint8 or uint16 RGB
    """

    _opens_engine_late: ClassVar[bool] = False

    def __init__(
        self,
        checkpoint: str | os.PathLike[str] = DEFAULT_CHECKPOINT,
        *,
        engine: str | Engine = "auto",
        engine_wait: bool = False,
        int8: bool = True,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        self._int8 = int8
        self.video = Stream(**settings)
        """The stream of `process` and of calls with an array."""
        self.network_seconds = 0.0
        """Time spent in the engine so far."""
        self.checkpoint = os.fspath(checkpoint)
        self._engine_name = engine if isinstance(engine, str) else None
        self._engine_wait = engine_wait
        if not isinstance(engine, str):
            if not hasattr(engine, "infer"):
                raise TypeError(
                    f"an engine is a name or an object with infer(hazy), not {type(engine).__name__}; "
                    "examples/own_network.py wraps a network"
                )
            self.engine = engine
        elif not self._opens_engine_late:
            _ = self.engine  # so that what is wrong with it is reported here

    @cached_property
    def engine(self) -> Engine:
        """What runs the network."""
        assert self._engine_name is not None
        # Who has the network run on every frame wants its picture rather than its speed.
        int8 = self._int8 and self.video.every != 1
        return open_engine(self.checkpoint, self._engine_name, wait=self._engine_wait, int8=int8)

    @cached_property
    def gpu(self) -> Gpu | None:
        """What shrinks frames and applies maps where the engine runs on a GPU; None for the CPU."""
        device = device_of(self.engine)
        return None if device is None else Gpu(device)

    @property
    def strength(self) -> float | Keyframes:
        """Share of the haze that is removed, 0 to 1.5, or its keyframes; may be set at any time."""
        return self.video.strength

    @strength.setter
    def strength(self, value: float | Keyframes) -> None:
        before, self.video.strength = self.video.strength, value
        try:
            self.video.check()
        except Exception:
            self.video.strength = before
            raise

    @property
    def arguments(self) -> dict[str, Any]:
        """What makes another dehazer like this one, elsewhere: `Dehazer(**arguments)`.

        Raises:
            ConfigError: if the engine is an object of the caller's own.
        """
        if self._engine_name is None:
            raise ConfigError("this dehazer's engine is an object, which cannot be sent to a worker; name an engine")
        named = {"checkpoint": self.checkpoint, "engine": self._engine_name, "int8": self._int8}
        return {**named, **self.video.settings}

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides what happens to a frame, as plain values; two dehazers with the same give the same."""
        return {
            "checkpoint": file_sha256(find_checkpoint(self.checkpoint)) if self._engine_name is not None else "",
            "engine": self._engine_name or self.engine.name,
            **self.video.settings,
        }

    def __call__(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A clear picture of the same shape and dtype for a hazy one.

        Args:
            image: (height, width), (height, width, 3) RGB or (height, width, 4) RGBA; uint8 or uint16. Alpha is kept.

        Raises:
            ValueError: for another shape or dtype.
        """
        return (self.process([Frame.from_array(image)]) + self.flush())[-1].to_array()

    def process(self, frames: Sequence[Frame]) -> list[Frame]:
        """Clear frames for hazy ones, in order; frames of one shape share a run of the network.

        Raises:
            TypeError: for arrays and tensors: `Frame.from_array` and `from_tensor` make frames of them.
        """
        for frame in frames:
            if not hasattr(frame, "planes"):
                raise TypeError(
                    f"process takes frames, not {type(frame).__name__}; make one by Frame.from_array or from_tensor"
                )
        many = self.process_many([(self.video, frame) for frame in frames])
        return [clear for clear_frames in many for clear in clear_frames]

    def stream(self, **settings: Unpack[SettingsKeywords]) -> Stream:
        """Another video for `process_many`, with this dehazer's settings but for those given."""
        merged: SettingsKeywords = {**self.video.settings, **settings}
        return Stream(**merged)

    def process_many(self, pairs: Sequence[tuple[Stream, Frame]]) -> Iterator[list[Frame]]:
        """Clear frames of many videos; pictures of one shape share a run of the network.

        Args:
            pairs: frames with the stream each belongs to; those of one stream in order.

        Yields:
            For each pair, in order, what its stream returns now: usually the clear frame, with look-ahead none or
            several. Each is yielded as soon as it is ready, so the first does not wait for the last.

        Raises:
            EngineError: if the engine fails, or returns values that are not finite.
        """
        looks = [None if stream.exact else stream.look(frame, self.gpu) for stream, frame in pairs]
        answers = iter(self.infer([look for look in looks if look is not None]))
        for (stream, frame), look in zip(pairs, looks, strict=True):
            if look is not None:
                yield stream.answer(look, next(answers))
            else:  # whole frames go one by one: a batch of them costs memory and gains nothing
                look = stream.look(frame)
                yield stream.answer(look, *self.infer([look]))

    def infer(self, looks: Sequence[Look]) -> list[FloatArray | None]:
        """What the network makes of looks, for `Stream.solve`; pictures of one shape share a run.

        Returns:
            For each look its clear RGB picture, (3, rows, columns); None where the network need not run.

        Raises:
            EngineError: if the engine fails, or returns values that are not finite.
        """
        clear: list[FloatArray | None] = [None] * len(looks)
        by_shape: dict[tuple[int, ...], list[tuple[int, FloatArray]]] = {}
        for index, look in enumerate(looks):
            if look.picture is not None:
                by_shape.setdefault(look.picture.shape, []).append((index, look.picture))
        for pictures in by_shape.values():
            answers = self._infer(np.stack([picture for _, picture in pictures]))
            for (index, _), answer in zip(pictures, answers, strict=True):
                clear[index] = answer
        return clear

    def flush(self, stream: Stream | None = None) -> list[Frame]:
        """The clear frames still held back to look ahead; call it where the video, or a segment of it, ends.

        Args:
            stream: one of `process_many`; None is the stream of `process`.
        """
        return [apply(solution) for solution in self.solve_rest(stream)]

    def solve_rest(self, stream: Stream | None = None) -> list[Solution]:
        """The solutions of the frames still held back, which `flush` applies; the network runs on the last of them."""
        stream = stream or self.video
        look = stream.last_look()
        if look is not None:
            (answer,) = self.infer([look])
            assert answer is not None
            stream.solve_last(look, answer)
        return stream.solve_rest()

    def reset(self) -> None:
        """Forget the frames so far: what comes is another video, or another place in this one."""
        self.video.reset()

    def state_dict(self) -> StateDict:
        """What is remembered of the frames so far, see `Stream.state_dict`."""
        return self.video.state_dict()

    def load_state_dict(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue as the dehazer would that `state` was taken from.

        Raises:
            ConfigError: if it is not such a state.
        """
        self.video.load_state_dict(state)

    def close(self) -> None:
        """Free the engine; may be called twice."""
        if self.video.mask is not None:
            self.video.mask.close()
        if "engine" in vars(self):
            self.engine.close()

    def __enter__(self) -> Dehazer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _infer(self, hazy: FloatArray) -> FloatArray:
        """The network's answer to pictures, (batch, 3, rows, columns) in [0, 1]; one without colour stays so."""
        began = time.perf_counter()
        clear = infer_padded(self.engine, hazy, whole_shape(hazy.shape[3], hazy.shape[2]))
        self.network_seconds += time.perf_counter() - began
        if not np.isfinite(clear).all():
            raise EngineError(f"the engine '{self.engine.name}' gave values that are not finite numbers")
        colourless = np.ptp(hazy, axis=1).max(axis=(1, 2)) < _COLOURLESS
        if colourless.any():
            clear = np.where(colourless[:, None, None, None], clear.mean(axis=1, keepdims=True), clear)
        return clear

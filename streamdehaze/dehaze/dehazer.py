"""`Dehazer`: hazy frames or arrays in, clear ones out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze import affine, exact
from streamdehaze.dehaze.inference import infer
from streamdehaze.dehaze.lookahead import Held, LookAhead
from streamdehaze.dehaze.temporal import Every, Sight, StateDict, Steady, TemporalFilter
from streamdehaze.engine import Engine, open_engine
from streamdehaze.errors import ConfigError
from streamdehaze.frame import ColorSpec, FloatArray, Frame
from streamdehaze.network import DEFAULT_CHECKPOINT, checkpoint_hash, find_checkpoint

if TYPE_CHECKING:
    from types import TracebackType

DEFAULT_NETWORK_SIZE = 256


class Dehazer:
    """Makes hazy pictures clear.

    The network sees a small copy of each frame; what it did there is fitted as a local affine map and applied to the
    frame's own planes at full size and depth. With `exact`, the network runs on the whole frame instead.

    Args:
        checkpoint: name of a bundled checkpoint or path of one; ignored if `engine` is an `Engine`.
        engine: "auto", "torch", … or an `Engine` of your own.
        engine_wait: wait until a compiled engine is built, rather than let PyTorch serve meanwhile.
        strength: 0 (unchanged, bit for bit) to 1 (all the haze the network sees removed); may be set at any time.
        network_size: long side of the small picture in pixels, a multiple of 4; smaller is faster and coarser.
        exact: run the network on the whole frame.
        steady: "low" or "high" smooths the maps over time, against flicker; frames then belong to one video and come
            in order, and `reset` begins another one. "off": each frame stands for itself.
        every: the network sees every so-manieth frame, and the maps are carried along the motion between; "auto": as
            often as what changes asks for.
        look_ahead: frames are held back (up to 48, or 96 MiB of them), so that their maps come from the frames after
            them too: steadier while the camera moves, and interpolated where `every` leaves out the network. What
            `process` returns is then behind what it is given; `flush` returns the rest.

    Raises:
        ConfigError: if `strength`, `network_size` or `every` is out of range, or `exact` is to be steady.
        CheckpointError, EngineError: if the checkpoint or the engine cannot be had.

    Example:
        >>> clear = Dehazer("aecrnet-s")(hazy)  # (height, width, 3) uint8 or uint16 RGB
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike[str] = DEFAULT_CHECKPOINT,
        *,
        engine: str | Engine = "auto",
        engine_wait: bool = False,
        strength: float = 1.0,
        network_size: int = DEFAULT_NETWORK_SIZE,
        exact: bool = False,
        steady: Steady = "off",
        every: Every = 1,
        look_ahead: bool = False,
    ) -> None:
        if network_size < 16 or network_size % 4:
            raise ConfigError(f"network size must be a multiple of 4 and at least 16, not {network_size}")
        if every != "auto" and every < 1:
            raise ConfigError(f"every must be 'auto' or at least 1, not {every}")
        if exact and (steady != "off" or every != 1):
            raise ConfigError("exact works frame by frame; leave steady off and every at 1 with it")
        self._temporal = TemporalFilter(steady, ahead=look_ahead)
        self._look_ahead = LookAhead() if look_ahead and (steady != "off" or every != 1) else None
        self._steady: Steady = steady
        self._every: Every = every
        self.strength = strength
        self._network_size = network_size
        self._exact = exact
        self.checkpoint = os.fspath(checkpoint)
        self._asked = engine if isinstance(engine, str) else None
        self.engine: Engine = (
            engine if not isinstance(engine, str) else open_engine(checkpoint, engine, wait=engine_wait)
        )

    @property
    def strength(self) -> float:
        """Share of the haze that is removed, 0 to 1."""
        return self._strength

    @strength.setter
    def strength(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise ConfigError(f"strength must lie between 0 and 1, not {value}")
        self._strength = float(value)

    def __call__(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A clear picture of the same shape and dtype for a hazy one.

        Args:
            image: (height, width), (height, width, 3) RGB or (height, width, 4) RGBA; uint8 or uint16. Alpha is kept.

        Raises:
            ValueError: for another shape or dtype.
        """
        return (self.process([Frame.from_array(image)]) + self.flush())[-1].to_array()

    def process(self, frames: Sequence[Frame]) -> list[Frame]:
        """Clear frames for hazy ones, in order; frames of one shape share a run of the network."""
        if self._strength == 0:
            return self.flush() + list(frames)
        return self._process_exact(frames) if self._exact else self._process_small(frames)

    def flush(self) -> list[Frame]:
        """The clear frames still held back to look ahead; call it where the video, or a segment of it, ends."""
        return self._take(everything=True) if self._look_ahead is not None else []

    def reset(self) -> None:
        """Forget the frames so far: what comes is another video, or another place of this one."""
        self._temporal.reset()
        if self._look_ahead is not None:
            self._look_ahead.drop()

    def state_dict(self) -> StateDict:
        """What is remembered of the frames so far, by name; empty where every frame stands for itself.

        It knows nothing of frames held back: `flush` comes first.
        """
        return self._temporal.state_dict() if self._remembers else {}

    def load_state_dict(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on as the dehazer would that `state` was taken from.

        Raises:
            ConfigError: if it is no such state.
        """
        self._temporal.load_state_dict(state)

    @property
    def _remembers(self) -> bool:
        return self._steady != "off" or self._every != 1

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides what becomes of a frame, as plain values; two dehazers with the same give the same."""
        return {
            "checkpoint": checkpoint_hash(find_checkpoint(self.checkpoint)) if self._asked is not None else "",
            "engine": self._asked or self.engine.name,
            "strength": self._strength,
            "network_size": self._network_size,
            "exact": self._exact,
            "steady": self._steady,
            "every": self._every,
            "look_ahead": self._look_ahead is not None,
        }

    def _process_small(self, frames: Sequence[Frame]) -> list[Frame]:
        shapes = [affine.network_shape(f.width, f.height, self._network_size) for f in frames]
        hazy = [affine.shrink_components(f, shape) for f, shape in zip(frames, shapes, strict=True)]
        colors = [f.color.resolved(f.pixel_format, f.height) for f in frames]
        rgb = [affine.to_rgb(h, f.pixel_format, c) for h, f, c in zip(hazy, frames, colors, strict=True)]
        if not self._remembers:
            answers = iter(self._infer(rgb))
            fresh = [self._fit(*of, next(answers)) for of in zip(frames, colors, hazy, strict=True)]
            return [affine.apply(frame, maps, self._strength) for frame, maps in zip(frames, fresh, strict=True)]
        sights = [self._look(frame, picture) for frame, picture in zip(frames, rgb, strict=True)]
        answers = iter(self._infer([sight.picture for sight in sights if sight.network]))
        clear_frames = []
        for frame, color, small, sight in zip(frames, colors, hazy, sights, strict=True):
            maps = self._fit(frame, color, small, next(answers)) if sight.network else None
            family = frame.pixel_format.family
            if self._look_ahead is None:
                clear_frames.append(
                    affine.apply(frame, self._temporal.smooth(sight, small, family, maps), self._strength)
                )
            else:
                self._look_ahead.add(Held(frame, small, sight, self._temporal.follow(sight, small, maps)))
                clear_frames += self._take()
        return clear_frames

    def _take(self, *, everything: bool = False) -> list[Frame]:
        """The clear frames that need not be held back any longer."""
        assert self._look_ahead is not None
        clear_frames = []
        for held in self._look_ahead.take(everything=everything):
            maps = self._temporal.level(held.estimate, held.components, held.frame.pixel_format.family)
            clear_frames.append(affine.apply(held.frame, maps, self._strength))
        return clear_frames

    def _look(self, frame: Frame, picture: FloatArray) -> Sight:
        key = f"{frame.pixel_format.name} {frame.width}x{frame.height}"
        return self._temporal.look(picture, key, frame.seconds, self._every)

    @staticmethod
    def _fit(frame: Frame, color: ColorSpec, small: FloatArray, clear_rgb: FloatArray) -> affine.AffineMaps:
        layout = frame.pixel_format
        return affine.fit(small, affine.from_rgb(clear_rgb, layout, color), layout.family)

    def _process_exact(self, frames: Sequence[Frame]) -> list[Frame]:
        clear_frames = []
        for frame in frames:  # one by one: at full size a batch costs memory and gains nothing
            color = frame.color.resolved(frame.pixel_format, frame.height)
            components = exact.full_size_components(frame)
            padded = exact.pad_to_multiple_of_4(affine.to_rgb(components, frame.pixel_format, color))
            clear = self._infer([padded])[0][:, : frame.height, : frame.width]
            clear_frames.append(exact.apply_difference(frame, color, components, clear, self._strength))
        return clear_frames

    def _infer(self, pictures: Sequence[FloatArray]) -> list[FloatArray]:
        """Run the engine on runs of equal shape."""
        clear: list[FloatArray] = []
        start = 0
        for end in range(1, len(pictures) + 1):
            if end == len(pictures) or pictures[end].shape != pictures[start].shape:
                clear.extend(infer(self.engine, np.stack(pictures[start:end])))
                start = end
        return clear

    def close(self) -> None:
        """Free the engine; may be called twice."""
        self.engine.close()

    def __enter__(self) -> Dehazer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

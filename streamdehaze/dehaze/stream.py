"""`Stream`: one video on its way through dehazing, its settings and what is remembered of its frames.

A frame takes four steps, each with its own function:

1. `Stream.look` shrinks it, fills what is not the scene, looks for motion and balances the picture by its airlight:
   `Look`, with the picture for the network.
2. The network runs on that picture (`Dehazer.infer`, for many looks at once).
3. `Stream.solve` gives the answer its tint and brightness back, fits it, smooths it over time and holds frames back:
   `Solution`.
4. `apply` changes the native planes. It needs no memory, so it may run in any thread.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdehaze.control.color import Color
from streamdehaze.control.curves import InputCurve, check_depth, curve_of, to_display, to_signal
from streamdehaze.control.keyframes import Keyframes
from streamdehaze.control.place import Place
from streamdehaze.dehaze import affine, exact
from streamdehaze.dehaze.affine import AffineMaps
from streamdehaze.dehaze.atmosphere import Atmosphere, Balanced
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.dehaze.frame_mask import FrameMask, fill, restore
from streamdehaze.dehaze.gpu import Gpu, Surface
from streamdehaze.dehaze.look import Look
from streamdehaze.dehaze.settings import Settings
from streamdehaze.dehaze.steady import Held, LookAhead, StateDict, TemporalFilter
from streamdehaze.errors import ConfigError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.meter import density
from streamdehaze.meter.auto import AutoStrength
from streamdehaze.meter.reading import Reading
from streamdehaze.meter.recognition import recognized_density

_MEASURED_SECONDS = 0.2
"""The haze is measured this often at most, unless the strength depends on it: it takes a tenth of a frame's time."""


@dataclass(frozen=True)
class Solution:
    """How a frame becomes clear."""

    look: Look
    change: AffineMaps | FloatArray | None
    """Maps to apply; if `look.exact`, the network's answer (3, rows, columns); None: the frame stays as it is."""
    reading: Reading | None = None
    """The haze that was last measured; None before the network first ran."""


class Stream(Settings):
    """One video: its settings, and what is remembered of its frames.

    The settings may change between frames; a wrong value is reported by the next `look`. Frames come in order. With
    `look_ahead`, `answer` returns earlier frames, and `flush` the rest.

    Example:
        >>> stream = Stream(steady="low")
        >>> look = stream.look(frame)
        >>> clear_frames = stream.answer(look, None if look.picture is None else network(look.picture))
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._temporal = TemporalFilter(self.steady, ahead=self.look_ahead)
        self._held: LookAhead[tuple[Look, Reading | None]] = LookAhead()
        self._mask = FrameMask()
        self._atmosphere = Atmosphere()
        self._auto = AutoStrength()
        self.reading: Reading | None = None
        """The haze as last measured; None before the network first ran."""
        self._measured_at: float | None = None
        self.applied_strength = 0.0
        """Strength applied to the last frame solved."""

    def look(self, frame: Frame, gpu: Gpu | None = None) -> Look:
        """Shrink the next frame and look for motion; `look.picture` is what the network must run on, if it must.

        Looks may run ahead of answers, as for a batch; both come in the order of the frames.

        Args:
            frame: the next one.
            gpu: what shrinks it and applies its maps; None for the CPU.

        Raises:
            ConfigError: if a setting was changed to a wrong value.
        """
        self.check()
        strength = self.strength.at(frame.seconds) if isinstance(self.strength, Keyframes) else self.strength
        if self.mode == "off":
            strength = 0.0
        frame_format = FrameFormat.of(frame, self.network_size)
        place = self.place
        limits = place.at(frame) if place != Place() else None
        if strength == 0:
            self._temporal.skip()
            return Look(frame, frame_format, strength)
        if not self.remembers:
            self._temporal.skip()
            self._mask = FrameMask()
        check_depth(self.input_curve, frame.pixel_format.depth)
        surface: Surface | None = None
        if self.exact:
            components = exact.full_size_components(frame)
        elif gpu is not None:
            components, surface = gpu.shrink(frame, frame_format)
        else:
            components = affine.shrink_components(frame, frame_format)
        curve = curve_of(self.input_curve, frame.color)
        picture = to_display(affine.to_rgb(components, frame_format), curve)
        scene = None
        if (covered := self._mask.update(picture)) is not None:
            scene = ~covered
            components = fill(components, covered)
            picture = to_display(affine.to_rgb(components, frame_format), curve)
        observation, starts = None, True
        if self.remembers:
            if (self._temporal.steady, self._temporal.ahead) != (self.steady, self.look_ahead):
                self._temporal.steady, self._temporal.ahead = self.steady, self.look_ahead
                self._temporal.skip()  # what is remembered was weighed otherwise
            observation = self._temporal.look(picture, frame_format.key, frame.seconds, self.every)
            starts = self.steady == "off" or observation.motion is None or observation.motion.cut
        balanced = None
        if observation is None or observation.network:
            balanced = self._atmosphere.balance(picture, scene, starts=starts, color=self.airlight_color)
        else:
            self._atmosphere.skip()
        return Look(
            frame,
            frame_format,
            strength,
            components,
            balanced,
            self._mask.keep(frame, frame_format, curve),
            observation,
            exact=self.exact,
            look_ahead=self.look_ahead and self.remembers,
            auto=self.mode == "auto",
            place=limits,
            curve=curve,
            surface=surface,
        )

    def color_at(self, frame: Frame, x: float, y: float) -> Color:
        """The colour of a frame around a point, as `airlight_color` takes it: a mean over 3 by 3 of the small picture.

        Args:
            frame: of this video.
            x, y: pixels from the left and from above.

        Raises:
            ConfigError: if the point lies outside.
        """
        if not (0 <= x < frame.width and 0 <= y < frame.height):
            raise ConfigError(f"the point {x:g},{y:g} lies outside the frame of {frame.width}x{frame.height} pixels")
        frame_format = FrameFormat.of(frame, self.network_size)
        picture = affine.to_rgb(affine.shrink_components(frame, frame_format), frame_format)
        picture = to_display(picture, curve_of(self.input_curve, frame.color))
        row, column = int(y * picture.shape[1] / frame.height), int(x * picture.shape[2] / frame.width)
        around = picture[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        red, green, blue = (float(channel.mean()) for channel in around)
        return red, green, blue

    def solve(self, look: Look, clear_rgb: FloatArray | None) -> list[Solution]:
        """Fit the network's answer and smooth it over time.

        Args:
            look: of the next frame, in the order of the looks.
            clear_rgb: the network's answer to `look.picture`, of the same shape; None where that is None.

        Returns:
            The frames that need not be held back any longer, in order: none, this one, or those before it too.
        """
        components, observation = look.components, look.observation
        self.applied_strength = look.strength
        if components is None:
            return [*self._release(everything=True), Solution(look, None)]
        measured = None
        if look.balanced is not None and clear_rgb is not None:
            if look.auto or self._is_unmeasured(look):
                measured = self.reading = density.read(look.balanced, clear_rgb)
                self._measured_at = look.frame.seconds
            clear_rgb = self._finished(look.balanced, clear_rgb, look.curve)
        if look.auto:
            look = replace(look, strength=look.strength * self._follow(look, measured))
            self.applied_strength = look.strength
        if look.exact:
            return [*self._release(everything=True), Solution(look, clear_rgb, self.reading)]
        fresh = None if clear_rgb is None else _fitted(look, components, clear_rgb)
        if observation is None:
            return [*self._release(everything=True), Solution(look, fresh, self.reading)]
        estimate = self._temporal.follow(observation, components, fresh)
        item = replace(look, components=None, balanced=None, observation=None), self.reading
        held = Held(item, look.frame.nbytes, components, observation, estimate)
        if look.look_ahead:
            self._held.add(held)
            return self._release()
        return [*self._release(everything=True), self._level(held)]

    def answer(self, look: Look, clear_rgb: FloatArray | None) -> list[Frame]:
        """Clear frames from the network's answer to a look, as `solve` returns them."""
        return [apply(solution) for solution in self.solve(look, clear_rgb)]

    def flush(self) -> list[Frame]:
        """The clear frames still held back to look ahead; call it where the video, or a segment of it, ends."""
        return [apply(solution) for solution in self.solve_rest()]

    def last_look(self) -> Look | None:
        """The last frame held back, for the network to run on after all; None if it did, or there is none.

        Where a video ends, no later answer corrects what was carried there. `solve_last` takes the answer.
        """
        held = self._held.last
        if held is None or held.observation.network:
            return None
        look = held.item[0]
        picture = to_display(affine.to_rgb(held.components, look.frame_format), look.curve)
        covered = self._mask.covered
        scene = None if covered is None else ~covered
        balanced = self._atmosphere.balance(picture, scene, starts=self.steady == "off", color=self.airlight_color)
        return replace(look, balanced=balanced)

    def solve_last(self, look: Look, clear_rgb: FloatArray) -> None:
        """Correct the last frame held back by the network's answer to `last_look`, before `solve_rest`."""
        held = self._held.last
        assert held is not None
        assert look.balanced is not None
        clear_rgb = self._finished(look.balanced, clear_rgb, look.curve)
        fresh = _fitted(look, held.components, clear_rgb)
        estimate = self._temporal.follow_late(held.estimate, held.components, fresh)
        self._held.replace_last(replace(held, estimate=estimate))

    def solve_rest(self) -> list[Solution]:
        """The solutions of the frames still held back; `flush` applies them."""
        self._measured_at = None  # as where work is resumed
        return self._release(everything=True)

    def reset(self) -> None:
        """Forget the frames so far: what comes is another video, or another place in this one."""
        if self.mask is not None:
            self.mask.close()
        self._temporal.reset()
        self._held.drop()
        self._mask = FrameMask()
        self._atmosphere = Atmosphere()
        self._auto = AutoStrength()
        self.reading = self._measured_at = None

    def state_dict(self) -> StateDict:
        """What is remembered of the frames so far, by name; empty where frames are independent.

        Frames held back are not in it: call `flush` first.
        """
        auto: StateDict = {"auto": self._auto.state()} if self.mode == "auto" else {}
        if not self.remembers:
            return auto
        kept: StateDict = {**self._mask.state(), "atmosphere": self._atmosphere.state()}
        return {**self._temporal.state_dict(), **kept, **auto}

    def load_state_dict(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue as the stream would that `state` was taken from.

        Raises:
            ConfigError: if it is not such a state.
        """
        self.reset()
        others = {name: array for name, array in state.items() if name != "auto"}
        self._temporal.load_state_dict(others)
        try:
            if "auto" in state:
                self._auto.load(np.asarray(state["auto"], np.float64))
            if others:
                self._mask.load(*(np.asarray(state[name], np.uint8) for name in ("covered", "keep")))
                self._atmosphere.load(np.asarray(state["atmosphere"], np.float64))
        except (KeyError, ValueError) as error:
            raise ConfigError(f"this is not the state of a stream ({error}); start over") from error

    def _finished(self, balanced: Balanced, answer: FloatArray, curve: InputCurve) -> FloatArray:
        """The clear picture from the network's answer, in the frame's own transfer curve."""
        clear = self._atmosphere.finish(balanced, answer, self.airlight, self.brightness)
        if balanced.scene is not None:
            # Sky is only kept in the scene; the windows that maps are fitted in must not mix it with another answer.
            clear = fill(clear, ~balanced.scene)
        return to_signal(clear, curve)

    def _is_unmeasured(self, look: Look) -> bool:
        """Whether the last measurement says nothing of this frame: it is of another scene, or too long ago."""
        observation, seconds = look.observation, look.frame.seconds
        if observation is None or observation.motion is None or observation.motion.cut:
            return True
        return seconds is None or self._measured_at is None or not 0 <= seconds - self._measured_at < _MEASURED_SECONDS

    def _follow(self, look: Look, measured: Reading | None) -> float:
        """The share of the strength that the haze of the next frame calls for."""
        observation = look.observation
        if observation is not None:
            starts = observation.motion is None or observation.motion.cut
        else:  # nothing tells a cut; without a time the frame is a single photo
            starts = look.frame.pts is None
        if measured is None or look.balanced is None:
            return self._auto.follow(None, look.frame.seconds, starts=starts)
        recognize = functools.partial(recognized_density, look.balanced.hazy)
        return self._auto.follow(measured.agreed, look.frame.seconds, starts=starts, second_opinion=recognize)

    def _release(self, *, everything: bool = False) -> list[Solution]:
        """The frames that need not be held back any longer."""
        return [self._level(held) for held in self._held.take(everything=everything)]

    def _level(self, held: Held[tuple[Look, Reading | None]]) -> Solution:
        look, reading = held.item
        family = look.frame_format.pixel_format.family
        return Solution(look, self._temporal.level(held.estimate, held.components, family), reading)


def _fitted(look: Look, components: FloatArray, clear_rgb: FloatArray) -> AffineMaps:
    """The maps that turn the small hazy components into the clear picture's."""
    clear = affine.from_rgb(clear_rgb, look.frame_format)
    return affine.fit(components, clear, look.frame_format.pixel_format.family)


def apply(solution: Solution) -> Frame:
    """The clear frame: the same one, or with other samples in its native planes."""
    look, change = solution.look, solution.change
    if change is None or look.strength == 0:
        return look.frame
    if isinstance(change, AffineMaps):
        if look.place is not None:
            change = look.place.limit(change, look.frame_format.pixel_format.family)
        if look.surface is not None:
            clear = look.surface.apply(change, look.strength)
        else:
            clear = affine.apply(look.frame, look.frame_format, change, look.strength)
    else:
        assert look.components is not None  # of whole frames, which are not held back
        clear = exact.apply_difference(look.frame, look.frame_format, look.components, change, look.strength)
    if look.keep is not None:
        restore(clear, look.frame, look.keep)
    return clear

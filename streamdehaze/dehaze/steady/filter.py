"""Affine maps that hold still: a per-pixel Kalman filter over time, carried along the motion of the small picture.

A network that sees one frame at a time answers a little differently each time, so the clear video flickers and pumps.
Its answers become small affine maps (`streamdehaze.dehaze.affine`), and these are filtered:

1. **look** (needs no network): motion from the last small hazy picture to this one, and whether it is a cut
   (`streamdehaze.dehaze.steady.motion`). With `every`, this decides whether the network runs on the frame at all.
2. **carry**: if the camera moves, everything remembered is moved along, and changed as such things usually change
   (`streamdehaze.dehaze.steady.trend`).
3. **weigh**: each pixel has a variance P next to its gain and offset, and the hazy colour R they were learned on. The
   process noise grows with the distance of the picture from R beyond the picture's own noise; so the Kalman gain falls
   as 1/n while a pixel stands still and is near 1 where something passes. While the camera stands, R is filtered with
   the same gain, so that slow drift of the light or the fog cannot hide between two frames; while it moves, R is the
   picture before, which has not been blurred by being carried. What a pixel was before something passed in front of it
   is taken again once the picture is as it was (`streamdehaze.dehaze.steady.background`).
4. **blend** the fresh maps in. Where no frames are held back, what is given of a still pixel follows what is known
   by a share in each frame, too: smoothed twice, it changes much less from frame to frame.
5. **level**: while the camera stands still, the overall brightness is held (`streamdehaze.dehaze.steady.level`).

In files, frames can be held back (`streamdehaze.dehaze.steady.lookahead`); then the same is done backwards between 4
and 5.

At a cut everything starts over with that very frame. What was known is kept aside for `_SHELF_FRAMES` frames: if the
picture returns to it (a flash, a camera switched there and back), it is used again.

The state is two dozen small planes, a few MB at most. It depends on the frames in order and on nothing else: batches
give what single frames give, and `state_dict` / `load_state_dict` (plain arrays) continue bit for bit where a run was
cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.affine import AffineMaps
from streamdehaze.dehaze.kernels import blend, carry, channel_mean, correct, process_noise
from streamdehaze.dehaze.steady.background import Background
from streamdehaze.dehaze.steady.level import Level
from streamdehaze.dehaze.steady.motion import Motion, find_motion, same_scene
from streamdehaze.dehaze.steady.trend import Trend
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Family, FloatArray

Steady = Literal["off", "low", "high"]
Every = int | Literal["auto"]
StateDict = dict[str, npt.NDArray[Any]]

STEADY: tuple[Steady, ...] = ("off", "low", "high")
_AUTO_MOST, _AUTO_UNREST, _AUTO_FAST = 6, 0.38, 2.2
"""With `every` "auto" the network runs once this many frames have passed, or this much unrest has accumulated, and on
each frame with this mean motion in pixels: maps are not carried well along a fast one. Typical is 0.2 of unrest a frame
for a camera that moves."""
_AUTO_PASSING = 0.15
"""This much unrest with the camera at rest: what passes by is not carried, and between distant answers its maps are
unknown. Typical is 0.03 a frame where a few people move."""
_SHELF_FRAMES = 12
"""A scene is remembered for this many frames after a cut away from it."""
_FIRST_NOISE = 0.002
_FIRST_DOUBT = 0.25
"""Variance of the first maps of a scene, in units of that of one answer, where no frames are held back. Taken for no
better than the second, they would show as a jump: the second answer would move every pixel halfway to itself."""
_TRUSTED = 0.3
"""Kalman gain ``P / (P + 1)`` below which a pixel counts as still."""
_AGAIN = np.float32(4)
"""The share of the second smoothing, in units of the variance: high enough to add little lag."""
_GAP_SECONDS, _GAP_FRAMES = 1.0, 5
"""A jump in time longer than both begins a new scene: a seek, or a camera that was away."""


@dataclass(frozen=True)
class Confidence:
    """How long what is known about a pixel is trusted."""

    drift: float
    """Process noise of an unchanged pixel, in units of the variance of one answer; the gain settles at its root."""
    spread: float
    """Change of the hazy colour, of full scale, that adds as much process noise as one answer has."""
    kept: float = 0.0
    """Share of a change of the hazy colour along the motion that is taken for haze: the clear colour stays."""


_STILL = {"low": Confidence(0.0012, 0.1), "high": Confidence(0.0008, 0.2)}
_STILL_AHEAD = {"low": Confidence(0.0003, 0.1), "high": Confidence(0.0002, 0.2)}
_MOVING = {"low": Confidence(0.0007, 0.25, 0.5), "high": Confidence(0.0005, 0.3, 0.5)}
_MOVING_AHEAD = {"low": Confidence(0.015, 0.1, 0.7), "high": Confidence(0.008, 0.15, 0.7)}
"""Lag is corrected from the frames ahead; a longer memory would show where the frames held back end."""
_KEPT_MOST = 0.02
"""Change from frame to frame, as a share of full scale, above which it is not haze but another object."""


@dataclass(frozen=True)
class Observation:
    """What `TemporalFilter.look` saw; hand it to `follow` with the maps, frame by frame in the same order."""

    grey: FloatArray
    """Mean of the channels of the small hazy picture, (rows, columns)."""
    motion: Motion | None
    """Since the frame before; None if there is none, or it does not belong to the same scene."""
    network: bool
    """Whether the network must run on this frame: `follow` needs fresh maps."""

    def without_pictures(self) -> Observation:
        """The same without what takes memory: enough to correct an estimate by those after it."""
        motion = None if self.motion is None else replace(self.motion, flow=None)
        return Observation(np.empty((0, 0), np.float32), motion, self.network)


@dataclass(frozen=True)
class Estimate:
    """The current estimate of a frame's maps."""

    planes: FloatArray
    """Gain and offset of each component, (2n, rows, columns); estimates of several frames may share them."""
    variance: FloatArray
    """(rows, columns), in units of the variance of one answer."""
    trust: Confidence
    """Put into what was known, from the frame before to this one."""
    still: npt.NDArray[np.bool_] | None
    """Pixels that count as still; None while the camera moves."""
    new_scene: bool
    """Whether a scene begins, or is returned to: nothing connects the frame with the one before."""


class TemporalFilter:
    """Smooths the maps of one video; each stream needs its own.

    Args:
        steady: "off" takes fresh maps as they are, "low" and "high" smooth them.
        ahead: whether a `LookAhead` will correct the estimates.

    Example:
        >>> observation = temporal.look(rgb)
        >>> fresh = affine.fit(...) if observation.network else None
        >>> maps = temporal.level(temporal.follow(observation, components, fresh), components, family)
    """

    def __init__(self, steady: Steady = "low", *, ahead: bool = False) -> None:
        self.steady: Steady = steady
        self.ahead = ahead
        self.reset()

    def reset(self) -> None:
        """Forget everything, as where another video begins."""
        self._key = ""
        self._grey: FloatArray | None = None  # of the frame last looked at
        self._noise = _FIRST_NOISE
        self._seconds, self._interval = -1.0, 0.0
        self._since, self._unrest = 0, 0.0
        self._planes: FloatArray | None = None  # gain, offset and reference of each component, and the variance
        self._given: FloatArray | None = None  # those of the last estimate
        self._shelf: FloatArray | None = None
        self._shelf_age = 0
        self._level = Level()
        self._trend = Trend()
        self._background = Background()

    def skip(self) -> None:
        """Let a frame pass without a look at it: the next one begins a new scene."""
        self._grey = None

    def look(self, picture: FloatArray, key: str = "", seconds: float | None = None, every: Every = 1) -> Observation:
        """Look at the next small hazy picture, and decide whether the network must run on it.

        Args:
            picture: RGB (3, rows, columns) in [0, 1].
            key: of everything else that must be the same for maps to be carried on, such as the pixel format.
            seconds: presentation time; where it jumps, a new scene begins.
            every: the network runs on every `every`-th frame; "auto": as soon as enough has changed, on every sixth at
                the latest.
        """
        key = f"{key} {picture.shape}"
        grey, motion = channel_mean(picture), None
        if self._grey is not None and key == self._key and not self._jumps(seconds):
            motion = find_motion(grey, self._grey, self._noise)
            self._noise = motion.noise
        self._key, self._grey = key, grey
        if seconds is not None:
            self._interval = seconds - self._seconds if self._seconds >= 0 and motion is not None else 0.0
            self._seconds = seconds
        self._since += 1
        self._unrest += motion.unrest if motion is not None else 0.0
        network = motion is None or motion.cut or self._is_due(motion, every)
        if network:
            self._since, self._unrest = 0, 0.0
        return Observation(grey, motion, network)

    def follow(self, observation: Observation, components: FloatArray, fresh: AffineMaps | None) -> Estimate:
        """Estimate a frame's maps from this frame and those before; `level` turns the estimate into maps.

        Args:
            observation: of this frame.
            components: its small hazy components, (n, rows, columns).
            fresh: the maps fitted to the network's answer; None only where `observation.network` is false.
        """
        motion = observation.motion
        strength = "low" if self.steady == "off" else self.steady
        still_trust = (_STILL_AHEAD if self.ahead else _STILL)[strength]
        moving_trust = (_MOVING_AHEAD if self.ahead else _MOVING)[strength]
        n = len(components)
        new = None if fresh is None else self._answer(components, fresh)
        if self._planes is None or motion is None or not self._continues(components, motion):
            if new is None:
                raise ValueError("the first frame of a scene needs maps of its own")
            if not self.ahead:
                new[-1] *= np.float32(_FIRST_DOUBT)
            self._shelf, self._shelf_age = (self._planes if motion is not None else None), 0
            self._planes = new
            self._trend.forget()
            self._background.forget()
            self._given = new[: 2 * n].copy()
            return Estimate(self._given, new[-1].copy(), still_trust, None, new_scene=True)
        flow = None if motion.cut else motion.flow
        trust = still_trust if flow is None else moving_trust
        if flow is None:
            known = self._planes
            self._trend.forget()
        else:
            self._background.forget()
            known = carried(self._planes, flow, components, trust)
            self._trend.apply(known)
        noise = process_noise(known[2 * n : 3 * n], components, motion.floor, trust.spread, trust.drift)
        still: npt.NDArray[np.bool_] | None = None
        uncovered: npt.NDArray[np.bool_] | None = None
        if flow is None:
            # Of frames held back, the answer that comes next corrects those before it; they can share their planes.
            give_back = new is not None or not self.ahead
            uncovered = self._background.update(
                known, components, noise, motion.floor, trust.drift, give_back=give_back
            )
        variance = known[-1] + noise
        known[-1] = variance
        if flow is None:
            still = variance < np.float32(_TRUSTED / (1 - _TRUSTED))
            if uncovered is not None:
                still &= ~uncovered  # their brightness has changed
        if new is not None:
            known = self._weighed(known, new, moves=flow is not None)
        if flow is not None:
            known[2 * n : 3 * n] = components
        self._planes = known
        again = self.steady != "off" and not self.ahead and not motion.cut
        if again and still is not None and self._given is not None:
            self._given = self._followed(self._given, known, still)
        elif self._given is None or new is not None or flow is not None or motion.cut or uncovered is not None:
            self._given = known[: 2 * n].copy()
        return Estimate(self._given, known[-1].copy(), trust, still, new_scene=motion.cut)

    def follow_late(self, estimate: Estimate, components: FloatArray, fresh: AffineMaps) -> Estimate:
        """The last estimate, made by `follow` without maps, now that the network has run on its frame after all."""
        assert self._planes is not None
        n = len(components)
        new = self._answer(components, fresh)
        self._planes = self._weighed(self._planes, new, moves=estimate.still is None)
        self._given = self._planes[: 2 * n].copy()
        self._since, self._unrest = 0, 0.0
        return replace(estimate, planes=self._given, variance=self._planes[-1].copy())

    def level(self, estimate: Estimate, components: FloatArray, family: Family) -> AffineMaps:
        """The maps of an estimate, their brightness held still; to be called once for each frame, in order."""
        if self.steady == "off":
            gain, offset = np.split(estimate.planes, 2)
            return AffineMaps(gain, offset)
        return self._level(estimate.planes, components, family, estimate.still, new_scene=estimate.new_scene)

    def state_dict(self) -> StateDict:
        """Everything remembered, by name, as copies."""
        numbers = [self._noise, self._seconds, self._interval, self._since, self._unrest, self._level.held_back]
        state: StateDict = {
            "key": np.frombuffer(self._key.encode(), np.uint8).copy(),
            "numbers": np.array([*numbers, self._shelf_age], np.float64),
            "brightness": self._level.brightness.copy(),
            "trend": self._trend.cells.copy(),
            "background": self._background.planes.copy(),
        }
        for name, array in (
            ("grey", self._grey),
            ("planes", self._planes),
            ("given", self._given),
            ("shelf", self._shelf),
        ):
            if array is not None:
                state[name] = array.copy()
        return state

    def load_state_dict(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue where `state_dict` was called; an empty one forgets everything.

        Raises:
            ConfigError: if it is not such a state.
        """
        self.reset()
        if not state:
            return
        try:
            self._key = bytes(np.asarray(state["key"], np.uint8)).decode()
            noise, seconds, interval, since, unrest, held_back, age = (float(x) for x in state["numbers"])
            self._level.brightness, self._level.held_back = _floats(state["brightness"]), held_back
            self._trend.cells, self._background.planes = _floats(state["trend"]), _floats(state["background"])
        except (KeyError, ValueError) as error:
            raise ConfigError(f"this is no state of smoothing over time: {error}; start over") from error
        self._noise, self._seconds, self._interval = noise, seconds, interval
        self._since, self._unrest, self._shelf_age = int(since), unrest, int(age)
        self._grey, self._planes, self._given, self._shelf = (
            _floats(state[name]) if name in state else None for name in ("grey", "planes", "given", "shelf")
        )

    def _is_due(self, motion: Motion, every: Every) -> bool:
        """Whether the network must run again, within a scene."""
        if every != "auto":
            return self._since >= every
        most_unrest = _AUTO_PASSING if motion.flow is None else _AUTO_UNREST
        return self._since >= _AUTO_MOST or self._unrest > most_unrest or motion.length > _AUTO_FAST

    def _jumps(self, seconds: float | None) -> bool:
        if seconds is None or self._seconds < 0:
            return False
        gap = seconds - self._seconds
        return gap < 0 or gap > max(_GAP_SECONDS, _GAP_FRAMES * self._interval)

    def _doubt(self, components: FloatArray) -> FloatArray:
        """Variance of fresh maps, (1, rows, columns); taken as they are, they are exact."""
        return np.full((1, *components.shape[1:]), 0 if self.steady == "off" else 1, np.float32)

    def _answer(self, components: FloatArray, fresh: AffineMaps) -> FloatArray:
        """An answer as it is remembered: gain, offset and reference of each component, and the variance."""
        return np.concatenate([fresh.gain, fresh.offset, components, self._doubt(components)])

    def _weighed(self, known: FloatArray, new: FloatArray, *, moves: bool) -> FloatArray:
        """What is known with an answer by its Kalman gain; it may be changed in place."""
        if self.steady == "off":
            return new
        gain = known[-1] / (known[-1] + 1)
        corrections = self._trend.cells_of(known[: 2 * (len(known) // 3)])
        blend(known[:-1], new[:-1], gain, corrections)
        known[-1] = gain  # which is the variance, once it was applied
        if moves:
            self._trend.learn(corrections)
        return known

    def _followed(self, given: FloatArray, known: FloatArray, still: npt.NDArray[np.bool_]) -> FloatArray:
        """Gains and offsets that follow what is known: by `_AGAIN` where pixels count as still, elsewhere at once."""
        share = np.where(still, np.minimum(_AGAIN * known[-1], np.float32(1)), np.float32(1))
        followed = np.empty_like(given)
        correct(given, share, known[: len(given)], followed)
        return followed

    def _continues(self, components: FloatArray, motion: Motion) -> bool:
        """Whether what is known holds for this frame; after a cut back to a scene left shortly before, it does."""
        self._shelf_age += 1
        if not motion.cut:
            return True
        shelf, n = self._shelf, len(components)
        if shelf is None or self._shelf_age > _SHELF_FRAMES or shelf.shape[1:] != components.shape[1:]:
            return False
        if not same_scene(components, shelf[2 * n : 3 * n], motion.noise):
            return False
        self._planes, self._shelf, self._shelf_age = shelf, self._planes, 0
        self._background.forget()
        return True


def carried(planes: FloatArray, flow: FloatArray, components: FloatArray, trust: Confidence) -> FloatArray:
    """Gain, offset, reference and whatever follows (≥ 3n, rows, columns), moved along `flow`.

    A change of the hazy colour on the way is mostly haze: things come nearer. The clear colour does not change with it,
    so the offsets are adjusted to keep it, by the share that `trust.kept` gives.
    """
    moved = np.empty_like(planes)
    carry(planes, flow, moved)
    if trust.kept:
        n = len(components)
        change = np.clip(moved[2 * n : 3 * n] - components, -_KEPT_MOST, _KEPT_MOST)
        for gain, offset, part in zip(moved[:n], moved[n : 2 * n], change, strict=True):
            offset += trust.kept * gain * cv2.GaussianBlur(part, (5, 5), 1.0, borderType=cv2.BORDER_REFLECT)
    return moved


def _floats(array: npt.NDArray[Any]) -> FloatArray:
    return np.array(array, np.float32)

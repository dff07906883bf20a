"""Affine maps that hold still: a per-pixel Kalman filter over time, carried along the motion of the small picture.

A network that sees one frame at a time answers a little differently each time, and the clear video flickers and pumps.
What it answers with here is a small affine map (`streamdehaze.dehaze.affine`), so that is what is filtered:

1. **look** (needs no network): motion from the last small hazy picture to this one, and whether it is a cut
   (`streamdehaze.dehaze.motion`). With `every`, this decides whether the network sees the frame at all.
2. **carry**: if the camera moves, everything remembered is moved along.
3. **weigh**: each pixel has a variance P beside its gain and offset, and the hazy colour R they were learned on. The
   process noise grows with the distance of the picture from R beyond the picture's own noise; so the Kalman gain falls
   as 1/n while a pixel stands still and is near 1 where something passes. R is filtered with the same gain, so that
   slow drift of the light or the fog cannot hide between two frames.
4. **blend** the fresh maps in. While the camera moves, the smooth part of what they say anew (the distance to
   everything changes, and the overall haze with it) is followed faster than the details.
5. **level**: while the camera stands still, the overall brightness of the result at still pixels follows that of the
   maps slowly, which takes out exposure and encoder pumping.

At a cut everything begins anew with that very frame. What was known is kept aside for `_SHELF_FRAMES`: where the
picture returns to it (a flash, a camera switched there and back), it is taken up again.

The state is a dozen small planes, a few MB at most. It depends on the frames in order and on nothing else: batches give
what one by one gives, and `state_dict` / `load_state_dict` (plain arrays) go on bit for bit where a run was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.affine import AffineMaps
from streamdehaze.dehaze.kernels import blend, carry, weigh
from streamdehaze.dehaze.motion import Motion, find_motion, same_scene
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Family, FloatArray

Steady = Literal["off", "low", "high"]
Every = int | Literal["auto"]
StateDict = dict[str, npt.NDArray[Any]]

STEADY: tuple[Steady, ...] = ("off", "low", "high")
_AUTO_MOST, _AUTO_UNREST = 6, 0.25
"""With `every` "auto" the network runs once so many frames have passed, or so much unrest has gathered."""
_SHELF_FRAMES = 12
"""Frames a scene is remembered after a cut away from it."""
_FIRST_NOISE = 0.002
_TRUSTED = 0.3
"""Kalman gain below which a pixel counts as still."""
_SMOOTH_SHARE, _SMOOTH_RATE = 1 / 32, 0.4
"""What is smooth while the camera moves: a Gaussian of this share of the long side; and how fast it is followed."""
_LEVEL_RATE, _LEVEL_MOST, _LEVEL_SHARE = 0.05, 0.02, 0.4
"""Share of a change of brightness let through each frame; the most held back, of full scale; still pixels needed."""
_GAP_SECONDS, _GAP_FRAMES = 1.0, 5
"""A jump in time over both begins anew: a seek, or a camera that was away."""


@dataclass(frozen=True)
class _Strength:
    """How strongly is smoothed."""

    drift: float
    """Process noise of a still pixel, in units of the variance of one answer; the gain settles at its square root."""
    spread: float
    """Change of the hazy colour, of full scale, that adds as much process noise as one answer has."""


_STRENGTHS = {"low": _Strength(0.003, 0.1), "high": _Strength(0.001, 0.2)}


@dataclass(frozen=True)
class Sight:
    """What `TemporalFilter.look` saw; hand it to `smooth` with the maps, frame by frame in the same order."""

    picture: FloatArray
    """RGB of the small hazy picture, (3, rows, columns)."""
    motion: Motion | None
    """From the frame before; None if there is none, or it is of no use."""
    network: bool
    """Whether the network must see this frame: `smooth` needs fresh maps."""


class TemporalFilter:
    """Smooths the maps of one video; each stream needs its own.

    Args:
        steady: "off" takes fresh maps as they are, "low" and "high" smooth them.

    Raises:
        ConfigError: if there is no such strength.

    Example:
        >>> sight = steadying.look(rgb)
        >>> fresh = affine.fit(...) if sight.network else None
        >>> maps = steadying.smooth(sight, components, fresh)
    """

    def __init__(self, steady: Steady = "low") -> None:
        if steady not in STEADY:
            raise ConfigError(f"steady must be one of {', '.join(STEADY)}, not '{steady}'")
        self._steady: Steady = steady
        self.reset()

    def reset(self) -> None:
        """Forget everything, as where another video begins."""
        self._key = ""
        self._picture: FloatArray | None = None  # of the frame last looked at
        self._noise = _FIRST_NOISE
        self._seconds, self._interval = -1.0, 0.0
        self._since, self._unrest = 0, 0.0
        self._planes: FloatArray | None = None  # gain and offset of each component, R, G and B of the reference
        self._variance = np.empty((0, 0), np.float32)
        self._brightness = np.empty((0, 0), np.float32)  # of the last result
        self._held_back = 0.0
        self._shelf: FloatArray | None = None
        self._shelf_age = 0

    def look(self, picture: FloatArray, key: str = "", seconds: float | None = None, every: Every = 1) -> Sight:
        """Look at the next small hazy picture, and say whether the network must.

        Args:
            picture: RGB (3, rows, columns) in [0, 1].
            key: of everything else that must be the same for maps to be carried on, such as the pixel format.
            seconds: presentation time; one that jumps begins anew.
            every: the network sees at least each `every`-th frame; "auto": as soon as enough has changed.
        """
        key = f"{key} {picture.shape}"
        motion = None
        if self._picture is not None and key == self._key and not self._jumps(seconds):
            motion = find_motion(picture, self._picture, self._noise)
            self._noise = motion.noise
        self._key, self._picture = key, picture
        if seconds is not None:
            self._interval = seconds - self._seconds if self._seconds >= 0 and motion is not None else 0.0
            self._seconds = seconds
        self._since += 1
        self._unrest += motion.unrest if motion is not None else 0.0
        due = self._unrest > _AUTO_UNREST or self._since >= _AUTO_MOST if every == "auto" else self._since >= every
        network = motion is None or motion.cut or due
        if network:
            self._since, self._unrest = 0, 0.0
        return Sight(picture, motion, network)

    def smooth(self, sight: Sight, components: FloatArray, family: Family, fresh: AffineMaps | None) -> AffineMaps:
        """The maps to apply to a frame.

        Args:
            sight: of this frame.
            components: its small hazy components, (n, rows, columns).
            family: of its pixel format.
            fresh: the maps fitted to the network's answer; None only where `sight.network` is false.
        """
        motion = sight.motion
        if fresh is not None:
            new = np.concatenate([fresh.gain, fresh.offset, sight.picture]).astype(np.float32, copy=False)
            if self._planes is None or motion is None or not self._goes_on(sight, motion):
                self._begin(new, components, family, keep=motion is not None)
                return fresh
            if self._steady == "off":
                self._planes = new
                return fresh
        elif self._planes is None or motion is None:
            raise ValueError("the first frame of a scene needs maps of its own")
        flow = None if motion.cut else motion.flow
        if flow is not None:
            self._carry(flow)
        known = self._planes
        n = len(components)
        chosen = _STRENGTHS.get(self._steady, _STRENGTHS["low"])
        gain = weigh(self._variance, known[2 * n :], sight.picture, motion.floor, chosen.spread, chosen.drift)
        if fresh is None:
            self._variance = gain / (1 - gain)  # it only grew: there was no answer to apply the gain to
        else:
            smooth_part = None if flow is None else _smooth_innovation(known, new, components, gain)
            blend(known, new, gain)
            if smooth_part is not None:
                known[n : 2 * n] += np.maximum(_SMOOTH_RATE - gain, 0) * smooth_part
            self._variance = gain
        return self._level(known, components, family, gain if flow is None else None)

    def state_dict(self) -> StateDict:
        """Everything remembered, by name; a copy."""
        numbers = [self._noise, self._seconds, self._interval, self._since, self._unrest, self._held_back]
        state: StateDict = {
            "key": np.frombuffer(self._key.encode(), np.uint8).copy(),
            "numbers": np.array([*numbers, self._shelf_age], np.float64),
            "variance": self._variance.copy(),
            "brightness": self._brightness.copy(),
        }
        for name, array in (("picture", self._picture), ("planes", self._planes), ("shelf", self._shelf)):
            if array is not None:
                state[name] = array.copy()
        return state

    def load_state_dict(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on where `state_dict` was called; an empty one forgets everything.

        Raises:
            ConfigError: if it is not one.
        """
        self.reset()
        if not state:
            return
        try:
            self._key = bytes(np.asarray(state["key"], np.uint8)).decode()
            noise, seconds, interval, since, unrest, held_back, age = (float(x) for x in state["numbers"])
            self._variance, self._brightness = _floats(state["variance"]), _floats(state["brightness"])
        except (KeyError, ValueError) as error:
            raise ConfigError(f"this is no state of smoothing over time: {error}; begin anew") from error
        self._noise, self._seconds, self._interval = noise, seconds, interval
        self._since, self._unrest, self._held_back, self._shelf_age = int(since), unrest, held_back, int(age)
        self._picture, self._planes, self._shelf = (
            _floats(state[name]) if name in state else None for name in ("picture", "planes", "shelf")
        )

    def _jumps(self, seconds: float | None) -> bool:
        if seconds is None or self._seconds < 0:
            return False
        gap = seconds - self._seconds
        return gap < 0 or gap > max(_GAP_SECONDS, _GAP_FRAMES * self._interval)

    def _goes_on(self, sight: Sight, motion: Motion) -> bool:
        """Whether what is known serves this frame; after a cut back to a scene left shortly before, it does again."""
        self._shelf_age += 1
        if not motion.cut:
            return True
        shelf, n = self._shelf, (0 if self._shelf is None else (len(self._shelf) - 5) // 2)
        if shelf is None or self._shelf_age > _SHELF_FRAMES or shelf.shape[1:] != sight.picture.shape[1:]:
            return False
        if not same_scene(sight.picture, shelf[2 * n : 2 * n + 3], motion.noise):
            return False
        left = self._everything()
        self._planes, self._variance, self._brightness = shelf[:-2].copy(), shelf[-2].copy(), shelf[-1].copy()
        self._shelf, self._shelf_age = left, 0
        return True

    def _begin(self, new: FloatArray, components: FloatArray, family: Family, *, keep: bool) -> None:
        """Begin anew with this frame's maps; `keep` what was known for a while."""
        self._shelf, self._shelf_age = (self._everything() if keep and self._planes is not None else None), 0
        self._planes = new
        self._variance = np.ones(new.shape[1:], np.float32)
        self._brightness = _brightness(new, components, family)
        self._held_back = 0.0

    def _everything(self) -> FloatArray:
        assert self._planes is not None
        return np.concatenate([self._planes, self._variance[None], self._brightness[None]])

    def _carry(self, flow: FloatArray) -> None:
        assert self._planes is not None
        everything = np.concatenate([self._planes, self._variance[None]])
        moved = np.empty_like(everything)
        carry(everything, flow, moved)
        self._planes, self._variance = moved[:-1], moved[-1]

    def _level(self, known: FloatArray, components: FloatArray, family: Family, gain: FloatArray | None) -> AffineMaps:
        """A copy of the maps known, with what is held back of the overall brightness taken off."""
        if self._steady == "off":
            return AffineMaps(*(part.copy() for part in np.split(known[:-3], 2)))
        brightness = _brightness(known, components, family)
        change = 0.0
        if gain is not None:
            still = gain < _TRUSTED
            if still.mean() > _LEVEL_SHARE:
                change = float((brightness - self._brightness)[still].mean())
        self._brightness = brightness
        held = (self._held_back + change) * (1 - _LEVEL_RATE)
        self._held_back = min(max(held, -_LEVEL_MOST), _LEVEL_MOST)
        n = len(components)
        offset = known[n : 2 * n].copy()
        offset[_bright(family)] -= np.float32(self._held_back)
        return AffineMaps(known[:n].copy(), offset)


def _bright(family: Family) -> slice:
    """The components that carry brightness: R, G and B, or luma alone."""
    return slice(0, 3) if family == "rgb" else slice(0, 1)


def _brightness(known: FloatArray, components: FloatArray, family: Family) -> FloatArray:
    """Of the small clear picture, (rows, columns)."""
    bright, n = _bright(family), len(components)
    clear: FloatArray = (known[:n][bright] * components[bright] + known[n : 2 * n][bright]).mean(axis=0)
    return clear


def _smooth_innovation(known: FloatArray, new: FloatArray, components: FloatArray, gain: FloatArray) -> FloatArray:
    """What the fresh maps change of the clear picture, (n, rows, columns), smoothed over the pixels known well."""
    n = len(components)
    innovation = (new[:n] - known[:n]) * components + (new[n : 2 * n] - known[n : 2 * n])
    weight = (gain < 0.5).astype(np.float32) + 1e-3
    stacked = np.concatenate([innovation * weight, weight[None]])
    sigma = max(gain.shape) * _SMOOTH_SHARE
    small = [cv2.resize(plane, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) for plane in stacked]
    smooth = [cv2.GaussianBlur(plane, (0, 0), sigma / 4) for plane in small]
    ratio = [plane / smooth[-1] for plane in smooth[:-1]]
    size = gain.shape[::-1]
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in ratio])


def _floats(array: npt.NDArray[Any]) -> FloatArray:
    return np.array(array, np.float32)

"""`Atmosphere`: one video's airlight and brightness, and what is done with them before and after the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from streamdehaze.control.color import Color
from streamdehaze.dehaze.atmosphere.airlight import Airlight, AirlightMode, estimate_airlight, given_airlight
from streamdehaze.dehaze.atmosphere.blank import share_of_scene
from streamdehaze.dehaze.atmosphere.boundary import clear_picture, unlike_fog
from streamdehaze.dehaze.atmosphere.casts import without_casts
from streamdehaze.dehaze.atmosphere.refine import without_halos
from streamdehaze.dehaze.atmosphere.sky import find_sky, keep_sky, neutral_sky
from streamdehaze.dehaze.atmosphere.smoke import UNSURE, Smoke, look_for_smoke
from streamdehaze.dehaze.atmosphere.tone import BrightnessMode, brighten, exponent
from streamdehaze.dehaze.frame_mask import between_bars
from streamdehaze.frame import FloatArray

_FOLLOW = 0.1
"""Weight of the newest estimate after one frame of a video; after k frames it is ``1 − (1 − 0.1)^k``."""
_FOLLOW_EVIDENCE = 0.02
"""The same of how far the tint is the haze's: it is of the scene, but an exposure that shifts may change it at once."""
_POSSIBLE, _LOOK_AGAIN = 0.2, 25
"""Probability of smoke below which it is looked for only after so many frames."""
_DENSITIES = (0.15, 0.3, 0.4, 0.7, 0.78)
_SHARES = (0.75, 1.0, 1.03, 1.03, 1.0)
"""Density of the haze, and the share of the network's change that is made at it. In clear air a good part of the change
is a mistake; in haze the network falls a little short, as least squares do where they are not sure; and where there is
nothing but haze, there is nothing to be sure of."""


@dataclass(frozen=True)
class Balanced:
    """A picture for the network, and what its answer needs."""

    hazy: FloatArray
    """RGB (3, rows, columns) in [0, 1]."""
    picture: FloatArray
    """The same with grey haze, in [0, 1]."""
    airlight: Airlight
    scene: npt.NDArray[np.bool_] | None
    """(rows, columns), False where the frame is covered; None if it is not."""
    smoke: Smoke | None
    """What is known of smoke, where there is some."""
    weight: float
    """Weight of this picture's estimate against what is remembered; 1 where nothing connects it with the previous
    one."""


class Atmosphere:
    """Airlight and brightness of one video."""

    def __init__(self) -> None:
        self._airlight: Airlight | None = None
        self._gamma: float | None = None
        self._frames = 0  # since the last balanced one
        self._smoke_probability = 0.0
        self._smoke_frames = 0  # since smoke was last looked for

    def skip(self) -> None:
        """Let a frame pass that the network does not run on."""
        self._frames += 1

    def balance(
        self,
        picture: FloatArray,
        scene: npt.NDArray[np.bool_] | None = None,
        *,
        starts: bool = True,
        color: Color | None = None,
    ) -> Balanced:
        """The next picture as the network is to see it.

        Args:
            picture: RGB (3, rows, columns) in [0, 1]; what covers it is filled.
            scene: (rows, columns), False where it was filled.
            starts: whether a scene starts with it, so that nothing connects it with the picture before.
            color: the airlight, where it is known; None to estimate it.
        """
        found = estimate_airlight(picture, scene) if color is None else given_airlight(color, picture, scene)
        before, weight = self._airlight, 1.0
        if before is not None and not starts:
            weight, slow_weight = (1 - (1 - each) ** (self._frames + 1) for each in (_FOLLOW, _FOLLOW_EVIDENCE))
            color_weight = 1 if found.given else weight  # what the user changes counts at once
            found = Airlight(
                (before.color + color_weight * (found.color - before.color)).astype(np.float32),
                before.density + weight * (found.density - before.density),
                before.evidence + slow_weight * (found.evidence - before.evidence),
                found.given,
            )
        smoke = None if found.given else self._smoke(picture[_view(scene)], weight)
        self._airlight, self._frames = found, 0
        grey = np.clip(picture * found.balance[:, None, None], 0, 1)
        return Balanced(picture, grey, found, scene, smoke, weight)

    def finish(
        self, balanced: Balanced, answer: FloatArray, airlight: AirlightMode, brightness: BrightnessMode
    ) -> FloatArray:
        """The clear picture, RGB (3, rows, columns), from the network's answer to the balanced one.

        Answers come in the order of the pictures.
        """
        clear = without_halos(balanced.picture, answer)
        share = np.float32(np.interp(balanced.airlight.density, _DENSITIES, _SHARES))
        clear = np.asarray(np.maximum(balanced.picture + share * (clear - balanced.picture), 0), np.float32)
        if (unlike := unlike_fog(balanced.airlight)) > 0:
            bounded = clear_picture(balanced.hazy, balanced.airlight) * balanced.airlight.balance[:, None, None]
            clear += np.float32(unlike) * (bounded - clear)
        # The sky reaches the upper edge of the scene; what fills a bar above it is no part of that.
        view = _view(balanced.scene)
        sky = find_sky(balanced.picture[view], balanced.airlight.brightness, unlike)
        clear[view] = keep_sky(balanced.picture[view], clear[view], sky)
        share_of_haze = balanced.airlight.share(balanced.picture)
        back = balanced.airlight.turn_back(share_of_haze, airlight)
        clear = clear * back
        if (smoke := balanced.smoke) is not None:
            without = smoke.clear_picture(balanced.hazy[view])
            sky = sky * smoke.likeness(balanced.hazy[view])
            if airlight == "keep":
                without = without * (smoke.airlight / smoke.airlight.mean())[:, None, None]
            else:  # what is sure to be sand or smoke is not the light of the scene
                clear[view] = neutral_sky(clear[view], sky, smoke.share)
            clear[view] += np.float32(smoke.share) * (1 - sky) * (without - clear[view])
        if brightness == "keep":
            found = exponent(balanced.hazy, clear, balanced.scene)
            if balanced.weight < 1 and self._gamma is not None:
                found = self._gamma + balanced.weight * (found - self._gamma)
            self._gamma = found
            clear = brighten(clear, balanced.hazy, found)
        light = share_of_haze * np.float32(balanced.airlight.brightness)
        even = without_casts(balanced.picture * back, clear, light)
        if smoke is not None:  # its network gives back colours that little is left of
            even += np.float32(smoke.share) * (clear - even)
        if (scene := share_of_scene(balanced.hazy[view])) < 1:
            even = balanced.hazy + np.float32(scene) * (even - balanced.hazy)
        return even

    def state(self) -> npt.NDArray[np.float64]:
        """What is remembered: airlight, density, evidence, exponent, frames since, probability of smoke and frames
        since it was looked for; NaN for what is not."""
        known = self._airlight
        airlight = [np.nan] * 5 if known is None else [*known.color, known.density, known.evidence]
        gamma = np.nan if self._gamma is None else self._gamma
        return np.array([*airlight, gamma, self._frames, self._smoke_probability, self._smoke_frames], np.float64)

    def load(self, state: npt.NDArray[np.float64]) -> None:
        """Continue where `state` was taken.

        Raises:
            ValueError: if it is not one.
        """
        *color, density, evidence, gamma, frames, probability, smoke_frames = (float(x) for x in state)
        if len(color) != 3:
            raise ValueError(f"an atmosphere has 9 numbers, not {len(state)}")
        self._airlight = None if np.isnan(density) else Airlight(np.array(color, np.float32), density, evidence)
        self._gamma, self._frames = None if np.isnan(gamma) else gamma, int(frames)
        self._smoke_probability, self._smoke_frames = probability, int(smoke_frames)

    def _smoke(self, picture: FloatArray, weight: float) -> Smoke | None:
        """What is known of smoke in the next picture; None where there is none, as far as the last look tells.

        Args:
            picture: RGB (3, rows, columns) in [0, 1].
            weight: as in `Balanced`.
        """
        self._smoke_frames += self._frames + 1
        if weight < 1 and self._smoke_probability < _POSSIBLE and self._smoke_frames < _LOOK_AGAIN:
            return None
        found = look_for_smoke(picture)
        self._smoke_probability += weight * (found.probability - self._smoke_probability)
        self._smoke_frames = 0
        if self._smoke_probability <= UNSURE:
            return None
        return replace(found, probability=self._smoke_probability)


def _view(scene: npt.NDArray[np.bool_] | None) -> tuple[slice, ...]:
    """Where a picture (3, rows, columns) has no bars."""
    return slice(None), *between_bars(scene)

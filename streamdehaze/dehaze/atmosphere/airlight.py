"""The colour of the haze: estimated on the small picture, taken out before the network and turned back after it.

Koschmieder's law gives every channel its own airlight, ``I_c = J_c·t + A_c·(1 − t)``. Divided by A and multiplied by
its mean m, it reads ``B_c = (m·J_c/A_c)·t + m·(1 − t)``: the same haze, but grey. The network sees that balanced
picture, and so one kind of haze, whatever its colour: fog, smog, sand or smoke. What A divided, the tint multiplies
back: all of it keeps the light of the scene, none of it makes the haze's colour the picture's white.

The brightest surface of a room may be a warm wall in grey haze. So the rest of the picture is asked: haze tints
everything, and dark things most plainly, by as much as itself; a wall tints only itself, and less the hazier it is.
Where the brightest is the sky, it is no wall, and autumn's yellow trees do not count against it; only a strong tint may
be that of a blue sky or of dusk behind grey haze.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.control.color import Color
from streamdehaze.dehaze.atmosphere.ramp import ramp
from streamdehaze.dehaze.atmosphere.sky import sky_of
from streamdehaze.dehaze.frame_mask import between_bars
from streamdehaze.dehaze.guided import box_mean
from streamdehaze.dehaze.kernels import channel_mean, exp, median
from streamdehaze.frame import FloatArray

AirlightMode = Literal["auto", "keep", "neutral"]
AIRLIGHT_MODES: tuple[AirlightMode, ...] = ("auto", "keep", "neutral")

_HAZIEST = 0.03
"""Share of the pixels whose mean colour is the airlight."""
_REACH = 85
"""The long side, in units of the window over which the darkest channel is taken: lamps and letters are smaller."""
_DARKEST = 0.15
"""No airlight is taken for darker than this: black has no colour to balance by."""
_KEPT_TINT, _NEUTRAL_TINT = 0.03, 0.12
"""Tint (see `Airlight.tint`) up to which "auto" keeps it whole (dusk), and from which on it keeps `_LEFT`."""
_UNSEEN_TINT, _SEEN_TINT = 0.02, 0.06
"""Tint up to which the haze counts as grey, within the error of the estimate, and from which on it is balanced."""
_FULL, _CLIPPED = 0.95, 0.985
"""Brightest channel of the airlight up to which its colour counts, and from which on it is overexposed: no colour."""
_FULL_SKY, _CLIPPED_SKY = 0.99, 0.999
"""The same where it is the sky's, which is even: its mean is near white only where all of it is."""
_LEFT = 0.3
"""Exponent of the tint that "auto" leaves of strong tints (sand, smog)."""
_NEAR, _FAR = 0.3, 0.75
"""Share of haze in a pixel's light up to which "auto" keeps the tint, and from which on it draws it to neutral."""
_THIN, _THICK = 0.12, 0.3
"""Density below which the colour of the brightest surface passes for no airlight, and from which on it does."""
_HAZY = 0.5
"""Where the darkest values of the channels reach this share of the airlight, haze tints them."""
_UNTINTED, _TINTED = 0.7, 0.95
"""Tint of the least tinted sixth of them, over the airlight's: the haze is grey up to this, and tinted from this on."""
_FADING, _FADED = 3.0, 2.0
"""Tint of their median, over the airlight's: from this on it fades towards the haze, which is grey; up to this not."""
_NO_SKY, _SKY = 0.38, 0.55
"""Share of the upper edge that is sky up to which it says nothing about the haze, and from which on it has its tint."""
_HAZES, _SKYS_OWN = 0.1, 0.16
"""Tint of the sky up to which it is the haze's, and from which on it is its own."""


@dataclass(frozen=True)
class Airlight:
    """Colour and amount of the haze in one small picture."""

    color: npt.NDArray[np.float32]
    """A, (3,) RGB in (0, 1]."""
    density: float
    """Median of the darkest channel over A's, 0 (clear) to 1 (nothing but haze)."""
    evidence: float = 1.0
    """How sure A's tint is the haze's: how far the rest of the picture agrees, and no channel is clipped; 0 to 1."""
    given: bool = False
    """Whether the user gave A: then it is balanced by, whatever the picture shows."""

    @functools.cached_property
    def tint(self) -> float:
        """Largest relative difference of a channel of A from its mean."""
        return float(np.abs(self.color / self.color.mean() - 1).max())

    @functools.cached_property
    def balance(self) -> npt.NDArray[np.float32]:
        """(3,) factors that make the haze grey; nearer to 1 where too little haze or tint tells its colour."""
        if self.given:
            return np.asarray(self.color.mean() / self.color, np.float32)
        trust = ramp(self.density, _THIN, _THICK) * self.evidence * ramp(self.tint, _UNSEEN_TINT, _SEEN_TINT)
        factors: npt.NDArray[np.float32] = ((self.color.mean() / self.color) ** trust).astype(np.float32)
        return factors

    @functools.cached_property
    def brightness(self) -> float:
        """Brightness of the haze once it is balanced."""
        return float((self.color * self.balance).mean())

    def turn_back(self, share: FloatArray, mode: AirlightMode) -> FloatArray:
        """Factors for the network's answer to a balanced picture, (3, rows, columns): what `balance` took, or less.

        "keep" gives the light of the scene back everywhere, "neutral" nowhere: the haze's colour becomes white. "auto"
        keeps a weak tint (dusk); of a strong one (sand, smog) it keeps what is near, and draws to
        neutral what haze has coloured.

        Args:
            share: of haze in the light of each pixel, (rows, columns), as `share` finds it.
            mode: one of `AIRLIGHT_MODES`.
        """
        back = (1 / self.balance)[:, None, None]
        strong = self.evidence * ramp(self.tint, _KEPT_TINT, _NEUTRAL_TINT)
        if mode == "keep" or (mode == "auto" and strong == 0):
            return np.broadcast_to(back, (3, *share.shape)).astype(np.float32)
        if mode == "neutral":
            return np.ones((3, *share.shape), np.float32)
        left = 1 - strong * (1 - _LEFT) * ramp(share, _NEAR, _FAR)
        return exp(left * np.log(back))

    def share(self, balanced: FloatArray) -> FloatArray:
        """Share of haze in each pixel's light, (rows, columns), at most; of the balanced picture."""
        haze = box_mean(darkest(balanced), max(balanced.shape) // 32) / np.float32(self.brightness)
        return np.asarray(np.minimum(haze, 1), np.float32)


def given_airlight(color: Color, rgb: FloatArray, scene: npt.NDArray[np.bool_] | None = None) -> Airlight:
    """The airlight of a small picture whose colour is known, see `estimate_airlight`."""
    known = np.array(color, np.float32)
    return Airlight(known, _density(rgb, known, scene), given=True)


def estimate_airlight(rgb: FloatArray, scene: npt.NDArray[np.bool_] | None = None) -> Airlight:
    """The airlight of a small picture: the mean colour where the darkest channel of a window is brightest.

    He, Sun & Tang (CVPR 2009) take the brightest thousandth of the dark channel; on small pictures and compressed ones
    the mean of the haziest hundredths is steadier, and neither lamps nor white cars fill a window.

    Args:
        rgb: (3, rows, columns) in [0, 1].
        scene: (rows, columns), False where bars or overlays cover the picture; None if nothing does.
    """
    dark = darkest(rgb)
    if scene is not None and scene.any():
        dark = np.where(scene, dark, -1.0).astype(np.float32)
    else:
        scene = None
    ranked = box_mean(dark, max(dark.shape) // 57).ravel()
    visible = ranked.size if scene is None else int(scene.sum())
    count = min(visible, max(8, int(_HAZIEST * visible)))
    haziest = np.argpartition(ranked, -count)[-count:]
    color = np.clip(rgb.reshape(3, -1)[:, haziest].mean(axis=1), _DARKEST, 1).astype(np.float32)
    found = Airlight(color, _density(rgb, color, scene))
    brightest = float(color.max())
    evidence = _evidence(rgb, color, scene) * ramp(brightest, _CLIPPED, _FULL)
    if evidence < 1:
        rows, columns = between_bars(scene)
        of_sky = _evidence_of_sky(rgb[:, rows, columns], found) * ramp(brightest, _CLIPPED_SKY, _FULL_SKY)
        evidence = max(evidence, of_sky)
    return replace(found, evidence=evidence)


def _density(rgb: FloatArray, color: npt.NDArray[np.float32], scene: npt.NDArray[np.bool_] | None) -> float:
    """`Airlight.density` of a small picture, see `estimate_airlight`, whose airlight has a colour, (3,)."""
    relative = darkest(rgb / color[:, None, None])
    return min(1.0, median(relative if scene is None or not scene.any() else relative[scene]))


def _evidence(rgb: FloatArray, color: npt.NDArray[np.float32], scene: npt.NDArray[np.bool_] | None) -> float:
    """`Airlight.evidence`, from the least value of each channel in windows: ``A_c·(1 − t)``, where something is dark.

    Args:
        rgb: (3, rows, columns) in [0, 1].
        color: A, (3,).
        scene: (rows, columns), False where the picture is covered; None if it is not.
    """
    mean = float(color.mean())
    direction = np.log(color / mean)
    if np.abs(direction).max() < _UNSEEN_TINT:
        return 1.0
    least = np.stack([_least_around(channel)[::3, ::3] for channel in rgb])
    level = channel_mean(least)
    hazy = level > _HAZY * mean
    if scene is not None:
        hazy &= scene[::3, ::3]
    if not hazy.any():
        return 0.0
    tints = np.tensordot(direction, np.log(np.maximum(least[:, hazy], 1e-3) / level[hazy]), 1) / (direction**2).sum()
    lower, middle = np.percentile(tints, (100 / 6, 50))
    return ramp(float(lower), _UNTINTED, _TINTED) * ramp(float(middle), _FADING, _FADED)


def _evidence_of_sky(rgb: FloatArray, airlight: Airlight) -> float:
    """`Airlight.evidence`, from how much of the upper edge is sky."""
    hazes = ramp(airlight.tint, _SKYS_OWN, _HAZES)
    if hazes == 0:
        return 0.0
    rows = rgb.shape[1]
    sky = sky_of(channel_mean(rgb[:, : max(1, rows // 3)]), float(airlight.color.mean()))  # the rest is not asked
    edge = float(sky[: max(1, rows // 24)].mean())
    return hazes * ramp(edge, _NO_SKY, _SKY)


def darkest(rgb: FloatArray) -> FloatArray:
    """The dark channel, (rows, columns): the least of all channels in a window around each pixel."""
    return _least_around(np.minimum(np.minimum(rgb[0], rgb[1]), rgb[2]))


def _least_around(x: FloatArray) -> FloatArray:
    """The least of (rows, columns) in a window around each pixel."""
    side = 2 * max(1, round(max(x.shape) / _REACH)) + 1
    return np.asarray(cv2.erode(x, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REFLECT), np.float32)

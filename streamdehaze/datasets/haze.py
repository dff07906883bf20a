"""Haze made on the fly: ``I = J·t + A·(1 − t)``, ``t = exp(−β·d)`` (Koschmieder 1924), and what cameras add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from streamdehaze.datasets.look import Picture, Range, Share, Shares, in_order
from streamdehaze.datasets.picture import SKY_DEPTH
from streamdehaze.toml import Table

Depth = npt.NDArray[np.float32]
"""(H, W) distance relative to the far end of the scene, which is at 1."""
Quality = Annotated[int, Field(ge=1, le=100)]
"""Of JPEG."""


class HazeConfig(Table):
    """How haze varies from picture to picture."""

    clear: Share = 0.08
    """Share left without haze, so that the network learns to leave clear pictures alone."""
    scattering: Range = (0.4, 2.6)
    """β: optical thickness from the camera to the far end of the scene."""
    depth_scale: Range = (0.6, 1.3)
    """Factor on the depth."""
    depth_offset: Range = (0.0, 0.4)
    """Distance in front of the nearest thing: a veil on near things too."""
    offset: Share = 0.5
    """Share with such an offset."""
    uneven: Share = 0.15
    """Share whose fog has patches; much of it teaches blotches on walls and tables."""
    patches: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Largest relative change of the thickness by patches."""
    unseen: Shares = (0.06, 0.35)
    """Transmission up to which the picture is left as it is seen, and from which on it is restored."""
    airlight: Range = (0.4, 1.15)
    """A: brightness of the haze itself; above 1 it is overexposed, which makes it 1."""
    bright: Share = 0.45
    """Share whose airlight lies in the upper third of that range."""
    tinted: Share = 0.25
    """Share whose airlight is not grey."""
    tint: Annotated[float, Field(ge=0, lt=1)] = 0.12
    """Largest relative tint of a channel; a grey airlight has up to a tenth of it."""
    smoke: Share = 0.0
    """Share whose airlight is dark, a quarter to a half of what it would be, and often brown."""
    sand: Share = 0.0
    """Share whose airlight is yellow to red: blue is missing most, then green."""
    slope: Share = 0.3
    """Share whose airlight changes over the picture, as towards the sun."""
    steepness: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Largest relative change of it at a corner."""
    glow: Share = 0.0
    """Share that is night: little airlight, and the halos of lamps in its place."""
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.008
    """Largest standard deviation of sensor noise."""
    noisy: Share = 0.25
    """Share with sensor noise; much of it teaches smearing."""
    codec: Share = 0.06
    """Share that went through a lossy codec."""
    quality: Annotated[tuple[Quality, Quality], AfterValidator(in_order)] = (35, 95)
    """Lowest and highest JPEG quality of those."""


@dataclass(frozen=True)
class Haze:
    """One state of the weather and the camera; applied to each frame of a sequence, it is consistent over time."""

    scattering: float
    """β; 0 is clear air."""
    scale: float
    """Factor on the depth."""
    offset: float
    """Added to the depth."""
    patches: npt.NDArray[np.float32] | None
    """(n, n) relative change of the thickness, enlarged smoothly over the picture."""
    airlight: npt.NDArray[np.float32]
    """(2, 2, 3) airlight at the picture's corners, or (1, 1, 3) where it is one."""
    night: bool
    """Whether lamps glow instead of the sky."""
    noise: float
    """Standard deviation of the sensor noise."""
    quality: int | None
    """JPEG quality, or None for none."""

    @classmethod
    def draw(cls, config: HazeConfig, rng: np.random.Generator) -> Haze:
        """Draw the haze of one picture or sequence."""
        low, high = config.airlight
        if rng.random() < config.bright:
            low = high - (high - low) / 3
        level = rng.uniform(low, high)
        tint = config.tint if rng.random() < config.tinted else config.tint / 10
        colour = level * (1 + rng.uniform(-tint, tint, 3))
        kind = rng.random()
        if kind < config.smoke:
            colour *= rng.uniform(0.25, 0.5) * _earthy(rng, rng.choice([0.0, 0.4]))
        elif kind < config.smoke + config.sand:
            colour *= _earthy(rng, 0.55)
        sloped = rng.random() < config.slope
        corners = 1 + rng.uniform(-config.steepness, config.steepness, (2, 2, 1)) if sloped else np.ones((1, 1, 1))
        night = rng.random() < config.glow
        patched = rng.random() < config.uneven
        patches = rng.uniform(-config.patches, config.patches, (4, 4)).astype(np.float32)
        if rng.random() < 0.5:  # finer ones in the coarse: smoke and drifting fog have all sizes
            finer = rng.uniform(-config.patches / 2, config.patches / 2, (9, 9)).astype(np.float32)
            patches = finer + np.asarray(cv2.resize(patches, (9, 9), interpolation=cv2.INTER_CUBIC), np.float32)
        clear = rng.random() < config.clear
        return cls(
            scattering=0.0 if clear else rng.uniform(*config.scattering),
            scale=rng.uniform(*config.depth_scale),
            offset=rng.uniform(*config.depth_offset) if rng.random() < config.offset else 0.0,
            patches=patches if patched else None,
            airlight=np.clip(corners * colour * (0.3 if night else 1.0), 0, 1).astype(np.float32),
            night=night,
            noise=rng.uniform(0, config.noise) if rng.random() < config.noisy else 0.0,
            quality=int(rng.integers(*config.quality, endpoint=True)) if rng.random() < config.codec else None,
        )

    def transmission(self, depth: Depth) -> npt.NDArray[np.float32]:
        """t, (H, W), of a scene of the given depth."""
        thickness = self.scattering * (self.scale * depth + self.offset)
        if self.patches is not None:
            height, width = depth.shape
            thickness = thickness * (1 + cv2.resize(self.patches, (width, height), interpolation=cv2.INTER_CUBIC))
        t: npt.NDArray[np.float32] = np.exp(-np.maximum(thickness, 0))
        return t

    def add_to(self, clear: Picture, depth: Depth, rng: np.random.Generator) -> Picture:
        """The hazy picture, (H, W, 3), of a clear one; `rng` makes the noise only."""
        return self.photograph(self.through_air(clear, self.transmission(depth)), rng)

    def through_air(self, clear: Picture, transmission: npt.NDArray[np.float32]) -> Picture:
        """The hazy picture before the camera adds anything of its own, (H, W, 3), at a `transmission` of (H, W)."""
        height, width = transmission.shape
        t = transmission[..., None]
        A = self.airlight
        if A.size > 3:
            A = np.asarray(cv2.resize(A, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        if self.night:
            A = A + _glow(clear)
        hazy: Picture = clear * t + A * (1 - t)
        return hazy

    def photograph(self, hazy: Picture, rng: np.random.Generator) -> Picture:
        """What the camera and its codec make of a hazy picture, (H, W, 3)."""
        if self.noise:
            hazy = hazy + rng.standard_normal(hazy.shape, dtype=np.float32) * np.float32(self.noise)
        hazy = np.clip(hazy, 0, 1)
        return hazy if self.quality is None else _through_codec(hazy, self.quality)


def leave_unseen(
    clear: Picture, hazy: Picture, depth: Depth, transmission: npt.NDArray[np.float32], unseen: tuple[float, float]
) -> Picture:
    """The picture to be restored: the clear one, but as hazy as it was seen where nothing can be seen through the haze.

    Nothing stands behind fog in the sky, and of what lies behind the thickest, nothing arrives. A network that is to
    find something there paints the mean of all pictures: it darkens skies and distant cities in blotches.

    Args:
        clear, hazy: (H, W, 3).
        depth: (H, W), `SKY_DEPTH` where the sky is.
        transmission: (H, W).
        unseen: transmission up to which all is left as it was seen, and from which on nothing is.
    """
    # Where a view was shrunk, the sky's edge has depths between; the farthest thing is 0.05 nearer than the sky.
    sky = (depth - (SKY_DEPTH - 0.04)) / 0.04
    thick = (unseen[1] - transmission) / max(unseen[1] - unseen[0], 1e-6)
    share = np.clip(np.maximum(sky, thick), 0, 1)[..., None]
    wanted: Picture = clear + share * (np.clip(hazy, 0, 1) - clear)
    return wanted


def _earthy(rng: np.random.Generator, most: float) -> npt.NDArray[np.float64]:
    """Factors on red, green and blue, of yellow, brown and red; at `most` so much of blue is missing."""
    missing = rng.uniform(most / 4, most) if most else 0.0
    return np.array([1.0, 1 - missing * rng.uniform(0.3, 0.6), 1 - missing])


def _glow(clear: Picture) -> Picture:
    # Light of lamps scattered many times on its way: what shines, spread over a tenth of the picture.
    lamps = np.maximum(clear - 0.8, 0) * 5
    glow: Picture = cv2.GaussianBlur(lamps, (0, 0), sigmaX=max(clear.shape[:2]) / 12)
    return glow


def _through_codec(picture: Picture, quality: int) -> Picture:
    coded = (picture * 255 + 0.5).astype(np.uint8)
    _, data = cv2.imencode(".jpg", coded[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]
    picture = decoded.astype(np.float32)
    picture /= 255
    return picture

"""Adds fog to a clear picture whose distances are known, by the haze equation I = J·t + A·(1 − t)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamdehaze.frame import FloatArray


@dataclass(frozen=True)
class Fog:
    """Fog of a given density and colour, even or in drifting banks, seen by a slightly noisy sensor.

    Everything depends only on the arguments and the frame's index: the same clip comes out each time, and the fog
    changes smoothly from frame to frame.
    """

    visibility_metres: float = 90.0
    """Distance at which contrast falls to 2 % (Koschmieder; the "meteorological optical range" halves it to 5 %)."""
    airlight: tuple[float, float, float] = (0.82, 0.83, 0.85)
    """RGB of infinitely deep fog: A in the haze equation."""
    unevenness: float = 0.0
    """Relative spread of the density between banks and gaps, 0 for even fog; 0.5 is patchy."""
    sensor_noise: float = 0.0
    """Standard deviation of each colour sample's noise, as a share of full scale; 0.01 is a decent phone at dusk."""
    seed: int = 0

    @property
    def scattering(self) -> float:
        """β per metre, from Koschmieder's law: exp(−β · visibility) = 0.02."""
        return 3.912 / self.visibility_metres

    def transmission(self, depth_metres: FloatArray, index: int = 0) -> FloatArray:
        """t = exp(−β·d), (H, W) in [0, 1], of frame `index`."""
        optical_depth = self.scattering * depth_metres
        if self.unevenness > 0:
            optical_depth = optical_depth * self._banks(depth_metres.shape[0], depth_metres.shape[1], index)
        t: FloatArray = np.exp(-optical_depth).astype(np.float32)
        return t

    def apply(self, clear: FloatArray, depth_metres: FloatArray, index: int = 0) -> FloatArray:
        """The hazy picture I of a clear one J, (H, W, 3) RGB in [0, 1]; noise is clipped to that range."""
        t = self.transmission(depth_metres, index)[..., None]
        hazy = clear * t + np.asarray(self.airlight, np.float32) * (1 - t)
        if self.sensor_noise > 0:
            rng = np.random.default_rng((self.seed, index))
            hazy += self.sensor_noise * rng.standard_normal(hazy.shape, np.float32)
        clipped: FloatArray = np.clip(hazy, 0, 1)
        return clipped

    def _banks(self, height: int, width: int, index: int) -> FloatArray:
        """Factor for the density, around 1: a few slow waves that drift to the right, each at its own speed."""
        rng = np.random.default_rng((self.seed, 1))
        y, x = np.mgrid[0:height, 0:width].astype(np.float32) / width
        total = np.zeros((height, width), np.float32)
        for octave in range(5):
            scale = 2 * np.pi * 1.4 * 1.45**octave
            turn, phase = rng.uniform(-1.2, 1.2), rng.uniform(0, 2 * np.pi)
            drift = rng.uniform(0.0004, 0.0016) * index
            total += np.sin(scale * (np.cos(turn) * (x - drift) + 1.6 * np.sin(turn) * y) + phase) / 1.2**octave
        factor: FloatArray = np.clip(1 + self.unevenness * total / 1.5, 0.15, None)
        return factor

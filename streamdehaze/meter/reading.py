"""`Reading`: what is measured of the haze in one frame, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class HazeClass(Enum):
    """How thick the haze is, in METAR's words; the values are what reports and files say.

    A camera cannot tell dry haze from moist mist: the words are steps of one scale.
    """

    CLEAR = "clear"
    HAZE = "haze"
    MIST = "mist"
    FOG = "fog"
    DENSE_FOG = "dense fog"

    @classmethod
    def of_density(cls, density: float) -> HazeClass:
        """The class of a density, 0 to 1, where no distances are known."""
        return next((kind for kind, most in MOST_DENSITY if density < most), cls.DENSE_FOG)

    @classmethod
    def of_metres(cls, metres: float) -> HazeClass:
        """The class of a visibility in metres.

        Fog is below 1 km and mist (METAR's BR) or haze (HZ) up to 5 km (WMO-No. 306, code table 4678); dense is below
        200 m; haze here extends to 10 km, beyond which METAR reports no number.
        """
        return next((kind for kind, least in _LEAST_METRES if metres >= least), cls.DENSE_FOG)


MOST_DENSITY = ((HazeClass.CLEAR, 0.2), (HazeClass.HAZE, 0.3), (HazeClass.MIST, 0.45), (HazeClass.FOG, 0.6))
_LEAST_METRES = (
    (HazeClass.CLEAR, 10_000.0),
    (HazeClass.HAZE, 5_000.0),
    (HazeClass.MIST, 1_000.0),
    (HazeClass.FOG, 200.0),
)


@dataclass(frozen=True)
class Reading:
    """The haze of one frame."""

    density: float
    """0 (clear) to 1 (nothing else is seen): ``1 − exp(−τ)``, where τ is the mean optical thickness between the camera
    and what it sees, the sky left out."""
    airlight: tuple[float, float, float]
    """A, RGB in [0, 1]: the colour of the haze. Where there is hardly any haze, that of the brightest surface."""
    dark: bool
    """Whether the frame is too dark to be trusted: at night haze shows as glow around lamps, not as a veil."""
    agreed: float
    """The density as far as the network's answer has haze as well, at most `density`; `--mode auto` goes by it."""

    @property
    def haze_class(self) -> HazeClass:
        """The class of the density."""
        return HazeClass.of_density(self.density)

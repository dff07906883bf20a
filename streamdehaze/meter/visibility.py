"""Visibility in metres, for a camera that does not move: how much of its clear-day contrast is left at known distances.

Fine contrast at distance d falls as ``t = exp(−β·d)`` (Koschmieder), in units of the airlight. A `Reference` holds what
contrast each block of the frame has on the clearest of many pictures, and how far it is. Of a hazy picture, each block
then tells an optical thickness ``τ = ln(C_clear / C)``, and β is fitted to all of them. Visibility is the distance at
which a black object's contrast falls to 5 %, as METAR defines the meteorological optical range: ``V = 3.0 / β``.

No network takes part. Noise, which has contrast of its own, is estimated from the flattest blocks and taken off.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze import affine
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.durable import write_output
from streamdehaze.errors import ConfigError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.meter.reading import HazeClass

OPTICAL_RANGE = 3.0
"""−ln 0.05: β times the visibility."""
_LONG_SIDE, _BLOCKS = 640, 32
"""Pixels of the picture that is looked at, and blocks on its long side."""
_DETAIL = 3.0
"""Standard deviation in pixels of the Gaussian; what it leaves over is fine contrast."""
_CLEAREST = 90
"""Percentile of the pictures' contrasts that is the clear day's."""
_FLATTEST = 2
"""Percentile of the blocks' contrasts that is noise."""
_AIRLIGHT = 98
"""Percentile of luma that is the airlight."""
_TELLING = 2.0
"""Times the noise: blocks with less contrast on the clear day tell nothing."""
_LEAST_UNSURE, _MOST_UNSURE = 0.03, 0.6
"""Optical thickness that changes of the light may imitate, at least and at most."""
_DARK = 0.2
_COMMON = 0.2
"""Weight of the wish that nothing but β tells a picture from the clear day, as a share of the blocks."""
_MOVED = 0.3
"""Correlation with the reference's pattern below which a clear picture is of another view."""
_FEWEST = 3


@dataclass(frozen=True)
class Visibility:
    """What one picture tells."""

    metres: float | None
    """At 5 % contrast; None if unknown, or beyond the range."""
    least: float | None
    """Lower end of the interval in metres, two standard errors and what changes of the light may do; where visibility
    is beyond the range, the range."""
    most: float | None
    """Upper end; None if there is none."""
    unknown: str | None = None
    """Why nothing can be told."""

    @property
    def haze_class(self) -> HazeClass | None:
        """By the metres; without them only where the bounds leave no choice."""
        if self.metres is not None:
            return HazeClass.of_metres(self.metres)
        if self.least is not None and HazeClass.of_metres(self.least) is HazeClass.CLEAR:
            return HazeClass.CLEAR
        if self.most is not None and HazeClass.of_metres(self.most) is HazeClass.DENSE_FOG:
            return HazeClass.DENSE_FOG
        return None

    def __str__(self) -> str:
        if self.unknown is not None:
            return f"unknown: {self.unknown}"
        if self.metres is None:
            if self.least is not None:
                return f"at least {_shown(self.least)}"
            return f"below {_shown(self.most or 0)}"
        most = "more" if self.most is None else _shown(self.most)
        return f"{_shown(self.metres)} ({_shown(self.least or 0)} to {most})"


def _shown(metres: float) -> str:
    return f"{metres / 1000:.1f} km" if metres >= 1000 else f"{metres:.0f} m"


@dataclass(frozen=True)
class Contrast:
    """Fine contrast of one picture."""

    blocks: FloatArray
    """(rows, columns), over the airlight, noise taken off."""
    noise: float
    airlight: float

    @classmethod
    def of(cls, frame: Frame) -> Contrast:
        """Look at a frame."""
        frame_format = FrameFormat.of(frame, _LONG_SIDE)
        luma = affine.to_rgb(affine.shrink_components(frame, frame_format), frame_format).mean(axis=0)
        airlight = max(1e-3, float(np.percentile(luma, _AIRLIGHT)))
        detail = luma - np.asarray(cv2.GaussianBlur(luma, (0, 0), _DETAIL, borderType=cv2.BORDER_REFLECT))
        scale = _BLOCKS / max(luma.shape)
        size = max(4, round(luma.shape[1] * scale)), max(4, round(luma.shape[0] * scale))
        squares = np.asarray(cv2.resize(detail * detail, size, interpolation=cv2.INTER_AREA))
        noise = float(np.percentile(squares, _FLATTEST))
        blocks = np.sqrt(np.maximum(squares - noise, 0)) / airlight
        return cls(blocks.astype(np.float32), math.sqrt(noise) / airlight, airlight)


@dataclass(frozen=True)
class Reference:
    """A camera's view on a clear day, and how far its parts are."""

    clear: FloatArray
    """Contrast, (rows, columns)."""
    distance: FloatArray
    """Metres, (rows, columns); NaN where nothing is known."""
    unsure: float = _MOST_UNSURE
    """Optical thickness that changes of the light imitate: haze that is thinner at the farthest block is not told."""

    @property
    def blocks(self) -> int:
        """How many parts of the view have a distance."""
        return int(np.isfinite(self.distance).sum())

    @property
    def shown_range(self) -> str:
        """The farthest visibility that can be told, in words."""
        return _shown(OPTICAL_RANGE * float(np.nanpercentile(self.distance, 95)) / self.unsure)

    def read(self, frame: Frame) -> Visibility:
        """The visibility that a picture of the same view shows.

        Raises:
            ConfigError: if its shape is another's.
        """
        return self.judge(Contrast.of(frame))

    def judge(self, contrast: Contrast) -> Visibility:
        """The visibility of a picture that has been looked at."""
        if contrast.blocks.shape != self.clear.shape:
            raise ConfigError("the picture has another shape than the camera's reference; learn one for this camera")
        if contrast.airlight < _DARK:
            return Visibility(None, None, None, "too dark")
        known = np.isfinite(self.distance) & (self.clear > _TELLING * contrast.noise) & (self.clear > 0)
        if known.sum() < _FEWEST:
            return Visibility(None, None, None, "the picture is too noisy for the reference")
        distance, clear, now = self.distance[known], self.clear[known], contrast.blocks[known]
        seen = now > contrast.noise
        if seen.mean() > 0.6 and np.corrcoef(np.log(clear[seen]), np.log(now[seen]))[0, 1] < _MOVED:
            return Visibility(None, None, None, "the camera shows another view")
        nearest = float(np.percentile(distance, 5))
        if seen.sum() < _FEWEST:
            return Visibility(None, None, round(OPTICAL_RANGE * nearest))
        thickness, d = np.log(clear[seen] / now[seen]), distance[seen]
        # Far blocks that are seen at all are those where noise or light happened to help: what is lost counts, too,
        # with the thickness at which it was lost, if the fit would have it thinner.
        lost = ~seen
        least = np.log(clear[lost] / max(contrast.noise, 1e-6))
        beta, exposure = _fit(d, thickness)
        for _ in range(4):
            thinner = beta * distance[lost] + exposure < least
            beta, exposure = _fit(np.append(d, distance[lost][thinner]), np.append(thickness, least[thinner]))
        residual = thickness - beta * d - exposure
        error = float(np.sqrt(np.mean(residual**2) / max(1, len(d) - 1) / np.mean(d * d)))
        farthest = float(np.percentile(distance, 95))
        if beta * farthest < self.unsure:
            return Visibility(None, round(OPTICAL_RANGE * farthest / self.unsure), None)
        error = 2 * error + self.unsure / farthest
        low, high = beta + error, beta - error
        most = OPTICAL_RANGE / high if high > 0 else None
        return Visibility(OPTICAL_RANGE / beta, OPTICAL_RANGE / low, most)

    def save(self, path: Path) -> None:
        """Write it as .npz.

        Raises:
            SinkError: if it cannot be written.
        """
        content = io.BytesIO()
        np.savez(content, clear=self.clear, distance=self.distance, unsure=self.unsure)
        write_output(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read what `save` wrote.

        Raises:
            ConfigError: if it is not one.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                clear, distance = (np.asarray(content[name], np.float32) for name in ("clear", "distance"))
                found = cls(clear, distance, float(content["unsure"]))
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(
                f"'{path}' is not a camera's reference; make one with 'streamdehaze visibility learn'"
            ) from error
        if found.clear.ndim != 2 or found.clear.shape != found.distance.shape:
            raise ConfigError(f"'{path}' is not a camera's reference: its maps differ in shape")
        return found


def _fit(d: npt.NDArray[Any], thickness: npt.NDArray[Any]) -> tuple[float, float]:
    """β, and what is common to all distances: another airlight or exposure than on the clear day."""
    penalty = _COMMON * len(d)
    matrix = np.array([[(d * d).sum(), d.sum()], [d.sum(), len(d) + penalty]])
    beta, common = np.linalg.solve(matrix, np.array([(d * thickness).sum(), thickness.sum()]))
    return max(1e-9, float(beta)), float(common)


def clear_day(contrasts: Sequence[Contrast]) -> tuple[FloatArray, float]:
    """The contrast of the clearest pictures, block by block, for shade and traffic come and go; and how it varies.

    Returns:
        (rows, columns), and `Reference.unsure`: the median spread of the logarithm between the clearest fifth and
        twentieth of the pictures.

    Raises:
        ConfigError: if there are none, or they have different shapes.
    """
    if not contrasts:
        raise ConfigError("a reference needs pictures of the camera, some of them on clear days")
    if len({contrast.blocks.shape for contrast in contrasts}) > 1:
        raise ConfigError("the pictures have different shapes; a reference is for one camera")
    usual, clear, best = np.percentile([contrast.blocks for contrast in contrasts], (80, _CLEAREST, 95), axis=0)
    telling = usual > 0
    spread = float(np.median(np.log(best[telling] / usual[telling]))) if telling.any() else _MOST_UNSURE
    return clear.astype(np.float32), min(_MOST_UNSURE, max(_LEAST_UNSURE, spread))


def distances_of_marks(shape: tuple[int, int], marks: Iterable[tuple[float, float, float]]) -> FloatArray:
    """Distances where marks are.

    Args:
        shape: (rows, columns) of the reference.
        marks: x and y as shares of the width and the height, and metres.

    Raises:
        ConfigError: if there are fewer than two, or one lies outside.
    """
    distance = np.full(shape, np.nan, np.float32)
    rows, columns = shape
    given = list(marks)
    if len(given) < 2 or len({metres for *_, metres in given}) < 2:
        raise ConfigError("visibility needs two marks at different distances, or more")
    for x, y, metres in given:
        if not (0 <= x < 1 and 0 <= y < 1 and metres > 0):
            raise ConfigError(f"the mark {x:g},{y:g},{metres:g} must be X,Y,METRES with X and Y from 0 to 1")
        row, column = int(y * rows), int(x * columns)
        distance[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = metres
    return distance


def distances_of_ground(
    shape: tuple[int, int], *, height_metres: float, horizon: float, view_degrees: float
) -> FloatArray:
    """Distances of flat ground below the horizon.

    Args:
        shape: (rows, columns) of the reference.
        height_metres: of the camera above the ground.
        horizon: its line as a share of the height, from above.
        view_degrees: the vertical angle of view.

    Raises:
        ConfigError: if a number is out of range.
    """
    if not (height_metres > 0 and 0 <= horizon < 1 and 0 < view_degrees < 120):
        raise ConfigError(
            "the camera's height must be positive, the horizon 0 to 1, and the angle of view 0 to 120 degrees"
        )
    rows, columns = shape
    focal = 0.5 / math.tan(math.radians(view_degrees) / 2)
    tilt = math.atan((0.5 - horizon) / focal)
    y = (np.arange(rows) + 0.5) / rows
    below = np.arctan((y - 0.5) / focal) + tilt
    with np.errstate(divide="ignore"):
        metres = np.where(below > math.radians(0.3), height_metres / np.sin(np.maximum(below, 1e-6)), np.nan)
    return np.broadcast_to(metres[:, None], (rows, columns)).astype(np.float32)


def distances_of_meter(contrasts: Sequence[Contrast], metres: Sequence[float], clear: FloatArray) -> FloatArray:
    """Distances that agree with a visibility meter next to the camera, NaN where a block does not follow it.

    Args:
        contrasts: of pictures in all weathers.
        metres: the meter's value for each.
        clear: the clear day's contrast.

    Raises:
        ConfigError: if too few blocks follow the meter.
    """
    beta = OPTICAL_RANGE / np.asarray(metres, np.float64)
    noise = np.array([contrast.noise for contrast in contrasts])[:, None, None]
    blocks = np.maximum(np.stack([contrast.blocks for contrast in contrasts]), noise)
    thickness = np.clip(np.log(np.maximum(clear, 1e-6) / np.maximum(blocks, 1e-6)), 0, None)
    ranks = np.argsort(np.argsort(thickness, axis=0), axis=0)
    meter = np.argsort(np.argsort(beta))
    follows = np.tensordot(meter - meter.mean(), ranks - ranks.mean(axis=0), axes=1)
    follows = follows / (len(meter) * meter.std() * np.maximum(ranks.std(axis=0), 1e-6))
    distance = np.tensordot(beta, thickness, axes=1) / (beta**2).sum()
    usable = (follows > 0.5) & (clear > _TELLING * np.median(noise)) & (distance > 0)
    if usable.sum() < _FEWEST:
        raise ConfigError("no part of the picture follows the meter; give pictures of clear and of foggy hours")
    found: FloatArray = np.where(usable, distance, np.nan).astype(np.float32)
    return found

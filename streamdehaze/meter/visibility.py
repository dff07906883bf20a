"""Visibility in metres, for a camera that does not move: how much of its clear-day contrast is left at known distances.

Fine contrast at distance d falls as ``t = exp(−β·d)`` (Koschmieder), in units of the airlight. A `Reference` holds what
contrast each block of the frame has on the clearest of many pictures, by time of day where times are known, and how
far it is. Of a hazy picture, each block
then tells an optical thickness ``τ = ln(C_clear / C)``, and β is fitted to all of them. Visibility is the distance at
which a black object's contrast falls to 5 %, as METAR defines the meteorological optical range: ``V = 3.0 / β``.

No network takes part. Noise, which has contrast of its own, is estimated from the flattest blocks and taken off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.arrays import pack_arrays, read_arrays
from streamdehaze.dehaze import affine
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.dehaze.frame_mask import find_covered
from streamdehaze.durable import write_output
from streamdehaze.errors import ConfigError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.meter.calibration import Calibration
from streamdehaze.meter.reading import HazeClass

OPTICAL_RANGE = 3.0
"""−ln 0.05: β times the visibility."""
_LONG_SIDE, _BLOCKS = 640, 32
"""Pixels of the picture that is looked at, and blocks on its long side."""
_DETAIL = 3.0
"""Standard deviation in pixels of the Gaussian; what it leaves over is fine contrast."""
_CLEAREST = 90
"""Percentile of the pictures' contrasts that is the clear day's."""
_AS_CLEAR = 0.8
"""Mean contrast over the clear day's from which on a picture counts as one of a clear day."""
_BROAD = 2.0, 12.0
"""Standard deviations of two Gaussians; their difference is broad contrast, which noise, drops on the lens and JPEG
blur less."""
_EDGE = 25
"""Pixels, square, around bars, rims and boxes: blocks that near tell of their edge."""
_FLATTEST = 2
"""Percentile of the blocks' contrasts that is noise."""
_LEAST_CONTRAST = 1e-4
"""Below it counts as nothing."""
_AIRLIGHT = 98
"""Percentile of luma that is the airlight."""
TELLING = 2.0
"""Times the noise: blocks with less contrast on the clear day tell nothing."""
_LEAST_UNSURE, _MOST_UNSURE = 0.03, 0.6
"""Optical thickness that changes of the light may imitate, at least and at most."""
DARK = 0.2
_COMMON = 0.2
"""Weight of the wish that nothing but β tells a picture from the clear day, as a share of the blocks."""
_MOVED = 0.3
"""Correlation with the reference's pattern below which a clear picture is of another view."""
FEWEST = 3
"""Parts of the view that must tell something."""
BIN_HOURS = 2
"""Length of what counts as one time of day."""
_CLEAN = 1e-3
"""Noise of the median of many pictures."""
_WITH_DISTANCE = 0.5
"""Correlation of what is lost with distance from which on it is haze."""
_FEWEST_PICTURES = 4
"""Pictures of a time of day that make a view of its own."""


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
    """Why nothing is known."""

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

    def as_dict(self) -> dict[str, int | str | None]:
        """Plain values, for JSON and CSV: whole metres, the class, and why nothing is known."""
        haze_class = self.haze_class
        bounds = {"metres": self.metres, "least": self.least, "most": self.most}
        return {
            **{name: None if metres is None else round(metres) for name, metres in bounds.items()},
            "class": None if haze_class is None else haze_class.value,
            "unknown": self.unknown,
        }

    def __str__(self) -> str:
        if self.unknown is not None:
            return f"unknown: {self.unknown}"
        if self.metres is None:
            if self.least is not None:
                return f"at least {_shown(self.least)}"
            return f"below {_shown(self.most or 0)}"
        most = "or more" if self.most is None else f"to {_shown(self.most)}"
        return f"{_shown(self.metres)} ({_shown(self.least or 0)} {most})"


def _shown(metres: float) -> str:
    return f"{metres / 1000:.1f} km" if metres >= 1000 else f"{metres:.0f} m"


@dataclass(frozen=True)
class Contrast:
    """Contrast of one picture."""

    blocks: FloatArray
    """Fine contrast, (rows, columns), over the airlight, noise taken off."""
    noise: float
    airlight: float
    broad: FloatArray | None = None
    """Broad contrast of the same blocks, at least as much as noise has, for a `Calibration`; None if only the fine one
    was kept."""

    @classmethod
    def of(cls, frame: Frame) -> Contrast:
        """Look at a frame."""
        frame_format = FrameFormat.of(frame, _LONG_SIDE)
        rgb = affine.to_rgb(affine.shrink_components(frame, frame_format), frame_format)
        luma, covered = rgb.mean(axis=0), find_covered(rgb)
        airlight = max(1e-3, float(np.percentile(luma[~covered], _AIRLIGHT)))
        near_cover = cv2.dilate(covered.astype(np.float32), np.ones((_EDGE, _EDGE)))
        scene = _blocks(np.asarray(near_cover)) == 0
        fine, noise = _contrast(luma - _blurred(luma, _DETAIL), scene)
        broad, broad_noise = _contrast(_blurred(luma, _BROAD[0]) - _blurred(luma, _BROAD[1]), scene)
        return cls(
            fine / np.float32(airlight),
            noise / airlight,
            airlight,
            np.maximum(broad, np.float32(max(broad_noise, _LEAST_CONTRAST))) / np.float32(airlight),
        )


@dataclass(frozen=True)
class ClearView:
    """How a camera's view looks in clear air."""

    contrast: FloatArray
    """(rows, columns)."""
    unsure: float = _MOST_UNSURE
    """Optical thickness that changes of the light imitate: thinner haze at the farthest block is not detected."""
    hour: float | None = None
    """Hour of the day around which it holds; None: at any time."""
    day: date | None = None
    """Date of the last clear picture it was learned from; None if unknown."""

    @classmethod
    def of(cls, contrasts: Sequence[Contrast], times: Sequence[datetime | None] = ()) -> ClearView:
        """The contrast of the clearest pictures, block by block, for shade and traffic come and go; and how it varies.

        `unsure` is the median spread of the logarithm between the clearest fifth and twentieth of the pictures.

        Args:
            contrasts: of pictures in different weather, some of them clear.
            times: when each was taken, if that is known.

        Raises:
            ConfigError: if there are none, or they have different shapes.
        """
        if not contrasts:
            raise ConfigError("a reference needs pictures of the camera, some of them on clear days")
        if len({contrast.blocks.shape for contrast in contrasts}) > 1:
            raise ConfigError("the pictures have different shapes; a reference is for one camera")
        blocks = np.stack([contrast.blocks for contrast in contrasts])
        usual, clear, best = np.percentile(blocks, (80, _CLEAREST, 95), axis=0)
        telling = usual > 0
        spread = float(np.median(np.log(best[telling] / usual[telling]))) if telling.any() else _MOST_UNSURE
        means = blocks.mean(axis=(1, 2))
        clearest = means >= _AS_CLEAR * np.percentile(means, _CLEAREST)
        days = [time.date() for time, is_clear in zip(times, clearest, strict=False) if time is not None and is_clear]
        return cls(
            clear.astype(np.float32),
            min(_MOST_UNSURE, max(_LEAST_UNSURE, spread)),
            day=max(days, default=None),
        )


@dataclass(frozen=True)
class Reference:
    """A camera's view in clear air, at any time and by time of day, and how far its parts are."""

    views: tuple[ClearView, ...]
    """The first holds at any time; the others, if there are any, around their hours."""
    distance: FloatArray
    """Metres, (rows, columns); NaN where nothing is known."""
    calibration: Calibration | None = None
    """By a visibility meter next to the camera; what it says goes before the law of haze."""

    @classmethod
    def learn(cls, contrasts: Sequence[Contrast], times: Sequence[datetime | None], distance: FloatArray) -> Reference:
        """Learn from pictures of a camera.

        A time of day, two hours long, gets a view of its own if it has at least four pictures, and some of them clear.

        Args:
            contrasts: of pictures in different weather, at least some of them clear.
            times: when each was taken; None where that is unknown.
            distance: metres, (rows, columns); NaN where nothing is known.

        Raises:
            ConfigError: see `ClearView.of`.
        """
        always = cls((ClearView.of(contrasts, times),), distance)
        by_hour: dict[int, list[int]] = {}
        for index, time in enumerate(times):
            if time is not None:
                by_hour.setdefault(int(time.hour // BIN_HOURS), []).append(index)
        views = list(always.views)
        for number, mine in sorted(by_hour.items()):
            if len(mine) < _FEWEST_PICTURES:
                continue
            view = ClearView.of([contrasts[index] for index in mine], [times[index] for index in mine])
            if not always._is_hazy(view):
                views.append(replace(view, hour=(number + 0.5) * BIN_HOURS))
        return cls(tuple(views), distance)

    @property
    def blocks(self) -> int:
        """How many parts of the view have a distance."""
        return int(np.isfinite(self.distance).sum())

    @property
    def range_metres(self) -> float:
        """The farthest visibility that can be measured."""
        return OPTICAL_RANGE * float(np.nanpercentile(self.distance, 95)) / self.views[0].unsure

    @property
    def shown_range(self) -> str:
        """The same as text."""
        return _shown(self.range_metres)

    def read(self, frame: Frame, when: datetime | None = None, *, max_age_days: float | None = None) -> Visibility:
        """The visibility that a picture of the same view shows.

        Args:
            frame: the picture.
            when: it was taken, in the camera's local time; None: the view that holds at any time is taken.
            max_age_days: a reference whose clear pictures are farther away in time tells nothing; None: it always does.

        Raises:
            ConfigError: if its shape is another's.
        """
        return self.judge(Contrast.of(frame), when, max_age_days=max_age_days)

    def judge(
        self, contrast: Contrast, when: datetime | None = None, *, max_age_days: float | None = None
    ) -> Visibility:
        """The visibility of a picture that has been looked at; see `read`."""
        view = self._view(when) if self.calibration is None else self.views[0]  # it was taught at all hours
        if view is None:
            return Visibility(None, None, None, "no clear picture of this time of day is known")
        if when is not None and view.day is not None and max_age_days is not None:
            age = abs((when.date() - view.day).days)
            if age > max_age_days:
                return Visibility(None, None, None, f"the reference is {age} days old")
        if contrast.blocks.shape != view.contrast.shape:
            raise ConfigError("the picture has another shape than the camera's reference; learn one for this camera")
        if contrast.airlight < DARK:
            return Visibility(None, None, None, "too dark")
        known = np.isfinite(self.distance) & (view.contrast > TELLING * contrast.noise) & (view.contrast > 0)
        if known.sum() < FEWEST:
            return Visibility(None, None, None, "the picture is too noisy for the reference")
        distance, clear, now = self.distance[known], view.contrast[known], contrast.blocks[known]
        seen = now > contrast.noise
        if seen.mean() > 0.6 and np.corrcoef(np.log(clear[seen]), np.log(now[seen]))[0, 1] < _MOVED:
            return Visibility(None, None, None, "the camera shows another view")
        nearest = float(np.percentile(distance, 5))
        if seen.sum() < FEWEST:
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
        if beta * farthest < view.unsure:
            return Visibility(None, round(OPTICAL_RANGE * farthest / view.unsure), None)
        if self.calibration is not None and contrast.broad is not None:
            metres, factor = self.calibration.metres(contrast.broad), math.exp(2 * self.calibration.error)
            # Only pictures within the range were learned from, so what is farther looks nearer.
            beyond = metres * factor > self.range_metres
            return Visibility(metres, metres / factor, None if beyond else metres * factor)
        error = 2 * error + view.unsure / farthest
        low, high = beta + error, beta - error
        most = OPTICAL_RANGE / high if high > 0 else None
        return Visibility(OPTICAL_RANGE / beta, OPTICAL_RANGE / low, most)

    def save(self, path: Path) -> None:
        """Write it as .npz.

        Raises:
            SinkError: if it cannot be written.
        """
        content = pack_arrays(
            distance=self.distance,
            clear=np.stack([view.contrast for view in self.views]),
            unsure=[view.unsure for view in self.views],
            hour=[np.nan if view.hour is None else view.hour for view in self.views],
            day=[0 if view.day is None else view.day.toordinal() for view in self.views],
            broad_weights=np.empty((0, 0)) if self.calibration is None else self.calibration.weights,
            calibration=[] if self.calibration is None else [self.calibration.constant, self.calibration.error],
        )
        write_output(path, content)

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read what `save` wrote.

        Raises:
            ConfigError: if it is not one, or not there.
        """
        if not path.exists():
            raise ConfigError(f"there is no file '{path}'; make a reference with 'streamdehaze visibility learn'")
        try:
            content = read_arrays(path)
            distance = np.asarray(content["distance"], np.float32)
            columns = (content[name] for name in ("clear", "unsure", "hour", "day"))
            views = tuple(
                ClearView(
                    np.asarray(contrast, np.float32),
                    float(spread),
                    None if np.isnan(hour) else float(hour),
                    None if day == 0 else date.fromordinal(int(day)),
                )
                for contrast, spread, hour, day in zip(*columns, strict=True)
            )
            numbers = content.get("calibration", ())
            calibration = Calibration(content["broad_weights"], *map(float, numbers)) if len(numbers) else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"'{path}' is not a camera's reference; make one with 'streamdehaze visibility learn'"
            ) from error
        if not views or distance.ndim != 2 or any(view.contrast.shape != distance.shape for view in views):
            raise ConfigError(f"'{path}' is not a camera's reference: its maps differ in shape")
        return cls(views, distance, calibration)

    def _is_hazy(self, view: ClearView) -> bool:
        """Whether a view was never clear: it lacks contrast, and the more the farther away; shade knows no distance."""
        found = self.judge(Contrast(view.contrast, _CLEAN, 1.0))
        known = np.isfinite(self.distance) & (self.views[0].contrast > _CLEAN) & (view.contrast > _CLEAN)
        if found.most is None or known.sum() < FEWEST:
            return found.most is not None
        thickness = np.log(self.views[0].contrast[known] / view.contrast[known])
        return float(np.corrcoef(self.distance[known], thickness)[0, 1]) > _WITH_DISTANCE

    def _view(self, when: datetime | None) -> ClearView | None:
        """The clear view of a time of day; None if none is known of it."""
        by_hour = [view for view in self.views if view.hour is not None]
        if when is None or not by_hour:
            return self.views[0]
        hour = when.hour + when.minute / 60

        def apart(view: ClearView) -> float:
            difference = abs((view.hour or 0.0) - hour)
            return min(difference, 24 - difference)

        nearest = min(by_hour, key=apart)
        return nearest if apart(nearest) <= BIN_HOURS else None


def _blurred(luma: FloatArray, deviation: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(luma, (0, 0), deviation, borderType=cv2.BORDER_REFLECT))


def _blocks(x: FloatArray) -> FloatArray:
    """Means of the blocks, (rows, columns)."""
    scale = _BLOCKS / max(x.shape)
    size = max(4, round(x.shape[1] * scale)), max(4, round(x.shape[0] * scale))
    return np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_AREA))


def _contrast(detail: FloatArray, scene: npt.NDArray[np.bool_]) -> tuple[FloatArray, float]:
    """Root mean square of the blocks, (rows, columns), without the noise and 0 outside the scene; and the noise."""
    squares = _blocks(detail * detail)
    noise = float(np.percentile(squares[scene], _FLATTEST)) if scene.any() else 0.0
    return np.sqrt(np.maximum(np.where(scene, squares, 0) - np.float32(noise), 0)), math.sqrt(noise)


def _fit(d: npt.NDArray[Any], thickness: npt.NDArray[Any]) -> tuple[float, float]:
    """β, and what is common to all distances: another airlight or exposure than on the clear day."""
    penalty = _COMMON * len(d)
    matrix = np.array([[(d * d).sum(), d.sum()], [d.sum(), len(d) + penalty]])
    beta, common = np.linalg.solve(matrix, np.array([(d * thickness).sum(), thickness.sum()]))
    return max(1e-9, float(beta)), float(common)

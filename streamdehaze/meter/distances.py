"""How far the parts of a fixed camera's view are: from marks, from flat ground, or from a visibility meter.

A meter teaches more than distances: see `learn_from_meter`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import fmean

import numpy as np

from streamdehaze.errors import ConfigError
from streamdehaze.frame import FloatArray
from streamdehaze.meter.calibration import Calibration
from streamdehaze.meter.visibility import FEWEST, OPTICAL_RANGE, TELLING, ClearView, Contrast, Reference

_PARTS = 10
"""Pictures of unknown days are left out by this many runs of neighbours."""


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
    usable = (follows > 0.5) & (clear > TELLING * np.median(noise)) & (distance > 0)
    if usable.sum() < FEWEST:
        raise ConfigError("no part of the picture follows the meter; give pictures of clear and of foggy hours")
    found: FloatArray = np.where(usable, distance, np.nan).astype(np.float32)
    return found


def learn_from_meter(
    contrasts: Sequence[Contrast], times: Sequence[datetime | None], metres: Sequence[float]
) -> Reference:
    """A reference that agrees with a visibility meter next to the camera.

    The distances are the meter's. With a dozen hazy pictures the metres themselves are learned, too; which of the two
    reads days left out with the smaller error is used.

    Args:
        contrasts: of pictures in all weathers, with `Contrast.broad`.
        times: when each was taken; None where that is unknown.
        metres: that the meter read at each.

    Raises:
        ConfigError: if too few blocks follow the meter.
    """

    def by_law(chosen: Sequence[int]) -> Reference:
        mine = [contrasts[index] for index in chosen]
        distance = distances_of_meter(mine, [metres[index] for index in chosen], ClearView.of(mine).contrast)
        return Reference.learn(mine, [times[index] for index in chosen], distance)

    everything = range(len(contrasts))
    reference, days = by_law(everything), _days(times)
    hazy = [index for index in everything if metres[index] < reference.range_metres]
    broad = [(index, found) for index in hazy if (found := contrasts[index].broad) is not None]
    calibration = Calibration.learn(
        [found for _, found in broad], [metres[index] for index, _ in broad], [days[index] for index, _ in broad]
    )
    if calibration is None:
        return reference
    errors = []
    for left_out in {days[index] for index in hazy}:
        try:
            law = by_law([index for index in everything if days[index] != left_out])
        except ConfigError:  # the other days are too few
            continue
        for index in hazy:
            if days[index] == left_out and (judged := law.judge(contrasts[index], times[index]).metres) is not None:
                errors.append(math.log(judged / metres[index]))
    if errors and math.sqrt(fmean(error * error for error in errors)) < calibration.error:
        return reference
    return replace(reference, calibration=calibration)


def _days(times: Sequence[datetime | None]) -> list[int]:
    """The day of each picture; where days are unknown or all the same, parts of the sequence."""
    known = [time.toordinal() for time in times if time is not None]
    if len(known) == len(times) and len(set(known)) > 1:
        return known
    return [index * _PARTS // len(times) for index in range(len(times))]

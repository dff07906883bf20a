"""Carrying small maps along a flow, weighing and blending them: (n, rows, columns) arrays of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.kernels.compiled import Loop
from streamdehaze.frame import FloatArray


def carry(planes: FloatArray, flow: FloatArray, out: FloatArray) -> None:
    """Move `planes` (n, rows, columns) along `flow` (rows, columns, 2), bilinearly; beyond the border it is repeated.

    ``out[:, y, x] = planes[:, y + flow[y, x, 1], x + flow[y, x, 0]]``; there are at least 2 rows and 2 columns.
    """
    count, rows, columns = planes.shape
    flat = np.ascontiguousarray(planes).reshape(count, rows * columns)
    place = np.empty(columns, np.uint32)  # unsigned: a negative index would have to be looked for
    f, g = np.empty(columns, np.float32), np.empty(columns, np.float32)
    _carry(flat, flow, place, f, g, out)


@Loop
def _carry(flat: Any, flow: Any, place: Any, f: Any, g: Any, out: Any) -> None:
    count, rows, columns = out.shape
    one, below = np.uint32(1), np.uint32(columns)
    for y in range(rows):
        for x in range(columns):
            u = min(max(np.float32(x) + flow[y, x, 0], np.float32(0)), np.float32(columns - 1))
            v = min(max(np.float32(y) + flow[y, x, 1], np.float32(0)), np.float32(rows - 1))
            left, upper = min(np.int32(u), np.int32(columns - 2)), min(np.int32(v), np.int32(rows - 2))
            place[x] = upper * columns + left
            f[x], g[x] = u - np.float32(left), v - np.float32(upper)
        for n in range(count):
            source, target = flat[n], out[n, y]
            for x in range(columns):
                i = place[x]
                top = source[i] + f[x] * (source[np.uint32(i + one)] - source[i])
                j = np.uint32(i + below)
                bottom = source[j] + f[x] * (source[np.uint32(j + one)] - source[j])
                target[x] = top + g[x] * (bottom - top)


def process_noise(reference: FloatArray, picture: FloatArray, floor: float, spread: float, drift: float) -> FloatArray:
    """What the variance of each pixel grows by, (rows, columns), in units of the variance of one answer.

    It is `drift` and, where the picture left its reference by a c beyond `floor`, ``((c − floor)/spread)²``.
    """
    noise = np.empty(picture.shape[1:], np.float32)
    change = np.empty(picture.shape[2], np.float32)
    _process_noise(reference, picture, float(floor), float(spread), float(drift), change, noise)
    return noise


@Loop
def _process_noise(
    reference: Any, picture: Any, floor: float, spread: float, drift: float, change: Any, noise: Any
) -> None:
    channels, rows, columns = picture.shape
    for y in range(rows):
        for x in range(columns):
            change[x] = floor
        for n in range(channels):
            row, other = picture[n, y], reference[n, y]
            for x in range(columns):  # as a sum, for a maximum would be stored through a mask, which is slow on AMD
                change[x] += max(abs(row[x] - other[x]) - change[x], np.float32(0))
        for x in range(columns):
            beyond = (change[x] - np.float32(floor)) * np.float32(1 / spread)
            noise[y, x] = np.float32(drift) + beyond * beyond


def blend(planes: FloatArray, fresh: FloatArray, weight: FloatArray, corrections: FloatArray) -> None:
    """Draw `planes` (n, rows, columns) towards `fresh` by `weight` (rows, columns), in place.

    To `corrections` (≤ n, cell rows, cell columns) is added what each cell of the first planes changed by on average.
    """
    _blend(planes, fresh, weight, np.empty(planes.shape[2], np.float32), corrections)


@Loop
def _blend(planes: Any, fresh: Any, weight: Any, total: Any, corrections: Any) -> None:
    count, rows, columns = planes.shape
    measured, cell_rows, cell_columns = corrections.shape
    share = np.float32(cell_rows * cell_columns / (rows * columns))
    for n in range(count):
        for band in range(cell_rows):
            for x in range(columns):
                total[x] = 0
            for y in range(band * rows // cell_rows, (band + 1) * rows // cell_rows):
                for x in range(columns):
                    change = weight[y, x] * (fresh[n, y, x] - planes[n, y, x])
                    planes[n, y, x] += change
                    total[x] += change
            if n < measured:
                for cell in range(cell_columns):
                    part = np.float32(0)
                    for x in range(cell * columns // cell_columns, (cell + 1) * columns // cell_columns):
                        part += total[x]
                    corrections[n, band, cell] += part * share


def correct(planes: FloatArray, share: FloatArray, ahead: FloatArray, out: FloatArray) -> None:
    """Write `planes` (n, rows, columns), drawn to the first n of `ahead` by `share` (rows, columns), into `out`."""
    _correct(planes, share, ahead, out)


@Loop
def _correct(planes: Any, share: Any, ahead: Any, out: Any) -> None:
    count, rows, columns = planes.shape
    for n in range(count):
        for y in range(rows):
            for x in range(columns):
                out[n, y, x] = planes[n, y, x] + share[y, x] * (ahead[n, y, x] - planes[n, y, x])


def carry_over(rest: FloatArray, share: FloatArray, planes: FloatArray) -> None:
    """Reduce `rest` (n, rows, columns) to `share` (rows, columns) of it, and add it to `planes`, both in place."""
    _carry_over(rest, share, planes)


@Loop
def _carry_over(rest: Any, share: Any, planes: Any) -> None:
    count, rows, columns = planes.shape
    for n in range(count):
        for y in range(rows):
            for x in range(columns):
                rest[n, y, x] *= share[y, x]
                planes[n, y, x] += rest[n, y, x]


def recall(
    planes: FloatArray,
    kept: FloatArray,
    picture: FloatArray,
    noise: FloatArray,
    floor: float,
    covered: float,
    *,
    give_back: bool,
) -> npt.NDArray[np.uint8]:
    """Keep in `kept` what `planes` hold of pixels that are now covered, and give back what is uncovered, in place.

    Args:
        planes, kept: gain, offset and reference of n components, and the variance, (3n + 1, rows, columns).
        picture: components, (n, rows, columns).
        noise: process noise, (rows, columns); 0 afterwards where something was given back.
        floor: largest difference from a reference that is noise.
        covered: process noise above which a pixel is covered.
        give_back: whether anything is given back.

    Returns:
        1 where something was given back, else 0, (rows, columns).
    """
    found, change = np.empty(noise.shape, np.uint8), np.empty(noise.shape[1], np.float32)
    _recall(planes, kept, picture, noise, float(floor), float(covered), int(give_back), change, found)
    return found


@Loop
def _recall(
    planes: Any, kept: Any, picture: Any, noise: Any, floor: float, covered: float, give: int, change: Any, found: Any
) -> None:
    """Each row is looked at as a whole first, in loops for vectors: little of it is to be kept or given back."""
    count, rows, columns = planes.shape
    channels, last = picture.shape[0], count - 1
    most, noisy = np.float32(floor), np.float32(covered)
    for y in range(rows):
        for x in range(columns):
            change[x] = 0 if give else most + 1
        for n in range(channels if give else 0):
            row, other = picture[n, y], kept[2 * channels + n, y]
            for x in range(columns):  # as in `_process_noise`
                change[x] += max(abs(row[x] - other[x]) - change[x], np.float32(0))
        added, variance, kept_variance, what = noise[y], planes[last, y], kept[last, y], found[y]
        anything = 0
        for x in range(columns):
            hidden = (added[x] > noisy) & (variance[x] < kept_variance[x])
            seen = (variance[x] + added[x] > kept_variance[x]) & (change[x] <= most)
            what[x] = 2 if hidden else seen
            anything |= what[x]
        for x in range(columns if anything else 0):
            if what[x] == 2:
                what[x] = 0
                for n in range(count):
                    kept[n, y, x] = planes[n, y, x]
            elif what[x]:
                added[x] = 0
                for n in range(count):
                    planes[n, y, x] = kept[n, y, x]

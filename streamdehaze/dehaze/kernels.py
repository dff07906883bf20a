"""The loops over full-size planes (shrink by area, enlarge and apply an affine map) and over maps in time. By numba.

Each releases the interpreter lock, reads and writes every sample once, and keeps its inner loop over a contiguous row
so that the compiler vectorises it. Planes are (rows, row length) arrays of uint8 or uint16 in native byte order;
sample x of a row is ``row[x * step + offset] >> shift``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from streamdehaze.frame import FloatArray


@njit(nogil=True, cache=True, fastmath=True)
def shrink(
    plane: npt.NDArray[Any],
    offset: int,
    step: int,
    shift: int,
    width: int,
    height: int,
    scale: float,
    out: FloatArray,
) -> None:
    """Area-average `width` × `height` samples into `out` (rows, columns), times `scale`; `out` is no larger than them.

    Rows first, into one float row that stays in the cache, then columns.
    """
    out_height, out_width = out.shape
    row_ratio = height / out_height
    column_ratio = width / out_width
    total = np.empty(width, np.float32)
    norm = np.float32(scale / (row_ratio * column_ratio))
    for j in range(out_height):
        top, bottom = j * row_ratio, min((j + 1) * row_ratio, float(height))
        total[:] = 0
        y = int(top)
        while y < bottom:
            weight = np.float32(min(y + 1.0, bottom) - max(float(y), top))
            row = plane[y]
            if step == 1 and shift == 0:
                for x in range(width):
                    total[x] += weight * np.float32(row[x])
            else:
                for x in range(width):
                    total[x] += weight * np.float32(row[x * step + offset] >> shift)
            y += 1
        for i in range(out_width):
            left, right = i * column_ratio, min((i + 1) * column_ratio, float(width))
            first, last = int(left), int(np.ceil(right)) - 1
            value = np.float32(0)
            for x in range(first, last + 1):
                value += total[x]
            value -= np.float32(left - first) * total[first] + np.float32(last + 1 - right) * total[last]
            out[j, i] = value * norm


@njit(nogil=True, cache=True, fastmath=True)
def _enlarge_columns(small: FloatArray, width: int) -> FloatArray:
    rows, columns = small.shape
    left = np.empty(width, np.int32)
    right = np.empty(width, np.int32)
    fraction = np.empty(width, np.float32)
    for x in range(width):
        u = min(max((x + 0.5) * (columns / width) - 0.5, 0.0), columns - 1.0)
        left[x] = int(u)
        right[x] = min(left[x] + 1, columns - 1)
        fraction[x] = u - left[x]
    wide = np.empty((rows, width), np.float32)
    for y in range(rows):
        narrow, row = small[y], wide[y]
        for x in range(width):
            value = narrow[left[x]]
            row[x] = value + fraction[x] * (narrow[right[x]] - value)
    return wide


@njit(nogil=True, cache=True, fastmath=True)
def apply_affine(
    plane: npt.NDArray[Any],
    offset: int,
    step: int,
    shift: int,
    width: int,
    height: int,
    gain: FloatArray,
    bias: FloatArray,
    top: int,
    out: npt.NDArray[Any],
) -> None:
    """Write ``round(gain · sample + bias)``, clipped to 0…`top`, into `out`, laid out as `plane`.

    `gain` and `bias` are small (rows, columns) maps, enlarged bilinearly (centres aligned); `bias` is in sample units.
    """
    wide_gain = _enlarge_columns(gain, width)
    wide_bias = _enlarge_columns(bias, width)
    rows = gain.shape[0]
    ratio = rows / height
    ceiling = np.float32(top)
    half = np.float32(0.5)
    zero = np.float32(0)
    for y in range(height):
        v = min(max((y + 0.5) * ratio - 0.5, 0.0), rows - 1.0)
        upper = int(v)
        lower = min(upper + 1, rows - 1)
        f = np.float32(v - upper)
        gain_0, gain_1, bias_0, bias_1 = (
            wide_gain[upper],
            wide_gain[lower],
            wide_bias[upper],
            wide_bias[lower],
        )
        row, target = plane[y], out[y]
        if step == 1 and shift == 0:
            for x in range(width):
                a = gain_0[x] + f * (gain_1[x] - gain_0[x])
                b = bias_0[x] + f * (bias_1[x] - bias_0[x])
                value = min(max(a * np.float32(row[x]) + b + half, zero), ceiling)
                target[x] = np.int32(value)
        else:
            for x in range(width):
                a = gain_0[x] + f * (gain_1[x] - gain_0[x])
                b = bias_0[x] + f * (bias_1[x] - bias_0[x])
                value = min(max(a * np.float32(row[x * step + offset] >> shift) + b + half, zero), ceiling)
                target[x * step + offset] = np.int32(value) << shift


@njit(nogil=True, cache=True, fastmath=True)
def carry(planes: FloatArray, flow: FloatArray, out: FloatArray) -> None:
    """Move `planes` (n, rows, columns) along `flow` (rows, columns, 2), bilinearly; beyond the border it is repeated.

    ``out[:, y, x] = planes[:, y + flow[y, x, 1], x + flow[y, x, 0]]``; there are at least 2 rows and 2 columns.
    """
    count, rows, columns = planes.shape
    flat = planes.reshape(count, rows * columns)
    place = np.empty(columns, np.uint32)  # unsigned: a negative index would have to be looked for
    f, g = np.empty(columns, np.float32), np.empty(columns, np.float32)
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


@njit(nogil=True, cache=True, fastmath=True)
def process_noise(reference: FloatArray, picture: FloatArray, floor: float, spread: float, drift: float) -> FloatArray:
    """What the variance of each pixel grows by, (rows, columns), in units of the variance of one answer.

    It is `drift` and, where the picture left its reference by a c beyond `floor`, ``((c − floor)/spread)²``.
    """
    channels, rows, columns = picture.shape
    noise = np.empty((rows, columns), np.float32)
    change = np.empty(columns, np.float32)
    for y in range(rows):
        change[:] = floor
        for n in range(channels):
            row, other = picture[n, y], reference[n, y]
            for x in range(columns):
                change[x] = max(change[x], abs(row[x] - other[x]))
        for x in range(columns):
            beyond = (change[x] - np.float32(floor)) * np.float32(1 / spread)
            noise[y, x] = np.float32(drift) + beyond * beyond
    return noise


@njit(nogil=True, cache=True, fastmath=True)
def blend(planes: FloatArray, fresh: FloatArray, weight: FloatArray, corrections: FloatArray) -> None:
    """Draw `planes` (n, rows, columns) towards `fresh` by `weight` (rows, columns), in place.

    To `corrections` (≤ n, cell rows, cell columns) is added what each cell of the first planes changed by on average.
    """
    count, rows, columns = planes.shape
    measured, cell_rows, cell_columns = corrections.shape
    total = np.empty(columns, np.float32)
    share = np.float32(cell_rows * cell_columns / (rows * columns))
    for n in range(count):
        for band in range(cell_rows):
            total[:] = 0
            for y in range(band * rows // cell_rows, (band + 1) * rows // cell_rows):
                for x in range(columns):
                    change = weight[y, x] * (fresh[n, y, x] - planes[n, y, x])
                    planes[n, y, x] += change
                    total[x] += change
            if n < measured:
                for cell in range(cell_columns):
                    part = total[cell * columns // cell_columns : (cell + 1) * columns // cell_columns]
                    corrections[n, band, cell] += part.sum() * share


@njit(nogil=True, cache=True, fastmath=True)
def correct(planes: FloatArray, variance: FloatArray, noise: FloatArray, ahead: FloatArray, out: FloatArray) -> None:
    """Write `planes` (n, rows, columns), drawn towards the first n of `ahead` by P / (P + Q), into `out`."""
    count, rows, columns = planes.shape
    share = variance / (variance + noise)
    for n in range(count):
        for y in range(rows):
            for x in range(columns):
                out[n, y, x] = planes[n, y, x] + share[y, x] * (ahead[n, y, x] - planes[n, y, x])

"""The loops over full-size planes (shrink by area, enlarge and apply an affine map) and over maps in time.

Each is compiled (`streamdehaze.dehaze.compiled`), releases the interpreter lock, reads and writes every sample once,
and keeps its inner loop over a contiguous row so that the compiler vectorises it; rows to work in come from outside.
Planes are (rows, row length) arrays of uint8 or uint16 in native byte order; sample x of a row is
``row[x * step + offset] >> shift``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.compiled import Loop
from streamdehaze.frame import FloatArray


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
    _shrink(plane, offset, step, shift, width, height, float(scale), np.empty(width, np.float32), out)


@Loop
def _shrink(
    plane: Any, offset: int, step: int, shift: int, width: int, height: int, scale: float, total: Any, out: Any
) -> None:
    out_height, out_width = out.shape
    row_ratio = height / out_height
    column_ratio = width / out_width
    norm = np.float32(scale / (row_ratio * column_ratio))
    for j in range(out_height):
        top, bottom = j * row_ratio, min((j + 1) * row_ratio, float(height))
        for x in range(width):
            total[x] = 0
        y = int(top)
        while y < bottom:
            weight = np.float32(min(y + 1.0, bottom) - max(float(y), top))
            if step == 1 and shift == 0:
                for x in range(width):
                    total[x] += weight * np.float32(plane[y, x])
            else:
                for x in range(width):
                    total[x] += weight * np.float32(plane[y, x * step + offset] >> shift)
            y += 1
        for i in range(out_width):
            left, right = i * column_ratio, min((i + 1) * column_ratio, float(width))
            first, last = int(left), int(np.ceil(right)) - 1
            value = np.float32(0)
            for x in range(first, last + 1):
                value += total[x]
            value -= np.float32(left - first) * total[first] + np.float32(last + 1 - right) * total[last]
            out[j, i] = value * norm


@Loop
def _enlarge_columns(small: Any, left: Any, right: Any, fraction: Any, wide: Any) -> None:
    """Stretch the rows of `small` to those of `wide`, bilinearly; the others are as long, to work in."""
    rows, columns = small.shape
    width = wide.shape[1]
    for x in range(width):
        u = min(max((x + 0.5) * (columns / width) - 0.5, 0.0), columns - 1.0)
        left[x] = int(u)
        right[x] = min(left[x] + 1, columns - 1)
        fraction[x] = u - left[x]
    for y in range(rows):
        narrow, row = small[y], wide[y]
        for x in range(width):
            value = narrow[left[x]]
            row[x] = value + fraction[x] * (narrow[right[x]] - value)


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
    left, right, fraction = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.float32)
    wide_gain, wide_bias = (np.empty((len(gain), width), np.float32) for _ in range(2))
    for small, wide in ((gain, wide_gain), (bias, wide_bias)):
        _enlarge_columns(np.ascontiguousarray(small, np.float32), left, right, fraction, wide)
    _apply_affine(plane, offset, step, shift, width, height, wide_gain, wide_bias, top, out)


@Loop
def _apply_affine(
    plane: Any, offset: int, step: int, shift: int, width: int, height: int,
    wide_gain: Any, wide_bias: Any, top: int, out: Any,
) -> None:  # fmt: skip
    rows = wide_gain.shape[0]
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
            for x in range(columns):
                change[x] = max(change[x], abs(row[x] - other[x]))
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


def correct(planes: FloatArray, variance: FloatArray, noise: FloatArray, ahead: FloatArray, out: FloatArray) -> None:
    """Write `planes` (n, rows, columns), drawn towards the first n of `ahead` by P / (P + Q), into `out`."""
    _correct(planes, variance / (variance + noise), ahead, out)


@Loop
def _correct(planes: Any, share: Any, ahead: Any, out: Any) -> None:
    count, rows, columns = planes.shape
    for n in range(count):
        for y in range(rows):
            for x in range(columns):
                out[n, y, x] = planes[n, y, x] + share[y, x] * (ahead[n, y, x] - planes[n, y, x])

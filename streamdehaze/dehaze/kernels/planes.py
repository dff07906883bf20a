"""Shrinking planes by area, mixing their colours, and applying enlarged affine maps to them.

Native planes are (rows, row length) arrays of uint8 or uint16 in native byte order; sample x of a row is
``row[x * step + offset] >> shift``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.kernels.compiled import Loop
from streamdehaze.frame import FloatArray

_RUN = 8
"""Samples of a row that are averaged or stretched at once, so that a compiler does it with a vector of them."""


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
    columns = out.shape[1]
    # Of a column, `place` has the first sample and `share` how much of each counts; the last ones count nothing.
    most = -(-(math.ceil(width / columns) + 1) // _RUN) * _RUN
    place, share = np.empty(columns, np.int64), np.empty((columns, most), np.float32)
    total = np.empty(width + most, np.float32)
    _shrink(plane, offset, step, shift, width, height, float(scale), place, share, total, out)


@Loop
def _shrink(
    plane: Any, offset: int, step: int, shift: int, width: int, height: int, scale: float,
    place: Any, share: Any, total: Any, out: Any,
) -> None:  # fmt: skip
    out_height, out_width = out.shape
    row_ratio = height / out_height
    column_ratio = width / out_width
    norm = np.float32(scale / (row_ratio * column_ratio))
    for i in range(out_width):
        left, right = i * column_ratio, min((i + 1) * column_ratio, float(width))
        place[i] = int(left)
        for k in range(share.shape[1]):
            x = float(place[i] + k)
            share[i, k] = max(0.0, min(x + 1, right) - max(x, left))
    for x in range(width, len(total)):
        total[x] = 0
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
        row = out[j]
        for i in range(out_width):
            mean = np.float32(0)
            for begin in range(0, share.shape[1], _RUN):
                first = np.uint64(place[i] + begin)  # unsigned: a negative index would be looked for
                for k in range(_RUN):
                    mean += share[i, np.uint64(begin + k)] * total[first + np.uint64(k)]
            row[i] = mean * norm


def mix(matrix: FloatArray, offset: FloatArray, planes: FloatArray, *, clip: bool = False) -> FloatArray:
    """Other planes, (m, rows, columns): ``matrix · planes + offset``; with `clip` in [0, 1].

    NumPy would share a product as small as that out to several threads, which takes more of their time than of one's.

    Args:
        matrix: (m, n).
        offset: (m,).
        planes: (n, rows, columns).
        clip: whether values beyond are clipped.
    """
    out = np.empty((len(matrix), *planes.shape[1:]), np.float32)
    planes = np.ascontiguousarray(planes, np.float32)
    _mix(matrix.copy(), offset.copy(), planes, int(clip), out)  # copies, for those given are read-only
    return out


@Loop
def _mix(matrix: Any, offset: Any, planes: Any, clip: int, out: Any) -> None:
    count, rows, columns = out.shape
    for y in range(rows):
        for m in range(count):
            target, source, factor = out[m, y], planes[0, y], matrix[m, 0]
            for x in range(columns):
                target[x] = factor * source[x]
            for n in range(1, len(planes)):
                source, factor = planes[n, y], matrix[m, n]
                for x in range(columns):
                    target[x] += factor * source[x]
            for x in range(columns):
                target[x] += offset[m]
            if clip:
                for x in range(columns):
                    target[x] = min(max(target[x], np.float32(0)), np.float32(1))


def apply_affine(
    plane: npt.NDArray[Any],
    offset: int,
    step: int,
    shift: int,
    width: int,
    height: int,
    gain: FloatArray,
    bias: FloatArray,
    strength: float,
    top: int,
    out: npt.NDArray[Any],
) -> None:
    """Write ``round(gain · sample + bias)``, clipped to 0…`top`, into `out`, laid out as `plane`.

    `gain` and `bias` are small (rows, columns) maps, enlarged bilinearly (centres aligned); `bias` is in units of
    `top`. Of the change that they make, `strength` is the share that is made.
    """
    columns = gain.shape[1]
    begin, fraction = np.empty(columns + 2, np.int64), np.empty(columns + 1, np.float32)
    narrow, wide = np.empty((2, columns + 2), np.float32), np.empty((3, 2, width + _RUN), np.float32)
    gain, bias = (np.ascontiguousarray(small, np.float32) for small in (gain, bias))
    _apply_affine(
        plane, offset, step, shift, width, height, gain, bias, float(strength), top, begin, fraction, narrow, wide, out
    )


@Loop
def _apply_affine(
    plane: Any, offset: int, step: int, shift: int, width: int, height: int,
    gain: Any, bias: Any, strength: float, top: int, begin: Any, fraction: Any, narrow: Any, wide: Any, out: Any,
) -> None:  # fmt: skip
    """`begin` has room for where the samples begin that lie left of each column of the maps, and right of the last,
    `fraction` for how far the first of them is from the column before. `narrow` is for a row of both maps; `wide` for
    two rows, stretched to `width`, and for their difference: those above and below the row of samples. What a run
    writes too much, the next one writes over."""
    rows, columns = gain.shape
    distance = columns / width
    column = 0
    begin[0] = 0
    for x in range(width):
        u = (x + 0.5) * distance + 0.5
        while column < int(u):
            column += 1
            begin[column] = x
    while column <= columns:
        column += 1
        begin[column] = width
    for i in range(columns + 1):
        fraction[i] = (begin[i] + 0.5) * distance + 0.5 - i
    newest, cell = -1, -1
    ratio = rows / height
    ceiling, share = np.float32(top), np.float32(strength)
    half, zero, one = np.float32(0.5), np.float32(0), np.float32(1)
    along = np.float32(distance)
    gains, biases = narrow[0], narrow[1]
    gain_rise, bias_rise = wide[2, 0], wide[2, 1]
    for y in range(height):
        v = min(max((y + 0.5) * ratio - 0.5, 0.0), rows - 1.0)
        upper = int(v)
        lower = min(upper + 1, rows - 1)
        f = np.float32(v - upper)
        for index in range(max(upper, newest + 1), lower + 1):
            newest = index
            for i in range(columns):
                gains[i + 1] = one + share * (gain[index, i] - one)
                biases[i + 1] = share * bias[index, i] * ceiling + half
            for row in (gains, biases):  # beyond the outermost columns the maps do not change
                row[0], row[columns + 1] = row[1], row[columns]
            gain_row, bias_row = wide[index % 2, 0], wide[index % 2, 1]
            for i in range(columns + 1):
                a, b = gains[i], biases[i]
                change_a, change_b = gains[i + 1] - a, biases[i + 1] - b
                first, last, way = np.uint64(begin[i]), np.uint64(begin[i + 1]), fraction[i]
                while first < last:
                    for k in range(_RUN):
                        gain_row[first + np.uint64(k)] = a + (way + np.float32(k) * along) * change_a
                    for k in range(_RUN):
                        bias_row[first + np.uint64(k)] = b + (way + np.float32(k) * along) * change_b
                    first += np.uint64(_RUN)
                    way += np.float32(_RUN) * along
        gain_row, bias_row = wide[upper % 2, 0], wide[upper % 2, 1]
        if upper != cell:
            cell = upper
            for x in range(width):
                gain_rise[x] = wide[lower % 2, 0, x] - gain_row[x]
                bias_rise[x] = wide[lower % 2, 1, x] - bias_row[x]
        samples, target = plane[y], out[y]
        if step == 1 and shift == 0 and top == 255:  # processors clip to that as they pack bytes
            for x in range(width):
                a = gain_row[x] + f * gain_rise[x]
                b = bias_row[x] + f * bias_rise[x]
                target[x] = min(max(np.int32(a * np.float32(samples[x]) + b), np.int32(0)), np.int32(255))
        elif step == 1 and shift == 0:
            for x in range(width):
                a = gain_row[x] + f * gain_rise[x]
                b = bias_row[x] + f * bias_rise[x]
                target[x] = np.int32(min(max(a * np.float32(samples[x]) + b, zero), ceiling))
        else:
            for x in range(width):
                a = gain_row[x] + f * gain_rise[x]
                b = bias_row[x] + f * bias_rise[x]
                value = min(max(a * np.float32(samples[x * step + offset] >> shift) + b, zero), ceiling)
                target[x * step + offset] = np.int32(value) << shift

"""Shrinking planes by area, and applying enlarged affine maps to them: every sample is read and written once.

Planes are (rows, row length) arrays of uint8 or uint16 in native byte order; sample x of a row is
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
    begin, fraction = np.empty(gain.shape[1] + 1, np.int64), np.empty(gain.shape[1], np.float32)
    wide = np.empty((2, 2, width + _RUN), np.float32)
    gain, bias = (np.ascontiguousarray(small, np.float32) for small in (gain, bias))
    _apply_affine(plane, offset, step, shift, width, height, gain, bias, top, begin, fraction, wide, out)


@Loop
def _apply_affine(
    plane: Any, offset: int, step: int, shift: int, width: int, height: int,
    gain: Any, bias: Any, top: int, begin: Any, fraction: Any, wide: Any, out: Any,
) -> None:  # fmt: skip
    """`begin` has room for where the samples begin that lie between each two columns of the maps, `fraction` for how
    far the first of them is from the left one; `wide` for two rows of each map stretched to `width`: those above and
    below the row of samples. What a run writes too much, the next one writes over."""
    rows, columns = gain.shape
    distance = columns / width
    column = 0
    begin[0] = 0
    for x in range(width):
        u = min(max((x + 0.5) * distance - 0.5, 0.0), columns - 1.0)
        while column < int(u):
            column += 1
            begin[column] = x
    while column < columns:
        column += 1
        begin[column] = width
    for i in range(columns):
        fraction[i] = (begin[i] + 0.5) * distance - 0.5 - i
    newest = -1
    ratio = rows / height
    ceiling = np.float32(top)
    half = np.float32(0.5)
    zero = np.float32(0)
    along = np.float32(distance)
    for y in range(height):
        v = min(max((y + 0.5) * ratio - 0.5, 0.0), rows - 1.0)
        upper = int(v)
        lower = min(upper + 1, rows - 1)
        f = np.float32(v - upper)
        for index in range(max(upper, newest + 1), lower + 1):
            newest = index
            slot = index % 2
            for i in range(columns):
                right = min(i + 1, columns - 1)
                a, b = gain[index, i], bias[index, i]
                change_a, change_b = gain[index, right] - a, bias[index, right] - b
                first, last, share = np.uint64(begin[i]), np.uint64(begin[i + 1]), fraction[i]
                while first < last:
                    for k in range(_RUN):  # left of the first column it is repeated
                        wide[0, slot, first + np.uint64(k)] = a + max(share + np.float32(k) * along, zero) * change_a
                    for k in range(_RUN):
                        wide[1, slot, first + np.uint64(k)] = b + max(share + np.float32(k) * along, zero) * change_b
                    first += np.uint64(_RUN)
                    share += np.float32(_RUN) * along
        gain_0, gain_1, bias_0, bias_1 = wide[0, upper % 2], wide[0, lower % 2], wide[1, upper % 2], wide[1, lower % 2]
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

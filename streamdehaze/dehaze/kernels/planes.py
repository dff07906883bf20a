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
    # Of a column, `place` has the samples and `share` how much of each counts; the last ones may count nothing.
    most = math.ceil(width / columns) + 1
    place, share = np.empty((most, columns), np.int32), np.empty((most, columns), np.float32)
    total = np.empty(width, np.float32)
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
    most = 0
    for i in range(out_width):
        left, right = i * column_ratio, min((i + 1) * column_ratio, float(width))
        first, last = int(left), int(np.ceil(right)) - 1
        most = max(most, last - first + 1)
        for k in range(len(place)):
            x = min(first + k, width - 1)
            place[k, i] = x
            share[k, i] = max(0.0, min(first + k + 1.0, right) - max(float(first + k), left))
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
            row[i] = 0
        for k in range(most):
            for i in range(out_width):
                row[i] += share[k, i] * total[place[k, i]]
        for i in range(out_width):
            row[i] *= norm


_RUN = 8
"""Samples of a row that are stretched at once; those too many are written over by the ones that belong there."""


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
    begin, fraction = np.empty(gain.shape[1] + 1, np.int32), np.empty(width + _RUN, np.float32)
    wide = np.empty((2, 2, width + _RUN), np.float32)
    gain, bias = (np.ascontiguousarray(small, np.float32) for small in (gain, bias))
    _apply_affine(plane, offset, step, shift, width, height, gain, bias, top, begin, fraction, wide, out)


@Loop
def _apply_affine(
    plane: Any, offset: int, step: int, shift: int, width: int, height: int,
    gain: Any, bias: Any, top: int, begin: Any, fraction: Any, wide: Any, out: Any,
) -> None:  # fmt: skip
    """`begin` has room for where the samples begin that lie between each two columns of the maps; `wide` for two rows
    of each map stretched to `width`: those above and below the row of samples."""
    rows, columns = gain.shape
    column = 0
    begin[0] = 0
    for x in range(width):
        u = min(max((x + 0.5) * (columns / width) - 0.5, 0.0), columns - 1.0)
        while column < int(u):
            column += 1
            begin[column] = x
        fraction[x] = u - column
    while column < columns:
        column += 1
        begin[column] = width
    for x in range(width, len(fraction)):
        fraction[x] = 0
    newest = -1
    ratio = rows / height
    ceiling = np.float32(top)
    half = np.float32(0.5)
    zero = np.float32(0)
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
                first = np.uint64(begin[i])  # unsigned: a negative index would be looked for
                for k in range(_RUN):
                    x = first + np.uint64(k)
                    wide[0, slot, x] = a + fraction[x] * change_a
                    wide[1, slot, x] = b + fraction[x] * change_b
                for x in range(begin[i] + _RUN, begin[i + 1]):
                    wide[0, slot, x] = a + fraction[x] * change_a
                    wide[1, slot, x] = b + fraction[x] * change_b
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

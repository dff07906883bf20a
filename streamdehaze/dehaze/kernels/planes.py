"""Shrinking planes by area, and applying enlarged affine maps to them: every sample is read and written once.

Planes are (rows, row length) arrays of uint8 or uint16 in native byte order; sample x of a row is
``row[x * step + offset] >> shift``.
"""

from __future__ import annotations

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
    place, fraction = np.empty((2, width), np.int32), np.empty(width, np.float32)
    wide = np.empty((2, 2, width), np.float32)
    gain, bias = (np.ascontiguousarray(small, np.float32) for small in (gain, bias))
    _apply_affine(plane, offset, step, shift, width, height, gain, bias, top, place, fraction, wide, out)


@Loop
def _apply_affine(
    plane: Any, offset: int, step: int, shift: int, width: int, height: int,
    gain: Any, bias: Any, top: int, place: Any, fraction: Any, wide: Any, out: Any,
) -> None:  # fmt: skip
    """`wide` has room for two rows of each map stretched to `width`: those above and below the row of samples."""
    rows, columns = gain.shape
    for x in range(width):
        u = min(max((x + 0.5) * (columns / width) - 0.5, 0.0), columns - 1.0)
        place[0, x] = int(u)
        place[1, x] = min(place[0, x] + 1, columns - 1)
        fraction[x] = u - place[0, x]
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
            for n in range(2):
                narrow, stretched = gain[index] if n == 0 else bias[index], wide[n, index % 2]
                for x in range(width):
                    value = narrow[place[0, x]]
                    stretched[x] = value + fraction[x] * (narrow[place[1, x]] - value)
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

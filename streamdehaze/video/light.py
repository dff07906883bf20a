"""Floating-point pictures: scene light as 16-bit samples on the PQ curve, and back.

Light of 1, diffuse white, is 203 cd/m² (ITU-R BT.2408), so that PQ reaches to 49 times of it. Half floats from 0.001 to
49 come back bit for bit, smaller ones within the step of the code; negative ones become 0.
"""

from __future__ import annotations

import functools
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streamdehaze.control.curves import light_of

PQ = 16
"""Codes of the transfer characteristics in ITU-T H.273, table 3."""
_CODES = 1 << 16
_LINEAR = {
    "grayf32": "gray16le", "grayf16": "gray16le",
    "gbrpf32": "gbrp16le", "gbrpf16": "gbrp16le", "rgbf32": "gbrp16le", "rgbf16": "gbrp16le",
    "gbrapf32": "gbrap16le", "gbrapf16": "gbrap16le", "rgbaf32": "gbrap16le", "rgbaf16": "gbrap16le",
}  # fmt: skip
"""FFmpeg's floating-point formats without their byte order, and what their pictures are worked on in."""


def coded_format(name: str) -> str | None:
    """The pixel format for the light of a floating-point one; None if FFmpeg's format `name` holds no such light."""
    return _LINEAR.get(name.removesuffix("le").removesuffix("be"))


def coded(picture: av.VideoFrame) -> av.VideoFrame:
    """The light of a floating-point picture as 16-bit samples on the PQ curve; alpha is not curved."""
    name = coded_format(picture.format.name)
    assert name is not None
    planar = {"gray16le": "grayf32le", "gbrp16le": "gbrpf32le", "gbrap16le": "gbrapf32le"}[name]
    halves = {"gbrpf16le", "gbrapf16le", "grayf16le"}
    if picture.format.name not in halves | {planar}:
        picture = picture.reformat(format=planar)
    kind = np.float16 if picture.format.name in halves else np.float32
    result = av.VideoFrame(picture.width, picture.height, name)
    codes, _ = _tables()
    for index, (plane, target) in enumerate(zip(picture.planes, result.planes, strict=True)):
        light = _samples(plane, kind)[:, : picture.width]
        if index == 3:
            values = np.round(np.clip(light.astype(np.float32), 0, 1) * (_CODES - 1)).astype(np.uint16)
        else:
            with np.errstate(over="ignore"):
                values = codes[light.astype(np.float16).view(np.uint16)]
        _samples(target, np.uint16)[:, : picture.width] = values
    result.color_primaries = picture.color_primaries
    result.color_trc, result.colorspace, result.color_range = PQ, 0, 2
    return result


def decoded(picture: av.VideoFrame, transfer: int, *, halves: bool) -> av.VideoFrame:
    """A floating-point picture of gray16le, gbrp16le or gbrap16le samples.

    Args:
        picture: what `coded` makes, or display signals.
        transfer: by H.273; anything but PQ and linear is taken for sRGB.
        halves: round to what half floats hold; FFmpeg's encoder of EXR cuts off what is finer.
    """
    floats = {"gray16le": "grayf32le", "gbrp16le": "gbrpf32le", "gbrap16le": "gbrapf32le"}[picture.format.name]
    result = av.VideoFrame(picture.width, picture.height, floats)
    light, alpha = _tables()[1] if transfer == PQ else _signal() if transfer == 8 else _srgb(), _signal()
    if halves:
        light, alpha = (each.astype(np.float16).astype(np.float32) for each in (light, alpha))
    for index, (plane, target) in enumerate(zip(picture.planes, result.planes, strict=True)):
        values = _samples(plane, np.uint16)[:, : picture.width]
        _samples(target, np.float32)[:, : picture.width] = (alpha if index == 3 else light)[values]
    return result


def _samples(plane: Any, kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)


@functools.cache
def _tables() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
    """The code of every half float by its bits, and the light of every code."""
    light = light_of(np.linspace(0, 1, _CODES), "pq")
    halves = np.arange(_CODES, dtype=np.uint16).view(np.float16).astype(np.float64)
    halves = np.clip(np.nan_to_num(halves, nan=0.0, posinf=np.inf, neginf=0.0), 0, light[-1])
    above = np.clip(np.searchsorted(light, halves), 1, _CODES - 1)
    nearer = above - (halves - light[above - 1] < light[above] - halves)
    return nearer.astype(np.uint16), light.astype(np.float32)


@functools.cache
def _signal() -> npt.NDArray[np.float32]:
    return np.linspace(0, 1, _CODES, dtype=np.float32)


@functools.cache
def _srgb() -> npt.NDArray[np.float32]:
    """IEC 61966-2-1."""
    signal = np.linspace(0, 1, _CODES)
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4).astype(np.float32)

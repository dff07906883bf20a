"""The network on the whole frame: slow. With nothing around it, it is what published numbers are of."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.dehaze.affine import empty_planes, from_rgb, native, to_rgb
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.engine import Engine
from streamdehaze.frame import FloatArray, Frame


def full_size_components(frame: Frame) -> FloatArray:
    """The colour components enlarged to the frame's own size, (components, height, width) in [0, 1] of full scale."""
    layout = frame.pixel_format
    size = (frame.width, frame.height)
    components = np.empty((len(layout.components), frame.height, frame.width), np.float32)
    for index in range(len(layout.components)):
        samples = component_samples(frame, index).astype(np.float32) / layout.max_value
        if samples.shape != size[::-1]:
            samples = cv2.resize(samples, size, interpolation=cv2.INTER_LINEAR)
        components[index] = samples
    return components


def whole_shape(width: int, height: int) -> tuple[int, int]:
    """(rows, columns) of the network's picture of a whole frame: both sides a multiple of 4, at least 8."""
    return max(8, -(-height // 4) * 4), max(8, -(-width // 4) * 4)


def infer_padded(engine: Engine, hazy: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """The engine's answer to pictures (batch, 3, rows, columns) padded by reflection to `shape`, cropped again."""
    rows, columns = hazy.shape[2:]
    if shape == (rows, columns):
        return engine.infer(hazy)
    padded = np.pad(hazy, ((0, 0), (0, 0), (0, shape[0] - rows), (0, shape[1] - columns)), "reflect")
    return np.ascontiguousarray(engine.infer(padded)[:, :, :rows, :columns])


def network_alone(engine: Engine, hazy: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The network's own answer to a whole picture, (height, width, 3) RGB: the procedure of papers."""
    height, width = hazy.shape[:2]
    picture = np.ascontiguousarray(hazy.transpose(2, 0, 1)[None]).astype(np.float32)
    picture /= 255
    (answer,) = infer_padded(engine, picture, whole_shape(width, height))
    clear: npt.NDArray[np.uint8] = (np.clip(answer.transpose(1, 2, 0), 0, 1) * 255 + 0.5).astype(np.uint8)
    return clear


def component_samples(frame: Frame, index: int) -> Any:
    """The samples of colour component `index`, (rows, columns) of unsigned integers."""
    layout = frame.pixel_format
    plane = frame.planes[layout.components[index].plane]
    return layout.samples(plane, index, frame.width, frame.height) >> layout.shift


def apply_difference(
    frame: Frame, frame_format: FrameFormat, components: FloatArray, clear_rgb: FloatArray, strength: float
) -> Frame:
    """The frame plus `strength` times what dehazing changed, on its native planes.

    Adding the *difference* between clear and hazy, both converted alike, keeps what the conversion to RGB would lose:
    chroma detail, codes outside the legal range, and bit-exactness at strength 0.

    Args:
        frame: the hazy frame.
        frame_format: its format.
        components: `full_size_components` of it.
        clear_rgb: (3, height, width) in [0, 1].
        strength: 0 to 1.
    """
    if strength == 0:
        return frame
    layout = frame_format.pixel_format
    difference = from_rgb(clear_rgb, frame_format) - from_rgb(to_rgb(components, frame_format), frame_format)
    targets = empty_planes(frame, [native(plane) for plane in frame.planes])
    for index, component in enumerate(layout.components):
        target = layout.samples(targets[component.plane], index, frame.width, frame.height)
        change = difference[index]
        if change.shape != target.shape:
            change = cv2.resize(change, target.shape[::-1], interpolation=cv2.INTER_AREA)
        samples = component_samples(frame, index) + np.rint(strength * layout.max_value * change)
        target[...] = np.clip(samples, 0, layout.max_value).astype(np.uint16) << layout.shift
    return frame.with_planes(tuple(plane.astype(layout.dtype, copy=False) for plane in targets))

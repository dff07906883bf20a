"""What in a frame is not the scene: letterbox and pillarbox bars, round rims, the black box behind a clock or a name.

Black that haze does not brighten tells a network that there is no haze. Here it is found on the small picture, filled
from what surrounds it before anything is estimated or inferred, and kept bit for bit at full size.

A region counts if it is almost black, and if it is a bar from edge to edge, all but a disc, or a rectangle. What is as
black as that has no haze to remove, so a thing of the scene that passes for one of these loses nothing.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.control.curves import InputCurve, to_signal
from streamdehaze.dehaze.exact import component_samples
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.frame import FloatArray, Frame

Mask = npt.NDArray[np.bool_]

_BLACK = 0.055
"""Largest channel of what counts as black; a codec's noise in a black bar stays below."""
_WHOLE = 0.99
"""Share of a row or column that is black in a bar."""
_BOX_AREA, _BOX_FILLED = 0.004, 0.93
"""Least share of the frame that a box has, and of its own rectangle that it fills, letters included."""
_BRIDGED = 6
"""Pixels on either side of a letter, half as many above and below it, over which the black around it is bridged."""
_DISC = 0.96
"""Overlap of what is not black with a disc, over their union, from which on the black around it is a rim."""
_MOST_COVERED = 0.85
"""Where more of the frame than this is black, it is a dark scene, or a fade."""
_NOTHING = np.zeros((0, 0), np.uint8)
_PATIENCE = 12
"""Frames that a new region must last before it counts; the first frame's counts at once."""


class FrameMask:
    """Where one video is covered, over time. A region that comes must last; one that changes is the scene at once."""

    def __init__(self) -> None:
        self.covered: Mask | None = None
        """(rows, columns) of the small picture; None where nothing is covered."""
        self._keep: tuple[Mask, ...] | None = None
        self._kept_luma = _NOTHING  # what `_keep` was made of, a bit a sample
        self._age: npt.NDArray[np.uint8] | None = None  # frames that each pixel was covered, up to the patience

    def update(self, rgb: FloatArray) -> Mask | None:
        """What is covered in the next small picture, (3, rows, columns): the new `covered`."""
        found = find_covered(rgb)
        if self._age is None or self._age.shape != found.shape:
            self._age = np.where(found, np.uint8(_PATIENCE), np.uint8(0))
        else:
            self._age = found.view(np.uint8) * np.minimum(self._age + np.uint8(1), np.uint8(_PATIENCE))
        covered = self._age == _PATIENCE
        if self.covered is None or not np.array_equal(covered, self.covered):
            self.covered = covered if covered.any() else None
            self._keep, self._kept_luma = None, _NOTHING
        return self.covered

    def keep(self, frame: Frame, frame_format: FrameFormat, curve: InputCurve = "sdr") -> tuple[Mask, ...] | None:
        """`samples_to_keep` of the frame that the last update was for, looked up once for each change."""
        if self.covered is None:
            return None
        sizes = frame_format.component_sizes
        if self._keep is None or tuple(mask.shape[::-1] for mask in self._keep) != sizes:
            width, height = sizes[0]
            if self._kept_luma.shape != (height, -(-width // 8)):
                self._kept_luma = np.packbits(luma_to_keep(self.covered, frame, frame_format, curve), axis=1)
            luma = np.unpackbits(self._kept_luma, axis=1, count=width).astype(bool)
            self._keep = samples_to_keep(luma, frame_format)
        return self._keep

    def state(self) -> dict[str, npt.NDArray[np.uint8]]:
        """What is remembered; its arrays are empty before the first frame and where nothing is covered."""
        return {"covered": _NOTHING if self._age is None else self._age.copy(), "keep": self._kept_luma}

    def load(self, covered: npt.NDArray[np.uint8], keep: npt.NDArray[np.uint8]) -> None:
        """Continue where `state` was taken."""
        self._age = np.array(covered, np.uint8) if covered.size else None
        lasting = None if self._age is None else self._age == _PATIENCE
        self.covered = lasting if lasting is not None and lasting.any() else None
        self._keep, self._kept_luma = None, np.array(keep, np.uint8)


def find_covered(rgb: FloatArray) -> Mask:
    """Where a small picture, (3, rows, columns) in [0, 1], is covered; edge pixels that mix both count."""
    black = np.maximum(np.maximum(rgb[0], rgb[1]), rgb[2]) < _BLACK
    if not black.any():
        return np.zeros(black.shape, bool)
    covered = _bars(black)
    if black[[0, 0, -1, -1], [0, -1, 0, -1]].all():
        covered |= _rim(black)
    covered |= _boxes(black)
    if not covered.any() or covered.mean() > _MOST_COVERED:
        return np.zeros(black.shape, bool)
    return np.asarray(cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8)), bool)


def _bars(black: Mask) -> Mask:
    """Rows and columns at the edges that are black as a whole."""
    bars = np.zeros(black.shape, bool)
    for view, axis in ((bars, 1), (bars.T, 0)):
        lines = cv2.reduce(black.view(np.uint8), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
        scene = np.flatnonzero(lines < _WHOLE * black.shape[axis])
        if scene.size:
            view[: scene[0]] = True
            view[scene[-1] + 1 :] = True
    return bars


def _rim(black: Mask) -> Mask:
    """All but a disc, whole or cut by the frame's edges."""
    rows, columns = np.flatnonzero(~black.all(axis=1)), np.flatnonzero(~black.all(axis=0))
    none = np.zeros(black.shape, bool)
    if not rows.size:
        return none
    middle_y, middle_x = (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2
    y, x = np.ogrid[: black.shape[0], : black.shape[1]]
    distance = np.hypot(y - middle_y, x - middle_x)
    # The radius is half of the larger side, or, of a disc that all four edges cut, where the diagonals leave the black.
    corners = [np.diagonal(view) for view in (black, black[::-1], black[:, ::-1], black[::-1, ::-1])]
    runs = [int(np.argmin(corner)) for corner in corners]
    diagonal = float(np.mean([np.hypot(middle_y - run, middle_x - run) for run in runs]))
    for radius in (max(len(rows), len(columns)) / 2, diagonal):
        disc = distance <= radius
        scene = ~black | (distance <= radius - 4)  # dark things well inside the disc belong to the scene
        if (disc & scene).sum() >= _DISC * (disc | scene).sum():
            rim: Mask = ~scene
            return rim
    return none


def _boxes(black: Mask) -> Mask:
    """Filled rectangles; letters in them are bridged, so that a clock's box is one region."""
    boxes = np.zeros(black.shape, bool)
    reach = _BRIDGED
    left, top, width, height = cv2.boundingRect(black.view(np.uint8))  # elsewhere nothing is to be bridged
    part = slice(max(0, top - reach), top + height + reach), slice(max(0, left - reach), left + width + reach)
    padded = cv2.copyMakeBorder(black[part].astype(np.uint8), reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    bridged = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((reach + 1, 2 * reach + 1), np.uint8))
    closed = np.ascontiguousarray(bridged[reach:-reach, reach:-reach])
    if np.count_nonzero(closed) < _BOX_AREA * black.size:
        return boxes
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for left, top, width, height in map(cv2.boundingRect, outlines):
        box = slice(top, top + height), slice(left, left + width)
        area = np.count_nonzero(closed[box])
        if area >= max(_BOX_AREA * black.size, _BOX_FILLED * width * height) and min(width, height) >= 3:
            boxes[part][box] = True
    return boxes


def between_bars(scene: Mask | None) -> tuple[slice, slice]:
    """Rows and columns of a small picture that no bar takes as a whole.

    Args:
        scene: (rows, columns), False where the picture is covered; None if it is not.
    """
    if scene is None:
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(scene.any(axis=1)), np.flatnonzero(scene.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def fill(components: FloatArray, covered: Mask) -> FloatArray:
    """Small components, (n, rows, columns), with what is covered filled from its surroundings.

    Bars mirror the scene, which looks to a network as if the scene continued there. Holes are filled smoothly from
    coarser and coarser copies (pull-push, Gortler et al. 1996): near the edge what is next to it, farther in the mean
    of more.
    """
    planes = np.asarray(cv2.merge([*components]), np.float32)
    filled = _pull_push(planes, (~covered).astype(np.float32))
    rows, columns = between_bars(~covered)
    mirrored = np.asarray(
        cv2.copyMakeBorder(
            np.ascontiguousarray(filled[rows, columns]), rows.start, len(filled) - rows.stop,
            columns.start, filled.shape[1] - columns.stop, cv2.BORDER_REFLECT,
        ), np.float32,
    ).reshape(filled.shape)  # fmt: skip
    result: FloatArray = np.where(covered, mirrored.transpose(2, 0, 1), components)
    return result


def _pull_push(planes: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    planes = planes.reshape(*weight.shape, -1)
    height, width = weight.shape
    if weight.min() > 0 or min(height, width) < 2:
        return planes
    size = ((width + 1) // 2, (height + 1) // 2)
    coarse_weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    coarse = np.asarray(cv2.resize(planes * weight[..., None], size, interpolation=cv2.INTER_AREA), np.float32)
    coarse = coarse.reshape(*coarse_weight.shape, -1) / np.maximum(coarse_weight, np.float32(1e-6))[..., None]
    known = (coarse_weight > 0).astype(np.float32)
    below = np.asarray(cv2.resize(_pull_push(coarse, known), (width, height), interpolation=cv2.INTER_LINEAR))
    return np.where(weight[..., None] > 0, planes, below.reshape(planes.shape)).astype(np.float32)


def luma_to_keep(covered: Mask, frame: Frame, frame_format: FrameFormat, curve: InputCurve = "sdr") -> Mask:
    """The samples of the first colour component that are covered, to the very pixel: a mask of (height, width).

    Args:
        covered: of the frame's small picture.
        frame: at full size.
        frame_format: its format.
        curve: its transfer curve: what is black on a display is a tenth of the signal's range in log footage.
    """
    matrix, offset = frame_format.planes_from_rgb
    signal = float(to_signal(np.full(1, _BLACK, np.float32), curve)[0])
    black = float(matrix[0].sum() * signal + offset[0]) * frame_format.pixel_format.max_value
    return keep_full_size(covered, component_samples(frame, 0), black)


def samples_to_keep(luma: Mask, frame_format: FrameFormat) -> tuple[Mask, ...]:
    """The samples of each colour component to keep, for what `luma_to_keep` says of the first."""
    masks = []
    for width, height in frame_format.component_sizes:
        if (height, width) == luma.shape:
            masks.append(luma)
        else:  # a chroma sample is kept if any pixel of it is
            share = cv2.resize(luma.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            masks.append(np.asarray(share) > 0)
    return tuple(masks)


def restore(clear: Frame, hazy: Frame, masks: tuple[Mask, ...]) -> None:
    """Put the hazy frame's own samples back into the clear one where `samples_to_keep` says so."""
    layout = hazy.pixel_format
    for index, (component, mask) in enumerate(zip(layout.components, masks, strict=True)):
        target, source = (
            layout.samples(frame.planes[component.plane], index, hazy.width, hazy.height) for frame in (clear, hazy)
        )
        np.copyto(target, source, where=mask)


def keep_full_size(covered: Mask, luma: npt.NDArray[np.unsignedinteger], black: float) -> Mask:
    """Which samples of a full-size plane to keep: (height, width), True within what is covered, to the very pixel.

    Args:
        covered: of the small picture.
        luma: the frame's first plane at full size.
        black: level up to which a sample counts as black.
    """
    height, width = luma.shape
    enlarged = cv2.resize(covered.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    scale = max(1, -(-width // covered.shape[1]))
    inner = cv2.erode(enlarged, np.ones((2 * scale + 1, 2 * scale + 1), np.uint8), borderValue=1).astype(bool)
    return inner | (enlarged.astype(bool) & (luma <= black))

"""How steady a dehazed video is: its error along the true motion, and its flicker where nothing moves.

A plain frame difference mixes motion with flicker. So the motion is measured on the clear truth (dense inverse search,
Kroeger et al., ECCV 2016), pixels that are hidden in the other frame are left out (forward-backward check), and the
truth's own error along that motion is given next to the result's (Lai et al., ECCV 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.picture import grey_of

Bytes = npt.NDArray[np.uint8]
MotionField = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]
"""Where each pixel was in the previous frame, (H, W, 2) in pixels (right, down), and whether it was seen there."""
_LEAST = 0.1
"""Error of the truth, in levels, that worst ratios are taken to at least: nothing moves in a frame below."""
STILL_LEVELS = 1
"""Largest change of the truth, in 8-bit levels, of a pixel that counts as still."""


@dataclass(frozen=True)
class Steadiness:
    """Means over a video; all in 8-bit levels."""

    warped_error: float
    """Mean difference of the result to its previous frame, moved along the truth's motion."""
    warped_error_of_truth: float
    """The same for the truth: what a perfect result would have."""
    worst_warped_ratio: float
    """The greatest ratio of the two of any frame."""
    flicker: float | None
    """Mean change of the result from frame to frame at still pixels; None if nothing is still."""
    brightness_jump: float
    """Largest change of the mean brightness from frame to frame, less the truth's."""


class SteadinessMeter:
    """Measures a video against its clear truth frame by frame, with two frames in memory."""

    def __init__(self) -> None:
        self.trace: list[tuple[float, float]] = []
        """The error along the motion, of the result and of the truth, for each frame but the first; 8-bit levels."""
        self._still_change, self._still_count, self._jump = 0.0, 0, 0.0
        self._previous: tuple[Bytes, Bytes] | None = None

    def add(self, result: Bytes, truth: Bytes, motion: MotionField | None = None) -> None:
        """Take the next frame, both (H, W, 3) RGB.

        Args:
            result: what dehazing made of it.
            truth: what it should have become.
            motion: to the previous frame, where it is known; else it is searched for in the truth.
        """
        if self._previous is not None:
            old_result, old_truth = self._previous
            flow, seen = motion or motion_to_previous(truth, old_truth)
            self.trace.append(
                (_difference(result, _moved(old_result, flow), seen), _difference(truth, _moved(old_truth, flow), seen))
            )
            still = cv2.absdiff(truth, old_truth).max(axis=2) <= STILL_LEVELS
            self._still_change += float(cv2.absdiff(result, old_result)[still].sum()) / 3
            self._still_count += int(still.sum())
            change = float(result.mean()) - float(old_result.mean())
            self._jump = max(self._jump, abs(change - (float(truth.mean()) - float(old_truth.mean()))))
        self._previous = result, truth

    @property
    def steadiness(self) -> Steadiness | None:
        """The result for the frames so far; None before the second."""
        if not self.trace:
            return None
        flicker = self._still_change / self._still_count if self._still_count else None
        result, truth = np.mean(self.trace, axis=0)
        worst = max(error / max(least, _LEAST) for error, least in self.trace)
        return Steadiness(float(result), float(truth), worst, flicker, self._jump)


def motion_to_previous(frame: Bytes, previous: Bytes) -> MotionField:
    """Where each pixel of `frame` was in `previous`, (H, W, 2) in pixels, and whether it was seen there."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    now, before = grey_of(frame), grey_of(previous)
    back = np.asarray(search.calc(now, before, None), np.float32)  # type: ignore[call-overload]
    forth = np.asarray(search.calc(before, now, None), np.float32)  # type: ignore[call-overload]
    returned = back + _moved(forth, back)
    length = (back**2).sum(axis=2) + (_moved(forth, back) ** 2).sum(axis=2)
    height, width = now.shape
    y, x = np.mgrid[:height, :width]
    inside = (x + back[..., 0] >= 0) & (x + back[..., 0] <= width - 1)
    inside &= (y + back[..., 1] >= 0) & (y + back[..., 1] <= height - 1)
    return back, inside & ((returned**2).sum(axis=2) < 0.01 * length + 0.5)


def _moved(pixels: npt.NDArray[np.generic], motion: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = motion.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.asarray(
        cv2.remap(pixels.astype(np.float32), x + motion[..., 0], y + motion[..., 1], cv2.INTER_LINEAR), np.float32
    )


def _difference(frame: Bytes, other: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_]) -> float:
    return float(np.abs(frame.astype(np.float32) - other)[seen].mean()) if seen.any() else 0.0

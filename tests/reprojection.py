"""True motion of an RGB-D video, from its depth and the camera's poses."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.evaluation.temporal import MotionField

_DEPTH_TOLERANCE = 0.03
"""Relative difference of depth beyond which something else is visible at that place."""


def motion_from_depth(
    depth: npt.NDArray[np.float32],
    depth_before: npt.NDArray[np.float32],
    pose: npt.NDArray[np.float64],
    pose_before: npt.NDArray[np.float64],
    intrinsics: npt.NDArray[np.float64],
) -> MotionField:
    """Where each pixel was in the previous frame, and whether it was seen there.

    Args:
        depth, depth_before: (H, W) along the optical axis in metres, 0 where unknown; unknown counts as unseen.
        pose, pose_before: (4, 4) camera to world.
        intrinsics: (3, 3) of the pinhole camera.
    """
    height, width = depth.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    rays = np.linalg.inv(intrinsics) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    to_before = np.linalg.inv(pose_before) @ pose
    points = to_before[:3, :3] @ (rays * depth.ravel()) + to_before[:3, 3:]
    z = np.maximum(points[2], 1e-6)
    projected = intrinsics @ (points / z)
    u, v = (projected[i].reshape(height, width).astype(np.float32) for i in range(2))
    there = np.asarray(cv2.remap(depth_before, u, v, cv2.INTER_NEAREST, borderValue=0.0))
    seen = (depth > 0) & (np.abs(there / z.reshape(height, width) - 1) < _DEPTH_TOLERANCE)
    seen &= (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    return np.stack([u - x, v - y], axis=2).astype(np.float32), seen

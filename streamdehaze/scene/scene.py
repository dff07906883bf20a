"""A drive through a street whose clear colours, distances and motion are all known."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from streamdehaze.frame import FloatArray
from streamdehaze.scene.camera import METRES_PER_SECOND, DashCamera
from streamdehaze.scene.street import build_street


@dataclass(frozen=True)
class SceneFrame:
    """One rendered picture and its ground truth."""

    clear: FloatArray
    """(H, W, 3) RGB in [0, 1], as displayed (gamma-encoded): the J of the haze equation."""
    depth_metres: FloatArray
    """(H, W) length in metres of the viewing ray through the pixel's centre, along which fog dims; 2000 for the sky."""
    flow: FloatArray
    """(H, W, 2) the motion of the pixel's point to the next frame, (right, down) in pixels; exact for any distance."""
    occluded: npt.NDArray[np.bool_]
    """(H, W) true where that point cannot be seen in the next frame: it is hidden or out of the picture."""
    index: int
    """Frame number."""
    seconds: float
    """Its time."""


class StreetScene:
    """A car's view of a street with houses, trees, traffic and people; the same arguments give the same pixels.

    Compiling the ray caster takes a few seconds the first time and is cached on disk. Rendering releases the
    interpreter lock, so several frames can be rendered at once in threads.

    Args:
        width, height: pixels.
        frames: how many there are; the street is built long enough for the drive.
        seed: of the layout and the textures.
        frame_rate: frames a second.

    Raises:
        ValueError: if a size, `frames` or the rate is not positive.

    Examples:
        >>> scene = StreetScene(320, 180, frames=50)
        >>> frame, following = scene.render(0), scene.render(1)
        >>> hazy = Fog(visibility_metres=100).apply(frame.clear, frame.depth_metres, frame.index)
    """

    def __init__(
        self, width: int = 640, height: int = 360, frames: int = 200, seed: int = 0, frame_rate: Fraction | int = 25
    ) -> None:
        if min(width, height, frames, frame_rate) <= 0:
            raise ValueError(f"size, frames and rate must be positive, not {width}x{height}, {frames}, {frame_rate}")
        self.width, self.height, self.frames = width, height, frames
        self.frame_rate = Fraction(frame_rate)
        self._camera = DashCamera(width, height)
        seconds = float(frames / self.frame_rate)
        self._street = build_street(seed, seconds, METRES_PER_SECOND)

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[SceneFrame]:
        """All frames in order, rendered ahead on as many threads as there are processors."""
        workers = os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            ahead: deque[Future[SceneFrame]] = deque()
            try:
                for index in range(self.frames + workers):
                    if index < self.frames:
                        ahead.append(pool.submit(self.render, index))
                    if index >= workers:
                        yield ahead.popleft().result()
            finally:
                for rest in ahead:
                    rest.cancel()

    def render(self, index: int) -> SceneFrame:
        """Frame `index`, counted from 0.

        Raises:
            IndexError: if there is no such frame.
        """
        from streamdehaze.scene.raycast import trace

        if not 0 <= index < self.frames:
            raise IndexError(f"frame {index} of a scene of {self.frames}")
        now, then, later = (float((index + ahead) / self.frame_rate) for ahead in range(3))
        shapes, following_shapes = self._street.world.at(now, then), self._street.world.at(then, later)
        clear = np.empty((self.height, self.width, 3), np.float32)
        depth = np.empty((self.height, self.width), np.float32)
        flow = np.empty((self.height, self.width, 2), np.float32)
        occluded = np.empty((self.height, self.width), np.bool_)
        street = self._street
        trace(
            self._camera.view(now, shapes), self._camera.view(then, following_shapes), shapes, following_shapes,
            street.world.planes, street.ground(now), street.materials, street.pool, clear, depth, flow, occluded,
        )  # fmt: skip
        return SceneFrame(clear, depth, flow, occluded, index, now)

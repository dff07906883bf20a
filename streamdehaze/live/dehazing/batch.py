"""A batch of frames of many cameras: each in a size that the engine is ready for, and by itself if it fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from streamdehaze.dehaze import Dehazer, Stream
from streamdehaze.dehaze.format import network_shape
from streamdehaze.dehaze.steady import Every
from streamdehaze.errors import EngineError, StreamDehazeError
from streamdehaze.frame import Frame, PixelFormat
from streamdehaze.live.dehazing.adapt import Adapt, QualityStep
from streamdehaze.live.dehazing.scheduler import LiveFrame
from streamdehaze.live.dehazing.shapes import FittedEngine, Shapes

if TYPE_CHECKING:
    from streamdehaze.live.camera import Camera


class BatchDehazer:
    """Makes frames clear, each camera's in its own stream, and delivers them to their cameras.

    Args:
        dehazer: its engine serves.
        shapes: the sizes of picture that the engine is ready for.
        adapt: chooses how often the network runs and at what size.
    """

    def __init__(self, dehazer: Dehazer, shapes: Shapes, adapt: Adapt) -> None:
        self._shapes, self._adapt = shapes, adapt
        self._dehazer = Dehazer(dehazer.checkpoint, engine=FittedEngine(dehazer.engine, shapes))

    @property
    def network_seconds(self) -> float:
        """Time spent in the engine so far."""
        return self._dehazer.network_seconds

    def warm_up(self) -> float:
        """Make a frame clear twice: the first run compiles loops and fills caches, which no camera must wait for.

        Returns:
            The seconds that the second one took.
        """
        planes = tuple(np.full(shape, 128, np.uint8) for shape in ((360, 640), (180, 320), (180, 320)))
        frame = Frame(planes, 640, 360, PixelFormat.parse("yuv420p"))
        network_size = self._adapt.level.network_size
        self._shapes.prepare(network_shape(640, 360, network_size))
        began = 0.0
        for _ in range(2):
            began = time.monotonic()
            for _ in self._dehazer.process_many([(Stream(network_size=network_size), frame)]):
                pass
        return time.monotonic() - began

    def run(self, batch: list[tuple[Camera, LiveFrame]]) -> None:
        """Make a batch clear; what there is no size ready for passes hazy.

        Raises:
            EngineError: if the engine fails, which concerns all cameras.
        """
        began, level = time.monotonic(), self._adapt.level
        pairs: list[tuple[Camera, LiveFrame]] = []
        for camera, live in batch:
            camera.counters.observe("wait", began - live.decoded)
            if self._fit(camera, live.frame, level):
                pairs.append((camera, live))
            else:
                camera.stream.reset()
                frame = live.frame
                self._deliver(camera, live, None, f"the engine is being prepared for {frame.width}×{frame.height}")
        if pairs:
            self._dehaze(pairs, began)

    def _fit(self, camera: Camera, frame: Frame, level: QualityStep) -> bool:
        """Choose the network size for a frame; False if the engine is ready for none it could have."""
        stream = camera.stream
        if stream.strength == 0:
            return True
        if camera.settling.wants(frame):
            self._shapes.want(frame, exact=stream.exact)
        size = self._shapes.fit(frame, level.network_size, exact=stream.exact)
        if size is not None and not stream.exact:
            stream.network_size, stream.every = size, _every(camera.every, level.every)
        return size is not None

    def _dehaze(self, pairs: list[tuple[Camera, LiveFrame]], began: float) -> None:
        many = self._dehazer.process_many([(camera.stream, live.frame) for camera, live in pairs])
        for number, (camera, live) in enumerate(pairs):
            try:
                clear_frames = next(many)
            except EngineError:
                raise  # it concerns all cameras
            except Exception as error:
                self._dehaze_one_by_one(pairs[number:], began, error)
                return
            camera.counters.observe("dehaze", time.monotonic() - began)
            for clear in clear_frames:
                self._deliver(camera, live, clear)

    def _dehaze_one_by_one(self, pairs: list[tuple[Camera, LiveFrame]], began: float, error: Exception) -> None:
        """Find out which camera's frame raised an error: that one passes hazy, the others are unaffected."""
        for camera, _ in pairs:
            camera.stream.reset()
        if len(pairs) > 1:
            for pair in pairs:
                self._dehaze([pair], began)
            return
        camera, live = pairs[0]
        reason = str(error) if isinstance(error, StreamDehazeError) else f"{type(error).__name__}: {error}"
        self._deliver(camera, live, None, f"its frames cannot be dehazed: {reason}")

    def _deliver(self, camera: Camera, live: LiveFrame, clear: Frame | None, reason: str = "") -> None:
        if camera.deliver(live, clear, reason):
            self._adapt.late()


def _every(wanted: Every, least: int) -> Every:
    """How often the network runs: as a camera wants it, but no more often than the quality in force allows."""
    if wanted == "auto":
        return least if least > 1 else wanted
    return max(wanted, least)

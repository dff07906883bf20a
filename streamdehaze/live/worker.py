"""The one thread that makes the frames of all cameras clear."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streamdehaze.dehaze import Dehazer, affine
from streamdehaze.dehaze.inference import infer
from streamdehaze.dehaze.temporal import Sight
from streamdehaze.errors import StreamDehazeError
from streamdehaze.frame import FloatArray, Frame, PixelFormat
from streamdehaze.live.adapt import Adapt, Level
from streamdehaze.live.intake import Intake, LiveFrame

if TYPE_CHECKING:
    from streamdehaze.live.camera import Camera

log = logging.getLogger("streamdehaze.live")

_WINDOW_SECONDS = 0.004
"""Frames of further cameras are waited for so long; a batch is not worth more."""
_RECENT = 0.2
"""Weight of the newest batch in the running mean of how long a frame takes."""
_SHARE = 0.5
"""Of the tightest latency budget, the most that one batch may take: the first frame waits for the last."""


@dataclass(frozen=True)
class Planned:
    """What is known of a frame before the network runs."""

    components: FloatArray
    """Small hazy components, (n, rows, columns)."""
    sight: Sight


class Worker:
    """Takes frames from the intake, runs the network on those whose turn it is, and delivers clear frames.

    Args:
        intake: where they come from; each lane's owner is a `Camera`.
        dehazer: whose engine is used.
        adapt: which says how often the network runs and at what size.
        batch_size: frames that share a run of the network, at most.
        ready: called once the engine is warm, before the first frame.
        failed: told of an error that ends all work.
    """

    def __init__(
        self,
        intake: Intake,
        dehazer: Dehazer,
        adapt: Adapt,
        *,
        batch_size: int,
        ready: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._intake, self._dehazer, self._adapt = intake, dehazer, adapt
        self._batch_size, self._ready, self._failed = batch_size, ready, failed
        self._stop = threading.Event()
        self._frame_seconds = 0.0
        self._warm: set[tuple[int, int]] = set()
        self._thread = threading.Thread(target=self._run, name="dehaze", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch under way."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        """Wait for the end, or `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether a batch may be under way."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._warm_up()
            self._ready()
            while not self._stop.is_set():
                count = self._frames_in_time()
                batch = self._intake.take(
                    count, window_seconds=_WINDOW_SECONDS, work_seconds=count * self._frame_seconds
                )
                if not batch:
                    self._adapt.idle()
                    continue
                for _, live in batch:
                    self._warm_up_for(live.frame.width, live.frame.height)
                began = time.monotonic()
                network = self._work([(lane.owner, frame) for lane, frame in batch], began)
                self._intake.done(batch)
                seconds = time.monotonic() - began
                self._frame_seconds += _RECENT * (seconds / len(batch) - self._frame_seconds)
                self._adapt.worked(seconds, network)
        except StreamDehazeError as error:
            self._failed(error)
        except BaseException as error:
            wrapped = StreamDehazeError(f"dehazing failed: {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            self._failed(wrapped)

    def _warm_up(self) -> None:
        """The first run compiles loops and fills caches, which no frame shall wait for."""
        planes = tuple(np.full(shape, 128, np.uint8) for shape in ((360, 640), (180, 320), (180, 320)))
        frame = Frame(planes, 640, 360, PixelFormat.parse("yuv420p"))
        small, rgb = _small(frame, self._adapt.level.network_size)
        for _ in range(2):
            began = time.monotonic()
            clear = self._infer([rgb])[0]
            self._frame_seconds = time.monotonic() - began
        color = frame.color.resolved(frame.pixel_format, frame.height)
        maps = affine.fit(small, affine.from_rgb(clear, frame.pixel_format, color), frame.pixel_format.family)
        affine.apply(frame, maps)

    def _warm_up_for(self, width: int, height: int) -> None:
        """Run the network once at every size a frame of this size may get, alone and in a batch.

        An engine compiles for each, which takes its time and memory: at a camera's first frame, and not when the
        processor cannot keep up and quality goes down for that.
        """
        if (width, height) in self._warm:
            return
        self._warm.add((width, height))
        for network_size in self._adapt.network_sizes:
            picture = np.full((3, *affine.network_shape(width, height, network_size)), 0.5, np.float32)
            for count in range(1, min(self._batch_size, 2) + 1):
                self._infer([picture] * count)
        self._adapt.begin_anew()

    def _frames_in_time(self) -> int:
        """How many frames a batch may have and still be ready in time."""
        budget = self._intake.tightest_budget
        if budget is None or not self._frame_seconds:
            return self._batch_size
        return min(self._batch_size, max(1, int(_SHARE * budget / self._frame_seconds)))

    def _work(self, batch: list[tuple[Camera, LiveFrame]], began: float) -> float:
        """Deliver the clear frames of a batch; seconds the network took."""
        level = self._adapt.level
        planned: dict[int, Planned] = {}
        for index, (camera, live) in enumerate(batch):
            camera.counters.observe("wait", began - live.decoded)
            if camera.enabled and camera.strength > 0:
                planned[index] = _plan(camera, live.frame, level)
        network_began = time.monotonic()
        answers = self._infer_all({index: plan.sight.picture for index, plan in planned.items() if plan.sight.network})
        network = time.monotonic() - network_began
        for index, (camera, live) in enumerate(batch):
            clear = live.frame
            if index in planned:
                maps = _maps(camera, clear, planned[index], answers.get(index))
                clear = affine.apply(clear, maps, camera.strength if camera.enabled else 0.0)
            camera.counters.observe("dehaze", time.monotonic() - began)
            if camera.deliver(live, clear):
                self._adapt.late()
        return network

    def _infer_all(self, pictures: dict[int, FloatArray]) -> dict[int, FloatArray]:
        """Run the engine once for each size among the pictures."""
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, picture in pictures.items():
            by_shape.setdefault(picture.shape, []).append(index)
        clear: dict[int, FloatArray] = {}
        for indices in by_shape.values():
            clear.update(zip(indices, self._infer([pictures[index] for index in indices]), strict=True))
        return clear

    def _infer(self, pictures: list[FloatArray]) -> FloatArray:
        return infer(self._dehazer.engine, np.stack(pictures))


def _small(frame: Frame, network_size: int) -> tuple[FloatArray, FloatArray]:
    """The small hazy components of a frame, and the RGB of them that the network sees."""
    shape = affine.network_shape(frame.width, frame.height, network_size)
    components = affine.shrink_components(frame, shape)
    color = frame.color.resolved(frame.pixel_format, frame.height)
    return components, affine.to_rgb(components, frame.pixel_format, color)


def _plan(camera: Camera, frame: Frame, level: Level) -> Planned:
    """Shrink a frame and look at it: whether the network must, or what it said before can be carried forward."""
    components, rgb = _small(frame, level.network_size)
    key = f"{frame.pixel_format.name} {frame.width}x{frame.height}"
    return Planned(components, camera.temporal.look(rgb, key, frame.seconds, level.every))


def _maps(camera: Camera, frame: Frame, plan: Planned, answer: FloatArray | None) -> affine.AffineMaps:
    """The affine maps of a frame from the network's answer, if it saw it, and what is known of those before."""
    layout = frame.pixel_format
    fresh = None
    if answer is not None:
        color = frame.color.resolved(layout, frame.height)
        fresh = affine.fit(plan.components, affine.from_rgb(answer, layout, color), layout.family)
    return camera.temporal.smooth(plan.sight, plan.components, layout.family, fresh)

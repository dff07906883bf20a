"""A pipeline to look at: cameras that render a foggy scene in this process, at the strength they are set to."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType

import numpy as np

from streamdehaze.frame import Frame
from streamdehaze.live import Camera, CameraConfig, CameraState

FPS = 25
AIRLIGHT = 200.0
BRIGHT, DARK = 240, 20
"""Grey levels of the scene's left and right half without fog; through it they are 220 and 110."""


class RenderedPipeline:
    """Real cameras, states, counters and views; only the pictures come from `render` instead of a decoder.

    Args:
        running: names of the cameras that show something.
        dead: names of the cameras that do not, with why not.
        size: (width, height) in pixels.
    """

    def __init__(
        self, *running: str, dead: Mapping[str, str] | None = None, size: tuple[int, int] = (320, 180)
    ) -> None:
        self.cameras = {name: Camera(CameraConfig(name=name, url=_url(name))) for name in (*running, *(dead or {}))}
        for name, reason in (dead or {}).items():
            self.cameras[name].machine.to(CameraState.FAILED, reason)
        self._size = size
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._film, args=(self.cameras[name],), name=f"film-{name}") for name in running
        ]

    def __enter__(self) -> RenderedPipeline:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _film(self, camera: Camera) -> None:
        camera.machine.to(CameraState.RUNNING)
        number = 0
        while not self._stop.wait(1 / FPS):
            began = time.monotonic()
            clear = render(self._size, number)
            camera.counters.arrived()
            strength = camera.strength if camera.enabled else 0.0
            hazy = 0.5 * clear + 0.5 * AIRLIGHT
            mixed = hazy + strength * (clear - hazy)
            camera.publish(Frame.from_array(hazy.astype(np.uint8)), Frame.from_array(mixed.astype(np.uint8)))
            seconds = time.monotonic() - began
            camera.counters.observe("dehaze", seconds)
            camera.counters.delivered(seconds)
            number += 1


def render(size: tuple[int, int], number: int) -> np.ndarray:
    """(height, width, 3) of a bright left and a dark right half, with a bar along the top that moves."""
    width, height = size
    picture = np.full((height, width, 3), DARK, np.float32)
    picture[:, : width // 2] = BRIGHT
    picture[: height // 8, : (number * 4) % width] = 128
    return picture


def _url(name: str) -> str:
    return f"rtsp://operator:hunter2-{name}@192.0.2.7/{name}?token=hunter2"

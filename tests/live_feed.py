"""A pipeline to look at: cameras that render a foggy scene in this process, at the strength that is set."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdehaze.address import Address
from streamdehaze.dehaze.steady import Every
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Frame
from streamdehaze.live import CameraCounters, CameraState, CameraStatus, LatestPair, SinkStatus, StateMachine
from streamdehaze.live.haze.history import HazeHistory
from streamdehaze.live.writing.clips import ClipFile, EventClip
from streamdehaze.meter.auto import Mode
from streamdehaze.meter.visibility import Visibility

if TYPE_CHECKING:
    from streamdehaze.live.web import WatchedPipeline, WebServer

SECRET = "hunter2"
"""In every address; must not appear anywhere."""
FPS = 25
AIRLIGHT = 200.0
BRIGHT, DARK = 240, 20
"""Grey levels of the scene's left and right half without fog; through it they are 220 and 110."""


class RenderedCamera:
    """A camera with the real states, counters and view; only its pictures come from `render` instead of a decoder."""

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self.name, self.size = name, size
        self.machine, self.counters, self.view = StateMachine(), CameraCounters(), LatestPair()
        self.full_view, self.haze = self.view, HazeHistory()
        self.strength, self.enabled, self.adapt_level = 1.0, True, 0
        self.sinks = (SinkStatus(f"rtmp://live.example/app/{SECRET}", False, "refused", 7, 1),)

    def status(self) -> CameraStatus:
        counters = self.counters.snapshot()
        return CameraStatus(
            name=self.name,
            url=Address.of(f"rtsp://operator:{SECRET}@192.0.2.7/stream?token={SECRET}").shown,
            state=self.machine.state,
            message=self.machine.message,
            width=self.size[0] if counters.frames_in else None,
            height=self.size[1] if counters.frames_in else None,
            codec="h264",
            counters=counters,
            buffered=0,
            buffer_limit=8,
            adapt_level=self.adapt_level,
            adapt_text="network on every frame at 256 pixels",
            engine="torch cpu",
            strength=self.strength,
            enabled=self.enabled,
            mode=self.mode,
            every=self.every,
            started_at=0.0,
            state_seconds=self.machine.seconds,
            down_since=self.machine.down_since,
            down_seconds=self.machine.down_seconds,
            sinks=self.sinks,
            profiles=self.profiles,
            visibility=self.visibility,
            profile_choice=self.profile_choice,
            haze=self.haze.newest,
        )

    def set_strength(self, strength: float) -> None:
        self.strength = strength

    def set_enabled(self, enabled: bool) -> None:
        self.enabled = enabled

    clips: tuple[EventClip, ...] = ()
    playlist = None
    profiles: tuple[str, ...] = ()
    visibility: Visibility | None = None
    profile_choice = "auto"

    mode: Mode = "on"
    every: Every = 1

    def set_mode(self, mode: Mode) -> None:
        self.mode = mode

    def set_every(self, every: Every) -> None:
        self.every = every

    def set_profile(self, choice: str) -> None:
        if choice not in ("auto", "none", *self.profiles):
            raise ConfigError(f"there is no profile '{choice}'")
        self.profile_choice = choice

    def clip_files(self) -> tuple[ClipFile, ...]:
        return ()

    def record_clip(self, before_seconds: float | None, after_seconds: float) -> EventClip:
        raise ConfigError(f"'{self.name}' keeps no clips")

    def film(self, stop: threading.Event) -> None:
        """Show frames until `stop` is set."""
        self.machine.to(CameraState.RUNNING)
        number = 0
        while not stop.wait(1 / FPS):
            began = time.monotonic()
            self.counters.arrived()
            clear = render(self.size, number)
            hazy = 0.5 * clear + 0.5 * AIRLIGHT
            mixed = hazy + (self.strength if self.enabled else 0.0) * (clear - hazy)
            self.view.show(Frame.from_array(hazy.astype(np.uint8)), Frame.from_array(mixed.astype(np.uint8)))
            self.counters.published()
            self.counters.observe("dehaze", time.monotonic() - began)
            self.counters.delivered(time.monotonic() - began)
            number += 1


class RenderedPipeline:
    """Cameras that render.

    Args:
        running: names of the cameras that show something.
        dead: names of the cameras that do not, with the reason.
        size: (width, height) in pixels.
    """

    def __init__(
        self, *running: str, dead: Mapping[str, str] | None = None, size: tuple[int, int] = (320, 180)
    ) -> None:
        self.cameras = {name: RenderedCamera(name, size) for name in (*running, *(dead or {}))}
        for name, reason in (dead or {}).items():
            self.cameras[name].machine.to(CameraState.FAILED, reason)
        self._stop = threading.Event()
        films = [self.cameras[name].film for name in running]
        self._threads = [threading.Thread(target=film, args=(self._stop,), name="film") for film in films]

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


def render(size: tuple[int, int], number: int) -> np.ndarray:
    """(height, width, 3) of a bright left and a dark right half, with a bar along the top that moves."""
    width, height = size
    picture = np.full((height, width, 3), DARK, np.float32)
    picture[:, : width // 2] = BRIGHT
    picture[: height // 8, : (number * 4) % width] = 128
    return picture


@contextmanager
def web_page(pipeline: WatchedPipeline, **options: Any) -> Iterator[WebServer]:
    """The page of a pipeline, on a free port; the options are those of `WebServer`."""
    from streamdehaze.live.web import ListenAddress, WebServer  # needs the extra `live`, unlike the rest of this file

    server = WebServer(pipeline, ListenAddress(port=0), **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()

"""One camera: its state, its counters, its newest pictures, and the two things an operator may change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from streamdehaze.errors import ConfigError
from streamdehaze.frame import Frame
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.state import CameraState, StateMachine
from streamdehaze.live.status import CameraCounters, CameraStatus
from streamdehaze.live.view import View

FrameListener = Callable[["Camera", Frame, Frame], None]
"""Called with (camera, hazy frame, clear frame)."""
CameraStateListener = Callable[["Camera", CameraState, str], None]
"""Called with (camera, its state now, message)."""


class Camera:
    """A camera of a `LivePipeline`; everything here may be called from any thread."""

    def __init__(self, config: CameraConfig) -> None:
        self.config = config
        self.machine = StateMachine()
        self.counters = CameraCounters()
        self.view = View()
        self.started_at = time.time()
        self._lock = threading.Lock()
        self._strength, self._enabled = config.strength, config.enabled
        self._size: tuple[int, int] | None = None
        self.codec: str | None = None
        self.adapt: Callable[[], tuple[int, str]] = lambda: (0, "full quality")
        self.engine: Callable[[], str] = lambda: ""
        self.buffered: Callable[[], int] = lambda: 0

    @property
    def name(self) -> str:
        """Unique in its pipeline."""
        return self.config.name

    @property
    def strength(self) -> float:
        """Share of the haze that is removed, 0 to 1; what `set_strength` said last."""
        return self._strength

    @property
    def enabled(self) -> bool:
        """Whether haze is removed at all; what `set_enabled` said last."""
        return self._enabled

    def set_strength(self, strength: float) -> None:
        """Remove this share of the haze from the next frame on.

        Raises:
            ConfigError: if it does not lie between 0 and 1.
        """
        if not 0 <= strength <= 1:
            raise ConfigError(f"strength must lie between 0 and 1, not {strength}")
        self._strength = float(strength)

    def set_enabled(self, enabled: bool) -> None:
        """Remove haze, or pass the frames on as they are, from the next frame on."""
        self._enabled = bool(enabled)

    def publish(self, hazy: Frame, clear: Frame) -> None:
        """Count and show a pair of frames."""
        self._size = (hazy.width, hazy.height)
        self.counters.published()
        self.view.show(hazy, clear)

    def status(self) -> CameraStatus:
        """All there is to know at this moment."""
        counters = self.counters.snapshot()
        level, text = self.adapt()
        width, height = self._size or (None, None)
        return CameraStatus(
            name=self.name,
            url=self.config.shown_url,
            state=self.machine.state,
            message=self.machine.message,
            width=width,
            height=height,
            codec=self.codec,
            fps_in=counters.fps_in,
            fps_out=counters.fps_out,
            latency_seconds=counters.latency_seconds,
            frames_in=counters.frames_in,
            frames_out=counters.frames_out,
            dropped=counters.dropped,
            reconnects=counters.reconnects,
            buffered=self.buffered(),
            buffer_limit=self.config.buffer_frames,
            adapt_level=level,
            adapt_text=text,
            engine=self.engine(),
            strength=self.strength,
            enabled=self.enabled,
            started_at=self.started_at,
            state_seconds=self.machine.seconds,
        )

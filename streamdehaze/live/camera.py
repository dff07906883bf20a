"""One camera: its supervisor, counters, newest pictures and sinks, and what an operator may change."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Set
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamdehaze.control.keyframes import MOST_STRENGTH
from streamdehaze.dehaze import Stream
from streamdehaze.dehaze.steady import Every
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Frame
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.dehazing.scheduler import FrameQueue, FrameScheduler, LiveFrame
from streamdehaze.live.dehazing.shapes import Settling
from streamdehaze.live.haze.history import HazeHistory
from streamdehaze.live.haze.visibility import VisibilityWatch
from streamdehaze.live.profiles import ProfileChoice, ProfileConfig
from streamdehaze.live.reading.reception import Reception
from streamdehaze.live.reading.supervisor import Supervisor
from streamdehaze.live.state import CameraState, StateMachine
from streamdehaze.live.status import CameraCounters, CameraStatus
from streamdehaze.live.view import LatestPair
from streamdehaze.live.writing.broadcast import Broadcast
from streamdehaze.live.writing.clips import ClipFile, EventClip
from streamdehaze.meter.auto import Mode
from streamdehaze.video.reading.camera import Connection

if TYPE_CHECKING:
    from streamdehaze.live.dehazing.adapt import Adapt

log = logging.getLogger("streamdehaze.live")

_STALE_SECONDS = 5.0
"""Without a clear frame for longer than this, a camera does not count as running."""
_UNSHOWN_SECONDS = 2.0
"""Viewers who have seen nothing new for this long see hazy frames as they arrive."""

_OF_STREAM = ("mode", "airlight", "airlight_color", "brightness", "steady")
IN_PLACE = frozenset({"strength", "enabled", "every", "profile", *_OF_STREAM})
"""Keys of a camera's configuration that change without opening it again."""

FrameListener = Callable[["Camera", Frame, Frame], None]
"""Called with (camera, hazy frame, clear frame) from the engine's thread: be quick."""
CameraStateListener = Callable[["Camera", CameraState, str], None]
"""Called with (camera, its state now, message)."""


class Camera:
    """A camera of a `LivePipeline`; what its status, view and setters say may be asked from any thread.

    Args:
        config: what is wanted of it.
        scheduler: where its frames wait for the engine.
        adapt: the quality in force.
        engine: gives the name of the engine in use.
        profiles: gives those that it may take on now, by name.
        on_frame: called for each clear frame.

    Raises:
        ConfigError: if a sink's target cannot be written to, there is no profile of the name it should have, or its
            visibility's reference cannot be read.
    """

    def __init__(
        self,
        config: CameraConfig,
        scheduler: FrameScheduler,
        *,
        adapt: Adapt,
        engine: Callable[[], str],
        profiles: Callable[[], Mapping[str, ProfileConfig]] = dict,
        on_frame: FrameListener | None = None,
    ) -> None:
        self.config = config
        self.machine = StateMachine()
        self.counters = CameraCounters()
        self.full_view = LatestPair()
        """The newest frames of its main stream."""
        self.haze = HazeHistory()
        self.started_at = time.time()
        self.stream = Stream(
            mode=config.mode,
            airlight=config.airlight,
            airlight_color=config.airlight_color,
            brightness=config.brightness,
            steady=config.steady,
            exact=config.exact,
        )
        """Its frames on their way through dehazing; the engine's thread sets all but the strength."""
        self._strength, self._enabled, self.every = config.strength, config.enabled, config.every
        self._apply_strength()
        self._visibility: VisibilityWatch | None = None
        if config.visibility is not None:
            self._visibility = VisibilityWatch(config.visibility, self.full_view, config.name)
        self._profile_choice = ProfileChoice(profiles, config.profile)
        self._profile, self._profile_settings = "", dict[str, Any]()
        self._size: tuple[int, int] | None = None
        self._hazy_reason = ""
        self._first_at: float | None = None
        self._adapt, self._engine, self._on_frame = adapt, engine, on_frame
        self._patient = not config.is_live and not config.realtime
        self._scheduler = scheduler
        self._broadcast = Broadcast(config, self.counters, scheduler.wake)
        self._queue = FrameQueue(
            self, config.buffer_frames, config.latency_budget, self._patient, self._dropped, blocked=self._is_blocked
        )
        self.settling = Settling(patient=self._patient)
        """Waits until the size of its pictures has settled."""
        self._reception = Reception(
            config,
            self.counters,
            on_frame=self._take,
            on_sound=partial(self._broadcast.put_sound, wait=self._patient),
            on_format=self._broadcast.hears,
        )
        self._sub: Camera | None = None
        self.view = self.full_view
        """What viewers see: the low stream while it runs, else the main one."""
        if config.sub is not None:
            self._sub = Camera(config.sub, scheduler, adapt=adapt, engine=engine)
            self.view = self._sub.full_view
        self._supervisor = Supervisor(config, self._reception, self.machine, self.counters, self._why_unclear)

    @property
    def name(self) -> str:
        """Unique in its pipeline."""
        return self.config.name

    @property
    def strength(self) -> float:
        """Share of the haze that is removed, 0 to 1, or up to 1.5 to exaggerate; as last set by `set_strength`."""
        return self._strength

    @property
    def enabled(self) -> bool:
        """Whether haze is removed at all; as last set by `set_enabled`."""
        return self._enabled

    def set_strength(self, strength: float) -> None:
        """Remove this share of the haze from the next frame on.

        Raises:
            ConfigError: if it does not lie between 0 and 1.5.
        """
        if not 0 <= strength <= MOST_STRENGTH:
            raise ConfigError(f"strength must lie between 0 and {MOST_STRENGTH}, not {strength}")
        self._strength = float(strength)
        self._apply_strength()
        if self._sub is not None:
            self._sub.set_strength(strength)

    def set_enabled(self, enabled: bool) -> None:
        """Remove haze, or pass the frames on as they are, from the next frame on."""
        self._enabled = bool(enabled)
        self._apply_strength()
        if self._sub is not None:
            self._sub.set_enabled(enabled)

    def set_mode(self, mode: Mode) -> None:
        """Remove haze throughout, only while there is some, or not at all, from the next frame on."""
        self._set_of_stream("mode", mode)

    def set_every(self, every: Every) -> None:
        """Run the network on every k-th frame at most, or as often as the picture needs it, from the next one on.

        Raises:
            ConfigError: if it is neither "auto" nor at least 1, or the network runs on whole frames.
        """
        if every != "auto" and every < 1:
            raise ConfigError(f"every must be 'auto' or at least 1, not {every}")
        if self.stream.exact and every != 1:
            raise ConfigError(f"'{self.name}' is exact: the network runs on each of its frames")
        self.every = every
        if self._sub is not None:
            self._sub.every = every

    @property
    def playlist(self) -> Path | None:
        """The first HLS playlist that its clear stream is written into, if there is one."""
        return self._broadcast.playlist

    def record_clip(self, before_seconds: float | None, after_seconds: float) -> EventClip:
        """Begin a file with what was sent up to `before_seconds` ago (by default ten), that ends in `after_seconds`.

        Raises:
            ConfigError: if its configuration names no file for clips, the times are out of range, nothing was sent
                yet, or too many are being written.
        """
        if self._broadcast.clips is None:
            raise ConfigError(f"'{self.name}' keeps no clips; name a file for them with clips in its configuration")
        return self._broadcast.clips.record(before_seconds, after_seconds)

    @property
    def clips(self) -> list[EventClip]:
        """Those that were asked for, the newest last; a few at most."""
        return [] if self._broadcast.clips is None else self._broadcast.clips.clips

    def clip_files(self) -> list[ClipFile]:
        """All its clips on the disk, the newest first."""
        return [] if self._broadcast.clips is None else self._broadcast.clips.files()

    def adopt(self, config: CameraConfig) -> None:
        """Take over a configuration that differs only in `IN_PLACE`, from the next frame on.

        What was set otherwise meanwhile stays, unless the configuration changed it.
        """
        before, self.config = self.config, config
        if config.profile != before.profile:
            self._profile_choice.choose(config.profile)
        changed = {key for key in IN_PLACE if getattr(config, key) != getattr(before, key)}
        if self._sub is not None and config.sub is not None:
            self._sub.config = config.sub
        self._take_on(self._profile_settings, changed)

    def set_profile(self, choice: str) -> None:
        """Take on a profile now; "auto" for the one whose condition holds, "none" for the camera's own settings.

        Raises:
            ConfigError: if there is no such profile.
        """
        self._profile_choice.choose(choice)
        self.follow_profile()

    def follow_profile(self) -> None:
        """Take on the profile that it should have now; called once a second where there are any."""
        name, settings = self._profile_choice.current(self.haze.newest)
        if (name, settings) == (self._profile, self._profile_settings):
            return
        log.info("%s: profile %s", self.name, name or "none", extra={"camera": self.name})
        changed = self._profile_settings.keys() | settings.keys()
        self._profile, self._profile_settings = name, settings
        self._take_on(settings, changed)

    def _take_on(self, settings: Mapping[str, Any], changed: Set[str]) -> None:
        """Set what has changed to the profile's values, or those of the configuration."""
        values = {key: settings.get(key, getattr(self.config, key)) for key in changed if key != "profile"}
        for key, value in values.items():
            if key in _OF_STREAM:
                self._set_of_stream(key, value)
            else:
                getattr(self, f"set_{key}")(value)

    def _set_of_stream(self, key: str, value: object) -> None:
        for stream in (self.stream, *(() if self._sub is None else (self._sub.stream,))):
            if not (key == "steady" and stream.exact):
                setattr(stream, key, value)

    def _apply_strength(self) -> None:
        self.stream.strength = self._strength if self._enabled else 0.0

    def status(self) -> CameraStatus:
        """All there is to know at this moment."""
        width, height = self._size or (None, None)
        return CameraStatus(
            name=self.name,
            url=self.config.shown_url,
            state=self.machine.state,
            message=self.machine.message,
            width=width,
            height=height,
            codec=self._reception.codec,
            clock_lag_seconds=self._reception.clock_lag,
            counters=self.counters.snapshot(),
            buffered=self._queue.waiting,
            buffer_limit=self.config.buffer_frames,
            adapt_level=0 if self.stream.exact else self._adapt.index,
            adapt_text="network on every whole frame" if self.stream.exact else str(self._adapt.level),
            engine=self._engine(),
            strength=self.strength,
            mode=self.stream.mode,
            every=self.every,
            keeps_clips=self._broadcast.clips is not None,
            applied_strength=self.stream.applied_strength,
            haze=self.haze.newest,
            enabled=self.enabled,
            profile=self._profile,
            profile_choice=self._profile_choice.choice,
            profiles=self._profile_choice.names,
            started_at=self.started_at,
            state_seconds=self.machine.seconds,
            down_since=self.machine.down_since,
            down_seconds=self.machine.down_seconds,
            sinks=self._broadcast.status(),
            visibility=None if self._visibility is None else self._visibility.visibility,
            sub_state=None if self._sub is None else self._sub.machine.state,
        )

    def start(self) -> None:
        """Open it, and its sinks."""
        self._scheduler.add(self._queue)
        self._broadcast.start()
        self._supervisor.start()
        if self._visibility is not None:
            self._visibility.start()
        if self._sub is not None:
            self._sub.start()

    def stop(self) -> None:
        """Let go of the camera; `finish` waits for that."""
        self._supervisor.stop()
        if self._visibility is not None:
            self._visibility.stop()
        if self._sub is not None:
            self._sub.stop()

    def finish(self, timeout: float) -> bool:
        """End sinks and views; returns after `timeout` seconds at the latest, and whether the sinks were finished."""
        began = time.monotonic()
        self._supervisor.join(timeout / 2)
        self._scheduler.remove(self._queue)
        finished = self._broadcast.finish(max(0.1, timeout - (time.monotonic() - began)))
        self.full_view.close()
        if self._sub is not None:
            self._sub.finish(max(0.1, timeout - (time.monotonic() - began)))
        return finished

    @property
    def idle(self) -> bool:
        """Whether it is over and all its frames have been handed out."""
        return self.machine.state is CameraState.ENDED and not self._scheduler.holds(self._queue)

    def deliver(self, live: LiveFrame, clear: Frame | None, reason: str = "") -> bool:
        """Count, show and send a clear frame; True if it came after its budget. Called by the engine's thread.

        Args:
            live: the hazy frame.
            clear: None if it could not be made clear: it is shown and sent as it is, and marked.
            reason: why.
        """
        hazy = live.frame
        self._size, self._hazy_reason = (hazy.width, hazy.height), reason
        self.counters.published(hazy=clear is None)
        self._show(hazy, clear)
        self.haze.note(self.stream.reading)
        if clear is None:
            clear = hazy
        if self._on_frame is not None:
            self._on_frame(self, hazy, clear)
        latency = time.monotonic() - live.arrival
        if not self._broadcast.connected:
            self.counters.delivered(latency)
        self._broadcast.put(clear, live.arrival, wait=self._patient)
        return not self._patient and latency > self.config.latency_budget

    def _show(self, hazy: Frame, clear: Frame | None) -> None:
        self.full_view.show(hazy, clear)
        if self._sub is not None and self._sub.machine.state is not CameraState.RUNNING:
            self.view.show(hazy, clear)

    def _why_unclear(self) -> str:
        """Why the frames that arrive do not leave clear; "" while they do."""
        if self._hazy_reason:
            return self._hazy_reason
        age = self.counters.clear_age
        if self.machine.state is CameraState.RUNNING:
            age = min(age, self.machine.seconds)
        patience = max(_STALE_SECONDS, self.config.stall_seconds, 2 * self.config.latency_budget)
        if age <= patience:
            return ""
        since = "none has become clear yet" if age == float("inf") else f"none has become clear for {patience:g} s"
        return f"frames arrive, but {since}"

    def _take(self, frame: Frame, arrival: float, connection: Connection) -> None:
        shown, now = self.full_view.latest, time.monotonic()
        if self._first_at is None:
            self._first_at = now
        if now - (self._first_at if shown is None else shown.moment) > _UNSHOWN_SECONDS:
            self._show(frame, None)  # the engine is busy with something else
        self._scheduler.put(self._queue, LiveFrame(frame, arrival, time.monotonic()), lambda: connection.abandoned)

    def _is_blocked(self) -> bool:
        return self._patient and self._broadcast.is_full

    def _dropped(self, reason: str, frames: int) -> None:
        self.counters.drop(reason, frames)
        self._adapt.late(frames)

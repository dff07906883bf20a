"""What the page needs of a pipeline and its cameras; `LivePipeline` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from streamdehaze.dehaze.steady.filter import Every
from streamdehaze.live.haze.history import HazeHistory
from streamdehaze.live.status import CameraStatus
from streamdehaze.live.view import LatestPair
from streamdehaze.live.writing.clips import ClipFile, EventClip
from streamdehaze.meter.auto import Mode


class WatchedCamera(Protocol):
    """A camera that can be looked at and adjusted; every member may be used from any thread."""

    @property
    def view(self) -> LatestPair:
        """The newest pair of pictures."""
        ...

    @property
    def full_view(self) -> LatestPair:
        """The newest pair of its main stream, where `view` shows a low one."""
        ...

    @property
    def haze(self) -> HazeHistory:
        """The haze it has seen over the last day."""
        ...

    @property
    def playlist(self) -> Path | None:
        """The HLS playlist that its clear stream is written into, if there is one."""
        ...

    @property
    def clips(self) -> Sequence[EventClip]:
        """Those that were asked for, the newest last."""
        ...

    def clip_files(self) -> Sequence[ClipFile]:
        """Those on the disk, the newest first."""
        ...

    def record_clip(self, before_seconds: float | None, after_seconds: float) -> EventClip:
        """Begin one; raises ConfigError if that is not possible."""
        ...

    def status(self) -> CameraStatus:
        """Its state and counters at this moment, without secrets."""
        ...

    def set_strength(self, strength: float) -> None:
        """Remove this share of the haze, 0 to 1, from the next frame on."""
        ...

    def set_enabled(self, enabled: bool) -> None:
        """Whether haze is removed at all, from the next frame on."""
        ...

    def set_mode(self, mode: Mode) -> None:
        """Remove haze throughout ("on"), while there is some ("auto"), or not at all ("off")."""
        ...

    def set_every(self, every: Every) -> None:
        """Run the network on every k-th frame at most; raises ConfigError if that cannot be."""
        ...

    def set_profile(self, choice: str) -> None:
        """Take on a profile, "auto" or "none"; raises ConfigError if there is no such profile."""
        ...


class WatchedPipeline(Protocol):
    """The cameras by name; the mapping may change when the configuration is read again."""

    @property
    def cameras(self) -> Mapping[str, WatchedCamera]: ...

"""How far a fixed camera sees, in metres: read every few seconds, next to dehazing."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from streamdehaze.errors import ConfigError, StreamDehazeError
from streamdehaze.live.background import Background
from streamdehaze.live.view import LatestPair
from streamdehaze.meter.clear_days import ClearDays
from streamdehaze.meter.visibility import Contrast, Reference, Visibility

log = logging.getLogger("streamdehaze.live")

_INTERVAL_SECONDS = 10.0
_READINGS = 6
"""Readings of the last minute; their median is reported, because a lorry in front of a mark is not fog."""
_TRUSTED = timedelta(days=7)
"""What the camera itself has shown counts once it is this long: a few days may all have been hazy."""
_LEARN_EVERY = timedelta(hours=1)
_MOST_DAYS = 90.0
"""A reference older than this is not relied on."""
_NOT_READ = Visibility(None, None, None, "the camera shows no picture")


class VisibilityWatch(Background):
    """Reads a camera's newest hazy frame in a thread of its own, and learns how its view looks on clear days.

    Args:
        path: the reference of the view, as `streamdehaze visibility learn` writes it. What is learned on top is
            kept in a file next to it, where that can be written.
        view: of its frames.
        camera: its name.
        now: the local time; a test may bring its own.

    Raises:
        ConfigError: if there is no reference in `path`.
    """

    def __init__(self, path: Path, view: LatestPair, camera: str, now: Callable[[], datetime] = datetime.now) -> None:
        super().__init__(f"visibility-{camera}")
        self._view, self._camera, self._now = view, camera, now
        self._reference = Reference.load(path)
        self._learned_path = path.with_suffix(".learned.npz")
        self._days = ClearDays(self._reference.distance)
        if self._learned_path.exists():
            learned = ClearDays.load(self._learned_path)
            if learned.distance.shape == self._days.distance.shape:
                learned.distance = self._days.distance  # the marks may have been corrected
                self._days = learned
        self._learned: Reference | None = None
        self._learned_at = datetime.min
        self._readings: deque[Visibility] = deque(maxlen=_READINGS)
        self._said: set[str] = set()

    @property
    def visibility(self) -> Visibility:
        """The median of the last minute, unknown where most readings are and where there is none."""
        readings = list(self._readings)
        if not readings:
            return _NOT_READ
        known = sorted((each for each in readings if each.unknown is None), key=_metres)
        unknown = [each for each in readings if each.unknown is not None]
        return unknown[-1] if len(unknown) >= len(known) else known[len(known) // 2]

    def read(self) -> None:
        """Look at the newest frame; a camera that shows none has no visibility."""
        pair = self._view.latest
        if pair is None or not pair.is_fresh:
            self._readings.clear()
            return
        contrast, now = Contrast.of(pair.hazy), self._now()
        reference = self._reference if self._learned is None else self._learned
        try:
            self._readings.append(reference.judge(contrast, now, max_age_days=_MOST_DAYS))
        except ConfigError as error:  # of another shape, which is nothing to learn from
            self._readings.append(Visibility(None, None, None, str(error)))
            self._say(error)
            return
        if self._days.add(contrast, now) and now - self._learned_at >= _LEARN_EVERY:
            self._learn(now)

    def _learn(self, now: datetime) -> None:
        self._learned_at = now
        try:
            if self._days.span >= _TRUSTED:
                learned = self._days.reference()
                self._learned = learned and replace(learned, calibration=self._reference.calibration)
            self._days.save(self._learned_path)
        except StreamDehazeError as error:
            self._say(error)

    def _say(self, error: StreamDehazeError) -> None:
        if str(error) not in self._said:
            self._said.add(str(error))
            log.error("%s: visibility: %s", self._camera, error, extra={"camera": self._camera})

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_SECONDS):
            self.read()


def _metres(visibility: Visibility) -> float:
    """For sorting: beyond the range is farthest, below it nearest."""
    if visibility.metres is not None:
        return visibility.metres
    return float("inf") if visibility.least is not None else 0.0

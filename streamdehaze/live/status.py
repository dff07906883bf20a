"""What a camera has done so far: counters its threads write, and a status any thread may read."""

from __future__ import annotations

import bisect
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamdehaze.dehaze.steady.filter import Every
from streamdehaze.live.state import CameraState
from streamdehaze.meter.auto import Mode
from streamdehaze.meter.reading import Reading
from streamdehaze.meter.visibility import Visibility

STAGES = ("decode", "wait", "dehaze", "encode", "write")
"""What a frame passes: decoded, waiting for the engine, dehazed, encoded, written to a sink."""
DROP_REASONS = ("buffer_full", "stale", "over_limit", "waiting_for_keyframe", "damaged", "sink_full", "sink_down")
"""Why frames are dropped: no room before the engine; older than the latency budget; above the camera's own limit of
frames a second; not decodable before a keyframe; not decodable at all; no room before a sink; a sink not connected.
The last two count frames that one sink did not get: others may have."""

LATENCY_BOUNDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0, 5.0)
"""Upper bounds of the histograms' buckets, seconds."""

_WINDOW_SECONDS = 60.0
_RATE_SECONDS = 5.0


@dataclass(frozen=True)
class HistogramSnapshot:
    """A histogram at one moment."""

    bounds: tuple[float, ...]
    """Upper bounds of the buckets in seconds; one more bucket, without a bound, follows."""
    counts: tuple[int, ...]
    """Observations in each bucket alone (not cumulative); one longer than `bounds`."""
    sum: float
    """Sum of all observations, seconds."""

    @property
    def count(self) -> int:
        """Observations."""
        return sum(self.counts)


class Histogram:
    """Counts durations in buckets; safe to use from several threads."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BOUNDS) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, seconds: float) -> None:
        """Add one."""
        with self._lock:
            self._counts[bisect.bisect_left(LATENCY_BOUNDS, seconds)] += 1
            self._sum += seconds

    def snapshot(self) -> HistogramSnapshot:
        """A consistent copy."""
        with self._lock:
            return HistogramSnapshot(LATENCY_BOUNDS, tuple(self._counts), self._sum)


@dataclass(frozen=True)
class CountersSnapshot:
    """All counters of a camera at one moment; everything but the rates only grows."""

    frames_in: int
    frames_out: int
    """Clear ones."""
    frames_hazy: int
    """Passed on as they were, for they could not be made clear."""
    dropped: Mapping[str, int]
    """By reason, of `DROP_REASONS`."""
    reconnects: int
    clock_corrections: int
    """Times the camera's time stamps jumped and were replaced by the arrival clock."""
    stages: Mapping[str, HistogramSnapshot]
    """By name, of `STAGES`."""
    latency: HistogramSnapshot
    """From arrival to the last step: written to a sink if there is one, else dehazed."""
    fps_in: float
    """Frames that arrived per second, over the last five seconds."""
    fps_out: float
    """Clear frames per second, over the last five seconds."""
    latency_seconds: tuple[float, float]
    """(p50, p99) of the last minute; zeros if there was no frame."""
    frame_age_seconds: float | None
    """Time since the newest clear frame; None before the first."""


class CameraCounters:
    """What a camera's threads count; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames_in = self._frames_out = self._frames_hazy = self._reconnects = self._corrections = 0
        self._dropped: Counter[str] = Counter()
        self._in_times: deque[float] = deque(maxlen=1024)
        self._out_times: deque[float] = deque(maxlen=1024)
        self._recent: deque[tuple[float, float]] = deque(maxlen=16384)
        self._stages = {name: Histogram() for name in STAGES}
        self._latency = Histogram()

    def arrived(self) -> None:
        """A frame has come out of the decoder."""
        with self._lock:
            self._frames_in += 1
            self._in_times.append(time.monotonic())

    def published(self, *, hazy: bool = False) -> None:
        """A clear frame is there, or a hazy one that could not be made clear."""
        with self._lock:
            if hazy:
                self._frames_hazy += 1
                return
            self._frames_out += 1
            self._out_times.append(time.monotonic())

    def drop(self, reason: str, frames: int = 1) -> None:
        """`frames` were dropped; `reason` is one of `DROP_REASONS`."""
        with self._lock:
            self._dropped[reason] += frames

    def reconnected(self) -> None:
        """The camera came back after it was lost."""
        with self._lock:
            self._reconnects += 1

    def corrected_clock(self) -> None:
        """A time stamp was implausible."""
        with self._lock:
            self._corrections += 1

    @property
    def clear_age(self) -> float:
        """Seconds since the newest clear frame; infinite before the first."""
        with self._lock:
            return time.monotonic() - self._out_times[-1] if self._out_times else float("inf")

    def observe(self, stage: str, seconds: float) -> None:
        """A frame has spent `seconds` in `stage`, one of `STAGES`."""
        self._stages[stage].observe(seconds)

    def delivered(self, latency_seconds: float) -> None:
        """A frame has passed its last step, this long after its arrival."""
        self._latency.observe(latency_seconds)
        now = time.monotonic()
        with self._lock:
            self._recent.append((now, latency_seconds))

    def snapshot(self) -> CountersSnapshot:
        """A consistent copy."""
        now = time.monotonic()
        with self._lock:
            while self._recent and self._recent[0][0] < now - _WINDOW_SECONDS:
                self._recent.popleft()
            latencies = sorted(latency for _, latency in self._recent)
            frames = (self._frames_in, self._frames_out, self._frames_hazy)
            numbers = (*frames, dict(self._dropped), self._reconnects, self._corrections)
            age = now - self._out_times[-1] if self._out_times else None
            rates = (_rate(self._in_times, now), _rate(self._out_times, now))
        stages = {name: histogram.snapshot() for name, histogram in self._stages.items()}
        percentiles = (_percentile(latencies, 0.5), _percentile(latencies, 0.99))
        return CountersSnapshot(*numbers, stages, self._latency.snapshot(), *rates, percentiles, age)


@dataclass(frozen=True)
class SinkStatus:
    """A destination of a camera's clear stream, and its state."""

    name: str
    """The address without user and password."""
    connected: bool
    message: str
    """Why it is not connected; empty while all is well."""
    packets: int
    """Written so far."""
    reconnects: int
    file: str = ""
    """The file that is being written, where it writes one after another."""
    deleted: int = 0
    """Old files that made room for new ones."""


@dataclass(frozen=True)
class CameraStatus:
    """A camera at one moment; nothing in it is secret."""

    name: str
    url: str
    """Without user, password and query."""
    state: CameraState
    message: str
    """Why it is in this state; empty while all is well."""
    width: int | None
    """Pixels; None before the first frame."""
    height: int | None
    codec: str | None
    """FFmpeg's name."""
    counters: CountersSnapshot
    buffered: int
    """Frames that wait for the engine."""
    buffer_limit: int
    """Frames that may wait at most."""
    adapt_level: int
    """Steps of quality given up to keep pace; 0 is full quality."""
    adapt_text: str
    """What that level means: "network on every frame at 256 pixels"."""
    engine: str
    """The engine in use, e.g. "openvino cpu"."""
    strength: float
    """0 to 1."""
    enabled: bool
    """Whether haze is removed at all; the stream continues either way."""
    started_at: float
    """Seconds since 1970."""
    state_seconds: float
    """Time spent in this state."""
    down_since: float | None
    """When it last ran, seconds since 1970; None while it does."""
    down_seconds: float
    """Time since then."""
    sinks: tuple[SinkStatus, ...] = field(default=())
    clock_lag_seconds: float | None = None
    """How late frames arrive by the camera's clock: time on the way, and what the two clocks differ by. None where
    the camera does not tell (no RTCP sender reports)."""
    visibility: Visibility | None = None
    """How far it sees; None without a reference of its view."""
    profile: str = ""
    """The one it has taken on; empty for none."""
    profile_choice: str = "auto"
    """What was chosen: a profile, "auto" or "none"."""
    profiles: tuple[str, ...] = ()
    """Names of all there are."""
    sub_state: CameraState | None = None
    """State of its low stream; None if it has none."""
    mode: Mode = "on"
    """"auto" applies the strength only while there is haze."""
    every: Every = 1
    """The network runs on every k-th frame at most, or "auto" as often as the picture needs it."""
    keeps_clips: bool = False
    """Whether clips of it can be asked for."""
    applied_strength: float = 0.0
    """Strength applied to the last frame."""
    haze: Reading | None = None
    """Now; None where none was measured for a minute: before the network first ran, and while haze removal is off."""


def _rate(times: deque[float], now: float) -> float:
    recent = [moment for moment in times if moment >= now - _RATE_SECONDS]
    if len(recent) < 2:
        return len(recent) / _RATE_SECONDS
    # Measured to now, a rate sinks while nothing comes; measured between frames, it is exact while they do.
    span = max(recent[-1] - recent[0], (now - recent[0]) * (len(recent) - 1) / len(recent))
    return (len(recent) - 1) / span if span > 0 else 0.0


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

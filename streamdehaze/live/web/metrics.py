"""The cameras' counters in Prometheus format."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from urllib.parse import urlsplit

import prometheus_client
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from streamdehaze import __version__
from streamdehaze.live.state import CameraState
from streamdehaze.live.status import DROP_REASONS, CameraStatus, CountersSnapshot, HistogramSnapshot
from streamdehaze.live.web.protocols import WatchedPipeline
from streamdehaze.meter.visibility import Visibility


class Metrics:
    """Reads all cameras when it is asked; keeps nothing itself.

    Args:
        pipeline: whose cameras are counted.
        viewers: how many streams the page sends now.
        wrong_tokens: how many the page was offered.
    """

    def __init__(
        self, pipeline: WatchedPipeline, viewers: Callable[[], int], wrong_tokens: Callable[[], int] = lambda: 0
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_CameraCollector(pipeline, viewers, wrong_tokens))
        prometheus_client.ProcessCollector(registry=self._registry)

    media_type = prometheus_client.CONTENT_TYPE_LATEST
    """Content type of the text format."""

    def text(self) -> bytes:
        """All metrics now, in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)


class _CameraCollector(Collector):
    def __init__(self, pipeline: WatchedPipeline, viewers: Callable[[], int], wrong_tokens: Callable[[], int]) -> None:
        self._pipeline, self._viewers, self._wrong_tokens = pipeline, viewers, wrong_tokens

    def collect(self) -> Iterator[Metric]:
        statuses = [camera.status() for camera in self._pipeline.cameras.values()]
        yield GaugeMetricFamily("streamdehaze_viewers", "Streams the web page sends now.", value=self._viewers())
        wrong = self._wrong_tokens()
        yield CounterMetricFamily("streamdehaze_wrong_tokens", "Wrong tokens the web page was offered.", value=wrong)
        build = InfoMetricFamily("streamdehaze_build", "The version that runs.")
        build.add_metric([], {"version": __version__, "python": platform.python_version()})
        yield build
        yield from _states(statuses)
        yield from _counts(statuses)
        yield from _histograms(statuses)
        yield from _gauges(statuses)
        yield from _sinks(statuses)

    def describe(self) -> list[Metric]:
        return []


def _states(statuses: list[CameraStatus]) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "streamdehaze_camera_state", "1 for the state the camera is in, 0 for the others.", labels=["camera", "state"]
    )
    engines = InfoMetricFamily("streamdehaze_engine", "The engine that serves the camera.", labels=["camera"])
    for status in statuses:
        for state in CameraState:
            states.add_metric([status.name, state.value], float(status.state is state))
        engines.add_metric([status.name], {"engine": status.engine})
    yield states
    yield engines


def _counts(statuses: list[CameraStatus]) -> Iterator[Metric]:
    dropped = CounterMetricFamily(
        "streamdehaze_frames_dropped", "Frames dropped, by reason.", labels=["camera", "reason"]
    )
    for status in statuses:
        for reason in DROP_REASONS:
            dropped.add_metric([status.name, reason], status.counters.dropped.get(reason, 0))
    yield dropped
    counts: dict[str, tuple[str, Callable[[CountersSnapshot], int]]] = {
        "frames_in": ("Frames that came out of the decoder.", lambda counters: counters.frames_in),
        "frames_out": ("Clear frames.", lambda counters: counters.frames_out),
        "frames_hazy": ("Frames passed on hazy, for they could not be made clear.", lambda c: c.frames_hazy),
        "reconnects": ("Times the camera came back.", lambda counters: counters.reconnects),
        "clock_corrections": ("Times the camera's time stamps were implausible.", lambda c: c.clock_corrections),
    }
    for name, (text, read) in counts.items():
        metric = CounterMetricFamily(f"streamdehaze_{name}", text, labels=["camera"])
        for status in statuses:
            metric.add_metric([status.name], read(status.counters))
        yield metric


def _histograms(statuses: list[CameraStatus]) -> Iterator[Metric]:
    stages = HistogramMetricFamily(
        "streamdehaze_stage_seconds", "Time a frame spends in a stage.", labels=["camera", "stage"]
    )
    latency = HistogramMetricFamily(
        "streamdehaze_latency_seconds", "Time from a frame's arrival to its last step.", labels=["camera"]
    )
    for status in statuses:
        for stage, histogram in status.counters.stages.items():
            stages.add_metric([status.name, stage], _buckets(histogram), histogram.sum)
        latencies = status.counters.latency
        latency.add_metric([status.name], _buckets(latencies), latencies.sum)
    yield stages
    yield latency


def _buckets(histogram: HistogramSnapshot) -> list[tuple[str, float]]:
    """Prometheus counts a bucket together with all below it."""
    bounds = [*map(str, histogram.bounds), "+Inf"]
    return list(zip(bounds, map(float, accumulate(histogram.counts)), strict=True))


def _gauges(statuses: list[CameraStatus]) -> Iterator[Metric]:
    gauges: dict[str, tuple[str, Callable[[CameraStatus], float]]] = {
        "queue_frames": ("Frames that wait for the engine.", lambda status: status.buffered),
        "queue_limit_frames": ("Frames that may wait at most.", lambda status: status.buffer_limit),
        "adapt_level": ("Steps of quality given up to keep pace; 0 is full quality.", lambda s: s.adapt_level),
        "strength": ("Share of the haze to remove.", lambda status: status.strength),
        "applied_strength": ("Share of the haze removed from the last frame.", lambda s: s.applied_strength),
        "haze_density": (
            "Haze as last measured, 0 (clear) to 1; NaN if that is more than a minute ago.",
            lambda status: math.nan if status.haze is None else status.haze.density,
        ),
        "visibility_metres": (
            "How far the camera sees; NaN if unknown, +Inf beyond its range.",
            lambda status: visibility_metres(status.visibility),
        ),
        "clock_lag_seconds": (
            "How late frames arrive by the camera's own clock; NaN if it does not tell.",
            lambda status: math.nan if status.clock_lag_seconds is None else status.clock_lag_seconds,
        ),
        "enabled": ("1 if haze is removed.", lambda status: status.enabled),
        "fps_in": ("Frames that arrive per second.", lambda status: status.counters.fps_in),
        "fps_out": ("Clear frames per second.", lambda status: status.counters.fps_out),
        "down_seconds": ("Time since the camera last ran; 0 while it does.", lambda status: status.down_seconds),
        "frame_age_seconds": ("Time since the newest clear frame, or since the start.", _age),
        "state_duration_seconds": ("Time spent in the current state.", lambda status: status.state_seconds),
    }
    for name, (text, read) in gauges.items():
        metric = GaugeMetricFamily(f"streamdehaze_{name}", text, labels=["camera"])
        for status in statuses:
            metric.add_metric([status.name], float(read(status)))
        yield metric


def visibility_metres(visibility: Visibility | None) -> float:
    """In a number: NaN if unknown, or below the measurable range; infinite above it."""
    if visibility is None or (visibility.metres is None and visibility.least is None):
        return math.nan
    return math.inf if visibility.metres is None else visibility.metres


def _age(status: CameraStatus) -> float:
    age = status.counters.frame_age_seconds
    return time.time() - status.started_at if age is None else age


def _sinks(statuses: list[CameraStatus]) -> Iterator[Metric]:
    # By number and kind: an address may hold a stream's key, which is a secret.
    labels = ["camera", "sink", "kind"]
    connected = GaugeMetricFamily("streamdehaze_sink_connected", "1 if the sink takes the stream.", labels=labels)
    packets = CounterMetricFamily("streamdehaze_sink_packets", "Packets written to the sink.", labels=labels)
    reconnects = CounterMetricFamily("streamdehaze_sink_reconnects", "Times the sink came back.", labels=labels)
    deleted = CounterMetricFamily("streamdehaze_recordings_deleted", "Old files that made room.", labels=labels)
    for status in statuses:
        for number, sink in enumerate(status.sinks, 1):
            values = [status.name, str(number), urlsplit(sink.name).scheme or "file"]
            connected.add_metric(values, float(sink.connected))
            packets.add_metric(values, sink.packets)
            reconnects.add_metric(values, sink.reconnects)
            deleted.add_metric(values, sink.deleted)
    yield connected
    yield packets
    yield reconnects
    yield deleted

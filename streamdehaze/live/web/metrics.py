"""The cameras' counters in Prometheus' words."""

from __future__ import annotations

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

from streamdehaze.live.state import CameraState
from streamdehaze.live.status import DROP_REASONS, CameraStatus, CountersSnapshot, HistogramSnapshot
from streamdehaze.live.web.protocols import WatchedPipeline

Sample = tuple[CameraStatus, CountersSnapshot]


class Metrics:
    """Reads all cameras when it is asked; keeps nothing itself.

    Args:
        pipeline: whose cameras are counted.
        viewers: how many streams the page sends now.
    """

    def __init__(self, pipeline: WatchedPipeline, viewers: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_CameraCollector(pipeline, viewers))
        prometheus_client.ProcessCollector(registry=self._registry)

    media_type = prometheus_client.CONTENT_TYPE_LATEST
    """Of the text format."""

    def text(self) -> bytes:
        """All metrics now, in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)


class _CameraCollector(Collector):
    def __init__(self, pipeline: WatchedPipeline, viewers: Callable[[], int]) -> None:
        self._pipeline, self._viewers = pipeline, viewers

    def collect(self) -> Iterator[Metric]:
        cameras = list(self._pipeline.cameras.values())
        samples = [(camera.status(), camera.counters.snapshot()) for camera in cameras]
        yield GaugeMetricFamily("streamdehaze_viewers", "Streams the web page sends now.", value=self._viewers())
        yield from _states(samples)
        yield from _counts(samples)
        yield from _histograms(samples)
        yield from _gauges(samples)
        yield from _ages(samples)
        yield from _sinks(samples)

    def describe(self) -> list[Metric]:
        return []


def _states(samples: list[Sample]) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "streamdehaze_camera_state", "1 for the state the camera is in, 0 for the others.", labels=["camera", "state"]
    )
    engines = InfoMetricFamily("streamdehaze_engine", "The engine that serves the camera.", labels=["camera"])
    for status, _ in samples:
        for state in CameraState:
            states.add_metric([status.name, state.value], float(status.state is state))
        engines.add_metric([status.name], {"engine": status.engine})
    yield states
    yield engines


def _counts(samples: list[Sample]) -> Iterator[Metric]:
    dropped = CounterMetricFamily(
        "streamdehaze_frames_dropped", "Frames dropped, by reason.", labels=["camera", "reason"]
    )
    for status, counters in samples:
        for reason in DROP_REASONS:
            dropped.add_metric([status.name, reason], counters.dropped.get(reason, 0))
    yield dropped
    counts: dict[str, tuple[str, Callable[[CountersSnapshot], int]]] = {
        "frames_in": ("Frames that came out of the decoder.", lambda counters: counters.frames_in),
        "frames_out": ("Clear frames.", lambda counters: counters.frames_out),
        "reconnects": ("Times the camera came back.", lambda counters: counters.reconnects),
        "clock_corrections": ("Times the camera's time stamps were not believed.", lambda c: c.clock_corrections),
    }
    for name, (text, read) in counts.items():
        metric = CounterMetricFamily(f"streamdehaze_{name}", text, labels=["camera"])
        for status, counters in samples:
            metric.add_metric([status.name], read(counters))
        yield metric


def _histograms(samples: list[Sample]) -> Iterator[Metric]:
    stages = HistogramMetricFamily(
        "streamdehaze_stage_seconds", "Time a frame spends in a stage.", labels=["camera", "stage"]
    )
    latency = HistogramMetricFamily(
        "streamdehaze_latency_seconds", "Time from a frame's arrival to its last step.", labels=["camera"]
    )
    for status, counters in samples:
        for stage, histogram in counters.stages.items():
            stages.add_metric([status.name, stage], _buckets(histogram), histogram.sum)
        latency.add_metric([status.name], _buckets(counters.latency), counters.latency.sum)
    yield stages
    yield latency


def _buckets(histogram: HistogramSnapshot) -> list[tuple[str, float]]:
    """Prometheus counts a bucket together with all below it."""
    bounds = [*map(str, histogram.bounds), "+Inf"]
    return list(zip(bounds, map(float, accumulate(histogram.counts)), strict=True))


def _gauges(samples: list[Sample]) -> Iterator[Metric]:
    gauges: dict[str, tuple[str, Callable[[CameraStatus], float]]] = {
        "queue_frames": ("Frames that wait for the engine.", lambda status: status.buffered),
        "queue_limit_frames": ("Frames that may wait at most.", lambda status: status.buffer_limit),
        "adapt_level": ("Steps of quality given up to keep pace; 0 is full quality.", lambda s: s.adapt_level),
        "strength": ("Share of the haze to remove.", lambda status: status.strength),
        "enabled": ("1 if haze is removed.", lambda status: status.enabled),
        "fps_in": ("Frames that arrive a second.", lambda status: status.fps_in),
        "fps_out": ("Clear frames a second.", lambda status: status.fps_out),
        "state_duration_seconds": ("Time spent in the current state.", lambda status: status.state_seconds),
    }
    for name, (text, read) in gauges.items():
        metric = GaugeMetricFamily(f"streamdehaze_{name}", text, labels=["camera"])
        for status, _ in samples:
            metric.add_metric([status.name], float(read(status)))
        yield metric


def _ages(samples: list[Sample]) -> Iterator[Metric]:
    ages = GaugeMetricFamily(
        "streamdehaze_frame_age_seconds", "Time since the newest clear frame, or since the start.", labels=["camera"]
    )
    for status, _ in samples:
        age = status.frame_age_seconds
        ages.add_metric([status.name], time.time() - status.started_at if age is None else age)
    yield ages


def _sinks(samples: list[Sample]) -> Iterator[Metric]:
    # By number and kind: an address may hold a stream's key, which is a secret.
    labels = ["camera", "sink", "kind"]
    connected = GaugeMetricFamily("streamdehaze_sink_connected", "1 if the sink takes the stream.", labels=labels)
    packets = CounterMetricFamily("streamdehaze_sink_packets", "Packets written to the sink.", labels=labels)
    reconnects = CounterMetricFamily("streamdehaze_sink_reconnects", "Times the sink came back.", labels=labels)
    for status, _ in samples:
        for number, sink in enumerate(status.sinks, 1):
            values = [status.name, str(number), urlsplit(sink.name).scheme or "file"]
            connected.add_metric(values, float(sink.connected))
            packets.add_metric(values, sink.packets)
            reconnects.add_metric(values, sink.reconnects)
    yield connected
    yield packets
    yield reconnects

"""A camera's status as the page reads it."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any
from urllib.parse import quote, urlsplit

from streamdehaze.address import scheme_of, without_secrets
from streamdehaze.live.status import CameraStatus, SinkStatus
from streamdehaze.live.writing.clips import ClipFile, EventClip
from streamdehaze.meter.reading import Reading

_DIGITS = {
    "fps_in": 2,
    "fps_out": 2,
    "clock_lag_seconds": 2,
    "applied_strength": 3,
    "state_seconds": 1,
    "down_seconds": 1,
    "frame_age_seconds": 1,
}
"""After the point, of what is measured."""
_LEFT_OUT = frozenset({"counters", "keeps_clips", "started_at", "stages", "latency", "clock_corrections"})
"""What the page does not show, or under another name."""


def describe(status: CameraStatus) -> dict[str, Any]:
    """The status in JSON's types, without credentials whatever the messages hold."""
    shown = {each.name: getattr(facts, each.name) for facts in (status.counters, status) for each in fields(facts)}
    for name, digits in _DIGITS.items():
        shown[name] = None if shown[name] is None else round(shown[name], digits)
    p50, p99 = shown.pop("latency_seconds")
    visibility, sub_state = status.visibility, status.sub_state
    return {
        **{name: value for name, value in shown.items() if name not in _LEFT_OUT},
        "url": without_secrets(status.url),
        "state": status.state.value,
        "sub_state": None if sub_state is None else sub_state.value,
        "latency_p50_seconds": round(p50, 4),
        "latency_p99_seconds": round(p99, 4),
        "haze": _describe_haze(status.haze),
        "visibility": None if visibility is None else {**visibility.as_dict(), "text": str(visibility)},
        "clips": status.keeps_clips,
        "sinks": [_describe_sink(sink) for sink in status.sinks],
    }


def describe_file(camera: str, file: ClipFile) -> dict[str, Any]:
    """A clip on the disk."""
    path = f"/cameras/{quote(camera, safe='')}/clips/{quote(file.name)}"
    return {"name": file.name, "bytes": file.bytes, "ended": round(file.ended, 1), "path": path}


def describe_clip(clip: EventClip) -> dict[str, Any]:
    """A clip that was asked for."""
    return {"file": str(clip.path), "state": clip.state, "message": clip.message}


def _describe_haze(haze: Reading | None) -> dict[str, Any] | None:
    if haze is None:
        return None
    return {
        "density": round(haze.density, 3),
        "class": haze.haze_class.value,
        "airlight": [round(channel, 3) for channel in haze.airlight],
        "dark": haze.dark,
    }


def _describe_sink(sink: SinkStatus) -> dict[str, Any]:
    return {**asdict(sink), "name": sink_name(sink.name), "message": without_secrets(sink.message)}


def sink_name(address: str) -> str:
    """A sink's address without what may be a secret: streaming services put the stream's key into the path."""
    if not scheme_of(address):
        return address
    parts = urlsplit(address)
    host = without_secrets(f"//{parts.netloc}").removeprefix("//").rpartition("@")[2]
    return f"{parts.scheme}://{host}/…" if parts.scheme.startswith("rtmp") else without_secrets(address)

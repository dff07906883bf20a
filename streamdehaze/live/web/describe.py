"""A camera's status as the page reads it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from streamdehaze.address import scheme_of, without_secrets
from streamdehaze.live.status import CameraStatus, SinkStatus
from streamdehaze.live.writing.clips import ClipFile, EventClip
from streamdehaze.meter.reading import Reading
from streamdehaze.meter.visibility import Visibility


def describe(status: CameraStatus) -> dict[str, Any]:
    """The status in JSON's types, without credentials whatever the messages hold."""
    counters = status.counters
    p50, p99 = counters.latency_seconds
    age = counters.frame_age_seconds
    return {
        "name": status.name,
        "url": without_secrets(status.url),
        "state": status.state.value,
        "message": status.message,
        "width": status.width,
        "height": status.height,
        "codec": status.codec,
        "fps_in": round(counters.fps_in, 2),
        "fps_out": round(counters.fps_out, 2),
        "latency_p50_seconds": round(p50, 4),
        "latency_p99_seconds": round(p99, 4),
        "clock_lag_seconds": None if status.clock_lag_seconds is None else round(status.clock_lag_seconds, 2),
        "frames_in": counters.frames_in,
        "frames_out": counters.frames_out,
        "frames_hazy": counters.frames_hazy,
        "dropped": dict(counters.dropped),
        "reconnects": counters.reconnects,
        "buffered": status.buffered,
        "buffer_limit": status.buffer_limit,
        "adapt_level": status.adapt_level,
        "adapt_text": status.adapt_text,
        "engine": status.engine,
        "strength": status.strength,
        "mode": status.mode,
        "every": status.every,
        "applied_strength": round(status.applied_strength, 3),
        "haze": _describe_haze(status.haze),
        "visibility": _describe_visibility(status.visibility),
        "enabled": status.enabled,
        "profile": status.profile,
        "profile_choice": status.profile_choice,
        "profiles": list(status.profiles),
        "state_seconds": round(status.state_seconds, 1),
        "sub_state": None if status.sub_state is None else status.sub_state.value,
        "down_since": status.down_since,
        "down_seconds": round(status.down_seconds, 1),
        "frame_age_seconds": None if age is None else round(age, 1),
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


def _describe_visibility(visibility: Visibility | None) -> dict[str, Any] | None:
    if visibility is None:
        return None
    haze_class = visibility.haze_class
    return {
        "metres": _rounded(visibility.metres),
        "least": _rounded(visibility.least),
        "most": _rounded(visibility.most),
        "unknown": visibility.unknown,
        "class": None if haze_class is None else haze_class.value,
        "text": str(visibility),
    }


def _rounded(metres: float | None) -> int | None:
    return None if metres is None else round(metres)


def _describe_sink(sink: SinkStatus) -> dict[str, Any]:
    return {
        "name": sink_name(sink.name),
        "connected": sink.connected,
        "message": without_secrets(sink.message),
        "reconnects": sink.reconnects,
        "file": sink.file,
        "deleted": sink.deleted,
    }


def sink_name(address: str) -> str:
    """A sink's address without what may be a secret: streaming services put the stream's key into the path."""
    if not scheme_of(address):
        return address
    parts = urlsplit(address)
    host = without_secrets(f"//{parts.netloc}").removeprefix("//").rpartition("@")[2]
    return f"{parts.scheme}://{host}/…" if parts.scheme.startswith("rtmp") else without_secrets(address)

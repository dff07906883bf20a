"""A camera as Home Assistant's MQTT integration discovers it: a device with its sensors and settings.

Home Assistant knows discovery by device from 2024.11 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from streamdehaze import __version__
from streamdehaze.control.keyframes import MOST_STRENGTH
from streamdehaze.live.announcing.config import topic_of
from streamdehaze.live.announcing.events import EventKind
from streamdehaze.live.profiles import AUTOMATIC, NONE
from streamdehaze.live.state import CameraState
from streamdehaze.live.status import CameraStatus
from streamdehaze.meter.auto import MODES
from streamdehaze.meter.reading import HazeClass

Part = dict[str, Any]
_EVERY = ("auto", "1", "2", "3", "4", "5", "6")
"""What is offered; any number may be set."""
_NO_PROFILE = "no profile"
"""What `NONE` is called in Home Assistant, which takes "none" in any case of letters for "unknown"."""
_MEASURED = {"state_class": "measurement"}
"""Home Assistant keeps statistics of it."""
_DIAGNOSTIC = {"entity_category": "diagnostic"}


def discovery_topic(prefix: str, identity: str) -> str:
    """Where Home Assistant looks for the device; `identity` is the camera's `topic_of`."""
    return f"{prefix}/device/streamdehaze_{identity}/config"


def describe_device(status: CameraStatus, topic: str, availability: str) -> dict[str, Any]:
    """The device of a camera, in JSON's types.

    Args:
        topic: what the camera's topics begin with.
        availability: the topic that tells whether the process runs.
    """
    identity = topic_of(status.name)
    parts = _Parts(identity, topic)
    return {
        "dev": {"ids": [f"streamdehaze_{identity}"], "name": status.name, "mf": "StreamDehaze", "sw": __version__},
        "o": {"name": "streamdehaze", "sw": __version__},
        "state_topic": parts.state,
        "availability_topic": availability,
        "cmps": {**_figures(parts, status), **_settings(parts, status)},
    }


@dataclass(frozen=True)
class _Parts:
    """Makes the entities of a device."""

    identity: str
    topic: str

    @property
    def state(self) -> str:
        return f"{self.topic}/state"

    def make(self, platform: str, key: str, label: str, **more: object) -> Part:
        """An entity that shows `key` of the camera's state."""
        value = {"value_template": f"{{{{ value_json.{key} }}}}"}
        return {"p": platform, "unique_id": f"streamdehaze_{self.identity}_{key}", "name": label, **value, **more}

    def settable(self, platform: str, key: str, label: str, *, setting: str = "", **more: object) -> Part:
        """One that can be changed."""
        return self.make(platform, key, label, command_topic=f"{self.topic}/{setting or key}/set", **more)

    def attributes(self, *keys: str) -> Part:
        """What of the state an entity shows next to its own; all of it would make a line in the database each time."""
        shown = ", ".join(f"'{key}': value_json.{key}" for key in keys)
        return {"json_attributes_topic": self.state, "json_attributes_template": f"{{{{ {{{shown}}} | tojson }}}}"}


def _figures(parts: _Parts, status: CameraStatus) -> dict[str, Part]:
    states, classes = [each.value for each in CameraState], [each.value for each in HazeClass]
    event = "{{ {'event_type': value_json.event, 'message': value_json.message} | tojson }}"
    visibility = parts.make("sensor", "visibility_metres", "Distance seen", unit_of_measurement="m",
                            device_class="distance", **_MEASURED, **parts.attributes("visibility"))  # fmt: skip
    return {
        "running": parts.make("binary_sensor", "running", "Running", device_class="running",
                              payload_on="ON", payload_off="OFF",
                              **parts.attributes("message", "down_since", "profile")),
        "state": parts.make("sensor", "state", "State", device_class="enum", options=states, **_DIAGNOSTIC),
        "haze": parts.make("sensor", "haze", "Haze", unit_of_measurement="%", icon="mdi:weather-fog", **_MEASURED),
        "haze_class": parts.make("sensor", "haze_class", "Visibility", device_class="enum", options=classes,
                                 icon="mdi:weather-fog"),
        "visibility": visibility if status.visibility is not None else _absent(visibility),
        "latency": parts.make("sensor", "latency_ms", "Latency", unit_of_measurement="ms", device_class="duration",
                              **_MEASURED, **_DIAGNOSTIC),
        "fps": parts.make("sensor", "fps_out", "Frame rate", unit_of_measurement="fps", **_MEASURED, **_DIAGNOSTIC),
        "event": {**parts.make("event", "event", "Event", event_types=list(get_args(EventKind))),
                  "state_topic": f"{parts.topic}/event", "value_template": event},
    }  # fmt: skip


def _settings(parts: _Parts, status: CameraStatus) -> dict[str, Part]:
    every = dict.fromkeys((*_EVERY, str(status.every)))
    profile = parts.settable("select", "profile_choice", "Profile", setting="profile",
                             options=[AUTOMATIC, _NO_PROFILE, *status.profiles])  # fmt: skip
    profile["value_template"] = _renamed("value_json.profile_choice", {NONE: _NO_PROFILE})
    profile["command_template"] = _renamed("value", {_NO_PROFILE: NONE})
    return {
        "strength": parts.settable("number", "strength", "Strength", min=0, max=MOST_STRENGTH, step=0.01),
        "enabled": parts.settable("switch", "enabled", "Remove haze", payload_on="ON", payload_off="OFF"),
        "mode": parts.settable("select", "mode", "Mode", options=list(MODES), icon="mdi:weather-fog"),
        "every": parts.settable("select", "every", "Network runs on every k-th frame", options=list(every),
                                icon="mdi:speedometer", entity_category="config"),
        "profile": profile if status.profiles else _absent(profile),
    }  # fmt: skip


def _renamed(value: str, names: Mapping[str, str]) -> str:
    """A template that gives `value`, or what `names` has for it."""
    return f"{{{{ {dict(names)}.get({value}, {value}) }}}}"


def _absent(part: Part) -> Part:
    """What removes an entity that an earlier announcement had: its platform alone."""
    return {"p": part["p"]}

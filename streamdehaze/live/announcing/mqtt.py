"""Cameras on an MQTT broker: state, figures and settings of each, in a form that Home Assistant discovers by itself."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from streamdehaze import __version__
from streamdehaze.control.keyframes import MOST_STRENGTH
from streamdehaze.errors import ConfigError
from streamdehaze.live.announcing.config import MqttConfig, topic_of
from streamdehaze.live.announcing.events import Event
from streamdehaze.live.background import Background
from streamdehaze.live.profiles import AUTOMATIC, NONE
from streamdehaze.live.state import CameraState
from streamdehaze.live.status import CameraStatus
from streamdehaze.meter.auto import MODES, Mode
from streamdehaze.video.trust import client_context

if TYPE_CHECKING:
    from streamdehaze.live.web.protocols import WatchedCamera

log = logging.getLogger("streamdehaze.live")

_POLL_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 60
_LEAVE_SECONDS = 1.0
_EVERY = ("auto", "1", "2", "3", "4", "5", "6")
"""What is offered; any number may be set."""
_NEWS = ("state", "strength", "enabled", "mode", "every", "profile", "profile_choice", "message")
"""The parts of a camera's state that are published as soon as they change."""


def _mode(text: str) -> Mode:
    if text.lower() not in MODES:
        raise ConfigError(f"mode is one of {', '.join(MODES)}")
    return cast(Mode, text.lower())


_SETTERS: Mapping[str, Callable[[WatchedCamera, str], None]] = {
    "strength": lambda camera, text: camera.set_strength(float(text)),
    "enabled": lambda camera, text: camera.set_enabled({"ON": True, "OFF": False}[text.upper()]),
    "mode": lambda camera, text: camera.set_mode(_mode(text)),
    "every": lambda camera, text: camera.set_every("auto" if text.lower() == "auto" else int(text)),
    "profile": lambda camera, text: camera.set_profile(text),
}
"""What may be set of a camera, by the topic."""


class MqttPublisher(Background):
    """Publishes cameras, takes changes of strength, on/off and profile, and reconnects by itself.

    Topics, below the configured one: `status` ("online", "offline" also where the process dies), and for each camera
    `ID/state` (JSON, retained), `ID/event` (JSON), `ID/strength/set` (0 to 1.5), `ID/enabled/set` ("ON", "OFF"),
    `ID/mode/set` ("on", "auto", "off"), `ID/every/set` (a number of frames, "auto") and `ID/profile/set` (a profile's
    name, "auto", "none").

    Args:
        config: the broker and topics.
        cameras: gives the cameras by name, as they are now.
        shard: the number of this process, if others serve the rest of the cameras: its status is `status/NUMBER`, and a
            camera that it serves no longer has moved to another.

    Raises:
        ConfigError: if the password is not where it should be, or a certificate file cannot be read.
    """

    def __init__(
        self, config: MqttConfig, cameras: Callable[[], Mapping[str, WatchedCamera]], shard: int | None = None
    ) -> None:
        super().__init__("mqtt")
        self._config, self._cameras, self._is_shard = config, cameras, shard is not None
        self._status = self._topic("status", *(() if shard is None else (str(shard),)))
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="")
        if config.username is not None:
            self._client.username_pw_set(config.username, config.password())
        if config.tls:
            self._client.tls_set_context(client_context(config.ca_file))
        self._client.reconnect_delay_set(1, _LONGEST_RETRY_SECONDS)
        self._client.will_set(self._status, "offline", qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = self._unreachable
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._received
        self._published: dict[str, dict[str, Any]] = {}
        self._announced: dict[str, str] = {}
        self._again = threading.Event()
        self._reported = ""
        """The trouble with the broker that is the case now."""

    def start(self) -> None:
        """Begin; whether the broker is there does not matter yet."""
        self._client.connect_async(self._config.host, self._config.port or (8883 if self._config.tls else 1883))
        self._client.loop_start()
        super().start()

    def stop(self) -> None:
        """Publish the final state of the cameras and "offline", and disconnect."""
        super().stop()
        if self._thread.ident is None:
            return
        self._thread.join(_LEAVE_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def tell(self, event: Event) -> None:
        """Publish an event."""
        if self._client.is_connected():
            self._client.publish(self._topic(topic_of(event.camera), "event"), json.dumps(event.as_dict()), qos=1)

    def _topic(self, *parts: str) -> str:
        return "/".join((self._config.topic, *parts))

    def _connected(self, client: mqtt.Client, data: object, flags: object, reason: Any, properties: object) -> None:
        if reason.is_failure:
            if str(reason) != self._reported:
                log.error("the MQTT broker %s refuses: %s", self._config.host, reason)
            self._reported = str(reason)
            return
        self._reported = ""
        log.info("connected to the MQTT broker %s", self._config.host)
        client.subscribe([(self._topic("+", setting, "set"), 1) for setting in _SETTERS])
        client.publish(self._status, "online", qos=1, retain=True)
        self._again.set()  # publish everything again: the broker may have lost it

    def _disconnected(self, client: mqtt.Client, data: object, flags: object, reason: Any, properties: object) -> None:
        if reason.is_failure and not self._stop.is_set() and not self._reported:
            self._reported = str(reason)
            log.warning("the MQTT broker %s is lost: %s; trying again", self._config.host, reason)

    def _unreachable(self, client: mqtt.Client, data: object) -> None:
        if not self._reported:
            error = sys.exc_info()[1]  # the client calls this while it handles the exception
            self._reported = str(getattr(error, "strerror", None) or error)
            log.warning("the MQTT broker %s cannot be reached: %s; trying again", self._config.host, self._reported)

    def _received(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        _, name, setting, _ = message.topic.rsplit("/", 3)
        camera = next((each for known, each in self._cameras().items() if topic_of(known) == name), None)
        if camera is None and self._is_shard:
            return
        text = message.payload.decode("utf-8", "replace")
        try:
            if camera is None:
                raise ValueError("there is no such camera")
            _SETTERS[setting](camera, text)
        except (ValueError, KeyError, ConfigError) as error:
            log.warning("MQTT: %s was not set to '%.40s': %s", message.topic, text, error)

    def _run(self) -> None:
        since = 0.0
        while not self._stop.wait(_POLL_SECONDS):
            since += _POLL_SECONDS
            if not self._client.is_connected():
                continue
            if self._again.is_set():
                self._again.clear()
                self._published.clear()
                self._announced.clear()
            everything = since >= self._config.interval_seconds
            self._publish(everything=everything)
            if everything:
                since = 0.0
        if self._client.is_connected():
            self._publish(everything=True)
            self._client.publish(self._status, "offline", qos=1, retain=True).wait_for_publish(_LEAVE_SECONDS)

    def _publish(self, *, everything: bool) -> None:
        cameras = self._cameras()
        for name in self._published.keys() - cameras.keys():
            del self._published[name]
            self._announced.pop(name, None)
            if self._is_shard:
                continue
            self._client.publish(self._topic(topic_of(name), "state"), "", qos=1, retain=True)
            if self._config.discovery:
                self._client.publish(self._discovery_topic(name), "", qos=1, retain=True)  # Home Assistant forgets it
        for name, camera in cameras.items():
            status = camera.status()
            state = _state(status)
            before = self._published.get(name, {})
            is_news = any(state[key] != before.get(key) for key in _NEWS)
            if everything or is_news:
                self._client.publish(self._topic(topic_of(name), "state"), json.dumps(state), qos=1, retain=True)
                self._published[name] = state
            if self._config.discovery:
                self._announce(status)

    def _announce(self, status: CameraStatus) -> None:
        device = json.dumps(self._device(status))
        if self._announced.get(status.name) != device:
            self._announced[status.name] = device
            self._client.publish(self._discovery_topic(status.name), device, qos=1, retain=True)

    def _discovery_topic(self, name: str) -> str:
        return f"{self._config.discovery}/device/streamdehaze_{topic_of(name)}/config"

    def _device(self, status: CameraStatus) -> dict[str, Any]:
        """The camera as Home Assistant's device-based discovery has it."""
        name, profiles, identity = status.name, status.profiles, topic_of(status.name)
        state = self._topic(identity, "state")

        def part(platform: str, key: str, label: str, **more: object) -> dict[str, Any]:
            value = {"value_template": f"{{{{ value_json.{key} }}}}"}
            return {"p": platform, "unique_id": f"streamdehaze_{identity}_{key}", "name": label, **value, **more}

        measured = {"state_class": "measurement"}  # Home Assistant keeps statistics of it
        every = part("select", "every", "Network runs on every k-th frame", icon="mdi:speedometer",
                     options=list(dict.fromkeys((*_EVERY, str(status.every)))),
                     command_topic=self._topic(identity, "every", "set"))  # fmt: skip
        visibility = part("sensor", "visibility_metres", "Distance seen", unit_of_measurement="m",
                          device_class="distance", **measured)  # fmt: skip
        choice = part("select", "profile_choice", "Profile", options=[AUTOMATIC, NONE, *profiles],
                      command_topic=self._topic(identity, "profile", "set"))  # fmt: skip
        return {
            "dev": {"ids": [f"streamdehaze_{identity}"], "name": name, "mf": "StreamDehaze", "sw": __version__},
            "o": {"name": "streamdehaze", "sw": __version__},
            "state_topic": state,
            "availability_topic": self._status,
            "cmps": {
                "running": part("binary_sensor", "running", "Running", device_class="running",
                                payload_on="ON", payload_off="OFF", json_attributes_topic=state),
                "state": part("sensor", "state", "State"),
                "haze": part("sensor", "haze", "Haze", unit_of_measurement="%", icon="mdi:weather-fog", **measured),
                "haze_class": part("sensor", "haze_class", "Visibility", icon="mdi:weather-fog"),
                **({} if status.visibility is None else {"visibility": visibility}),
                "latency": part("sensor", "latency_ms", "Latency", unit_of_measurement="ms", device_class="duration",
                                **measured),
                "fps": part("sensor", "fps_out", "Frame rate", unit_of_measurement="fps", **measured),
                "strength": part("number", "strength", "Strength", min=0, max=MOST_STRENGTH, step=0.01,
                                 command_topic=self._topic(identity, "strength", "set")),
                "enabled": part("switch", "enabled", "Remove haze", payload_on="ON", payload_off="OFF",
                                command_topic=self._topic(identity, "enabled", "set")),
                "mode": part("select", "mode", "Mode", options=list(MODES), icon="mdi:weather-fog",
                             command_topic=self._topic(identity, "mode", "set")),
                "every": every,
                **({"profile": choice} if profiles else {}),
            },
        }  # fmt: skip


def _state(status: CameraStatus) -> dict[str, Any]:
    haze, visibility = status.haze, status.visibility
    return {
        "name": status.name,
        "running": "ON" if status.state is CameraState.RUNNING else "OFF",
        "state": status.state.value,
        "message": status.message,
        "down_since": status.down_since,
        "fps_out": round(status.counters.fps_out, 1),
        "latency_ms": round(1000 * status.counters.latency_seconds[0]),
        "haze": None if haze is None else round(100 * haze.density),
        "haze_class": None if haze is None else haze.haze_class.value,
        "visibility_metres": None if visibility is None or visibility.metres is None else round(visibility.metres),
        "visibility": None if visibility is None else str(visibility),
        "strength": status.strength,
        "enabled": "ON" if status.enabled else "OFF",
        "mode": status.mode,
        "every": status.every,
        "profile": status.profile,
        "profile_choice": status.profile_choice,
    }

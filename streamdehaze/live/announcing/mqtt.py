"""Cameras on an MQTT broker: state, figures and settings of each, and what Home Assistant discovers them by."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from streamdehaze.errors import ConfigError
from streamdehaze.live.announcing.config import MqttConfig, topic_of
from streamdehaze.live.announcing.events import Event
from streamdehaze.live.announcing.home_assistant import describe_device, discovery_topic
from streamdehaze.live.background import Background
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
_FORGET_SECONDS = 5.0
"""Home Assistant gets this long to take a camera's entities away, before the state that they read is gone."""
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

    A camera that is removed is taken off the broker. One that was removed while no process ran is when the next starts,
    unless it is a shard, whose cameras may be another's now.

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
        self._leaving: dict[str, float] = {}
        """When cameras were removed whose state is still on the broker, by their part of the topic."""
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
        client.subscribe([(self._status, 1), *((self._topic("+", setting, "set"), 1) for setting in _SETTERS)])
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
        text = message.payload.decode("utf-8", "replace")
        if message.topic == self._status:
            self._hear_status(text, is_old=message.retain)
        elif message.topic.endswith("/state"):
            self._hear_state(message.topic, is_old=message.retain)
        else:
            self._set(message.topic, text)

    def _hear_status(self, text: str, *, is_old: bool) -> None:
        if text != "offline" or self._stop.is_set():
            return
        if not is_old:  # a connection that was lost has only now timed out, or another program with these topics ended
            self._client.publish(self._status, "online", qos=1, retain=True)
        elif not self._is_shard:  # no other program publishes here: what is left is this one's
            self._client.subscribe(self._topic("+", "state"), 1)

    def _hear_state(self, topic: str, *, is_old: bool) -> None:
        """Of what was left on the broker, take away the cameras that are no more."""
        if not is_old:  # that is published now: what was left has come before
            self._client.unsubscribe(self._topic("+", "state"))
            return
        identity = topic.rsplit("/", 2)[1]
        if identity not in map(topic_of, self._cameras()):
            self._remove(identity)

    def _set(self, topic: str, text: str) -> None:
        _, name, setting, _ = topic.rsplit("/", 3)
        camera = next((each for known, each in self._cameras().items() if topic_of(known) == name), None)
        if camera is None and self._is_shard:
            return
        try:
            if camera is None:
                raise ValueError("there is no such camera")
            _SETTERS[setting](camera, text)
        except (ValueError, KeyError, ConfigError) as error:
            log.warning("MQTT: %s was not set to '%.40s': %s", topic, text, error)

    def _run(self) -> None:
        since = 0.0
        while not self._stop.wait(_POLL_SECONDS):
            since += _POLL_SECONDS
            if not self._client.is_connected():
                continue
            everything = self._again.is_set() or since >= self._config.interval_seconds
            if self._again.is_set():
                self._again.clear()
                self._announced.clear()
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
            if not self._is_shard:
                self._remove(topic_of(name))
        for name, camera in cameras.items():
            status = camera.status()
            self._leaving.pop(topic_of(name), None)
            if self._config.discovery:
                self._announce(status)  # first: Home Assistant takes no value that it was not told of
            state = _state(status)
            before = self._published.get(name, {})
            if everything or any(state[key] != before.get(key) for key in _NEWS):
                self._client.publish(self._topic(topic_of(name), "state"), json.dumps(state), qos=1, retain=True)
                self._published[name] = state
        for identity, since in list(self._leaving.items()):
            if time.monotonic() - since > _FORGET_SECONDS:
                del self._leaving[identity]
                self._client.publish(self._topic(identity, "state"), "", qos=1, retain=True)

    def _announce(self, status: CameraStatus) -> None:
        identity = topic_of(status.name)
        device = json.dumps(describe_device(status, self._topic(identity), self._status))
        if self._announced.get(status.name) != device:
            self._announced[status.name] = device
            self._client.publish(discovery_topic(self._config.discovery, identity), device, qos=1, retain=True)

    def _remove(self, identity: str) -> None:
        if identity in self._leaving:
            return
        if self._config.discovery:
            self._client.publish(discovery_topic(self._config.discovery, identity), "", qos=1, retain=True)
        self._leaving[identity] = time.monotonic()


def _state(status: CameraStatus) -> dict[str, Any]:
    haze, visibility = status.haze, status.visibility
    return {
        "name": status.name,
        "running": "ON" if status.state is CameraState.RUNNING else "OFF",
        "state": status.state.value,
        "message": status.message,
        "down_since": status.down_since,
        "fps_out": round(status.counters.fps_out, 1),
        "latency_ms": round(1000 * status.counters.latency_seconds[0]) or None,
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

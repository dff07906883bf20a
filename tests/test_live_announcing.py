"""Cameras announced to other programs: a real MQTT broker and a real web server are notified."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from live_feed import RenderedPipeline
from rtsp_camera import free_port
from streamdehaze.errors import ConfigError
from streamdehaze.live import CameraState, read_config
from streamdehaze.live.announcing.config import MqttConfig, WebhookConfig
from streamdehaze.live.announcing.events import Event, EventWatch
from streamdehaze.live.announcing.webhook import Webhook
from streamdehaze.meter.visibility import Visibility
from waiting import wait_until
from web_server import Request, serving

if TYPE_CHECKING:
    from streamdehaze.live.announcing.mqtt import MqttPublisher

mqtt = pytest.importorskip("paho.mqtt.client", reason="MQTT needs the extra 'mqtt'")
BROKER = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_broker = pytest.mark.skipif(BROKER is None, reason="needs mosquitto (Debian: apt-get install mosquitto)")


@contextmanager
def broker(folder: Path, port: int) -> Iterator[None]:
    """mosquitto on loopback, for a user with a password."""
    passwords = folder / "passwords"
    passwords.write_text("viewer:hunter2\n")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
    passwords.chmod(0o644)
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n")
    assert BROKER is not None
    with subprocess.Popen([BROKER, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


class Listener:
    """Receives everything on a broker."""

    def __init__(self, port: int) -> None:
        self.heard: dict[str, str] = {}
        """The newest payload by topic."""
        self.log: list[tuple[str, str]] = []
        """All in order."""
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set("viewer", "hunter2")
        self.client.on_message = lambda client, data, m: self._hear(m.topic, m.payload.decode())
        self.client.on_connect = lambda client, *_: client.subscribe("#")
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()

    def _hear(self, topic: str, payload: str) -> None:
        self.heard[topic] = payload
        self.log.append((topic, payload))

    def first(self, topic: str, part: str) -> int:
        """Where in the log `part` was first published to a topic."""
        return next(i for i, (at, payload) in enumerate(self.log) if at == topic and part in payload)

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.heard.get(f"streamdehaze/{name}/state") or "{}")
        return found

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@needs_broker
def test_cameras_appear_on_the_broker_and_take_settings_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from streamdehaze.live.announcing.mqtt import MqttPublisher

    port = free_port()
    (tmp_path / "password").write_text("hunter2\n")
    (tmp_path / "password").chmod(0o600)
    config = MqttConfig(
        host="127.0.0.1", port=port, username="viewer", password_file=tmp_path / "password", interval_seconds=1
    )
    with RenderedPipeline("North gate", dead={"tunnel": "wrong user or password"}) as pipeline:
        pipeline.cameras["North gate"].profiles = ("fog",)
        pipeline.cameras["North gate"].visibility = Visibility(340.2, 210, 1500)
        publisher = MqttPublisher(config, lambda: pipeline.cameras)
        publisher.start()  # before there is a broker
        wait_until(lambda: "the MQTT broker 127.0.0.1 cannot be reached: " in caplog.text, "that is reported")
        with broker(tmp_path, port):
            listener = Listener(port)
            gate = pipeline.cameras["North gate"]
            wait_until(lambda: listener.state("North_gate").get("running") == "ON", "its state")
            discovery = "homeassistant/device/streamdehaze_North_gate/config"
            topics = {
                "streamdehaze/status",
                "streamdehaze/tunnel/state",
                discovery,
                discovery.replace("North_gate", "tunnel"),
            }
            wait_until(lambda: topics <= {*listener.heard}, "the rest of what is retained, in any order")
            assert listener.heard["streamdehaze/status"] == "online"
            assert listener.state("tunnel")["message"] == "wrong user or password"
            assert listener.state("tunnel")["latency_ms"] is None, "no frame, no latency"
            device = json.loads(listener.heard[discovery])
            assert device["state_topic"] == "streamdehaze/North_gate/state"
            for part in device["cmps"].values():
                about = Event.__annotations__ if part["p"] == "event" else listener.state("North_gate")
                keys = {
                    *re.findall(r"value_json\.(\w+)", part["value_template"] + part.get("json_attributes_template", ""))
                }
                assert keys <= {*about}, keys
                assert part["unique_id"].startswith("streamdehaze_North_gate_")
                assert ("state_class" in part) == ("unit_of_measurement" in part), "figures have statistics"
                assert "none" not in map(str.lower, part.get("options", ())), "that is Home Assistant's for unknown"
            listener.client.publish(device["cmps"]["strength"]["command_topic"], "0.25")
            listener.client.publish(device["cmps"]["enabled"]["command_topic"], "OFF")
            wait_until(lambda: (gate.strength, gate.enabled) == (0.25, False), "settings arrive")
            wait_until(lambda: listener.state("North_gate")["strength"] == 0.25, "and are reported back")
            assert listener.state("North_gate")["visibility_metres"] == 340
            assert device["cmps"]["profile"]["options"] == ["auto", "no profile", "fog"]
            assert device["cmps"]["event"]["state_topic"] == "streamdehaze/North_gate/event"
            tunnel = json.loads(listener.heard["homeassistant/device/streamdehaze_tunnel/config"])["cmps"]
            assert tunnel["visibility"] == {"p": "sensor"}, "what it has no more is removed"
            assert tunnel["profile"] == {"p": "select"}
            for setting, value in (("profile", "fog"), ("mode", "auto"), ("every", "3")):
                part = device["cmps"][setting]
                assert value in part["options"]
                listener.client.publish(part["command_topic"], value)
            wait_until(lambda: (gate.mode, gate.every) == ("auto", 3), "these arrive, too")
            wait_until(lambda: listener.state("North_gate")["profile_choice"] == "fog", "the profile")
            gate.set_every(9)
            wait_until(lambda: listener.state("North_gate")["every"] == 9, "a number that was not offered")
            assert listener.first(discovery, '"9"') < listener.first(device["state_topic"], '"every": 9'), "is first"
            for setting, wrong in (("strength", "7"), ("strength", "much"), ("every", ""), ("mode", "sometimes")):
                listener.client.publish(f"streamdehaze/North_gate/{setting}/set", wrong)
            listener.client.publish("streamdehaze/nobody/strength/set", "1")
            publisher.tell(Event("North gate", "down", 1.0, "no frame came"))
            wait_until(lambda: "streamdehaze/North_gate/event" in listener.heard, "an event")
            assert json.loads(listener.heard["streamdehaze/North_gate/event"])["event"] == "down"
            assert "hunter2" not in "".join(listener.heard.values())
        with broker(tmp_path, port):  # a new one that knows nothing
            listener.heard.clear()
            wait_until(lambda: listener.state("North_gate").get("enabled") == "OFF", "everything is published again")
            gate.machine.to(CameraState.ENDED, "stopped")
            publisher.stop()
            wait_until(lambda: listener.heard["streamdehaze/status"] == "offline", "it signs off")
            assert listener.state("North_gate")["message"] == "stopped"
            listener.stop()


def test_home_assistant_reads_the_templates() -> None:
    jinja2 = pytest.importorskip("jinja2")
    from streamdehaze.live.announcing.home_assistant import describe_device

    camera = RenderedPipeline("gate").cameras["gate"]
    camera.profiles, camera.visibility = ("fog",), Visibility(None, 5000, None)
    parts = describe_device(camera.status(), "streamdehaze/gate", "streamdehaze/status")["cmps"]

    def render(part: str, template: str, **values: object) -> str:
        rendered: str = jinja2.Template(parts[part][template]).render(**values)
        return rendered

    for ours, theirs in (("none", "no profile"), ("fog", "fog")):
        assert render("profile", "value_template", value_json={"profile_choice": ours}) == theirs
        assert render("profile", "command_template", value=theirs) == ours
    event = Event("gate", "fog_begins", 1.0, 'dense "fog"').as_dict()
    shown = json.loads(render("event", "value_template", value_json=event))
    assert shown == {"event_type": "fog_begins", "message": 'dense "fog"'}
    assert shown["event_type"] in parts["event"]["event_types"]
    state = {"visibility": "at least 5 km"}
    assert json.loads(render("visibility", "json_attributes_template", value_json=state)) == state


@contextmanager
def publishers(port: int, **options: Any) -> Iterator[Callable[..., MqttPublisher]]:
    """Makes publishers of a mapping of cameras that may change; all are stopped in the end."""
    from streamdehaze.live.announcing.mqtt import MqttPublisher

    config = MqttConfig(host="127.0.0.1", port=port, username="viewer", password_env="MQTT_TEST", **options)
    made: list[MqttPublisher] = []

    def start(cameras: Callable[[], Any]) -> MqttPublisher:
        made.append(MqttPublisher(config, cameras))
        made[-1].start()
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MQTT_TEST", "hunter2")
        patch.setattr("streamdehaze.live.announcing.mqtt._FORGET_SECONDS", 0.1)
        yield start
    for each in made:
        each.stop()


@needs_broker
def test_a_camera_that_is_removed_leaves_nothing_on_the_broker(tmp_path: Path) -> None:
    port = free_port()
    discovery, state = "homeassistant/device/streamdehaze_yard/config", "streamdehaze/yard/state"
    with broker(tmp_path, port), RenderedPipeline("gate", "yard") as pipeline, publishers(port) as start:
        publisher = start(lambda: pipeline.cameras)
        listener = Listener(port)
        wait_until(lambda: listener.state("yard") and listener.heard.get(discovery), "it is there")
        listener.log.clear()
        pipeline.cameras = {"gate": pipeline.cameras["gate"]}
        publisher._again.set()  # the connection was lost meanwhile
        wait_until(lambda: listener.heard[state] == listener.heard[discovery] == "", "it is gone")
        gone = [topic for topic, payload in listener.log if not payload]
        assert gone == [discovery, state], "Home Assistant still reads the state until it has removed the device"
        listener.stop()


@needs_broker
def test_a_camera_that_was_removed_while_nothing_ran_is_taken_off_at_the_next_start(tmp_path: Path) -> None:
    port = free_port()
    discovery, state = "homeassistant/device/streamdehaze_yard/config", "streamdehaze/yard/state"
    with (
        broker(tmp_path, port),
        RenderedPipeline("gate", "yard", "attic") as pipeline,
        publishers(port, interval_seconds=0.5) as start,
    ):
        gate, yard, attic = ({name: camera} for name, camera in pipeline.cameras.items())
        listener = Listener(port)
        before = start(lambda: gate | yard)
        wait_until(lambda: listener.state("yard") and listener.heard.get(discovery), "it is there")
        listener.client.publish("other/yard/state", "theirs", retain=True)
        before.stop()
        wait_until(lambda: listener.heard["streamdehaze/status"] == "offline", "it has ended")
        start(lambda: gate)
        wait_until(lambda: listener.heard[state] == listener.heard[discovery] == "", "the yard is gone")
        start(lambda: attic)
        wait_until(lambda: listener.state("attic"), "another program with the same topics is there")
        wait_until(lambda: len([topic for topic, _ in listener.log if "/attic/" in topic]) > 3, "time passes")
        assert listener.state("gate"), "its cameras are not this one's to remove"
        assert listener.heard["homeassistant/device/streamdehaze_gate/config"]
        assert listener.heard["other/yard/state"] == "theirs"
        listener.stop()


@needs_broker
def test_a_connection_that_times_out_late_makes_nothing_offline(tmp_path: Path) -> None:
    port = free_port()
    with broker(tmp_path, port), RenderedPipeline("gate") as pipeline, publishers(port) as start:
        listener, lost = Listener(port), mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        lost.username_pw_set("viewer", "hunter2")
        lost.will_set("streamdehaze/status", "offline", qos=1, retain=True)
        lost.connect_async("127.0.0.1", port)
        lost.loop_start()
        wait_until(lost.is_connected, "the connection before")
        start(lambda: pipeline.cameras)
        wait_until(lambda: listener.heard.get("streamdehaze/status") == "online", "the one of now")
        lost.loop_stop()
        lost.socket().close()
        wait_until(lambda: ("streamdehaze/status", "offline") in listener.log, "the broker has noticed that it is lost")
        wait_until(lambda: listener.heard["streamdehaze/status"] == "online", "but the program runs")
        listener.stop()


@needs_broker
def test_a_camera_that_moves_to_another_shard_stays_available(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from streamdehaze.live.announcing.mqtt import MqttPublisher

    port = free_port()
    config = MqttConfig(host="127.0.0.1", port=port, username="viewer", password_env="MQTT_TEST")
    with broker(tmp_path, port), RenderedPipeline("gate", "yard") as pipeline, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MQTT_TEST", "hunter2")
        gate, yard = ({name: camera} for name, camera in pipeline.cameras.items())
        mine: dict[int, Any] = {1: gate, 2: yard}
        first, second = (MqttPublisher(config, lambda number=number: mine[number], number) for number in mine)
        listener = Listener(port)
        discovery = "homeassistant/device/streamdehaze_yard/config"

        def availability() -> str | None:
            topic = json.loads(listener.heard.get(discovery) or "{}").get("availability_topic")
            return listener.heard.get(topic)

        first.start()
        second.start()
        wait_until(lambda: availability() == "online", "the camera of the second")
        second.stop()
        wait_until(lambda: availability() == "offline", "it is stopped")
        mine[1] = gate | yard
        wait_until(lambda: availability() == "online", "the first has taken over")
        listener.client.publish("streamdehaze/nobody/strength/set", "1")
        mine[1] = gate
        listener.client.publish("streamdehaze/gate/strength/set", "0.25")
        wait_until(lambda: listener.state("gate")["strength"] == 0.25, "the first goes on")
        assert listener.heard[discovery], "the camera is another's now, and not gone"
        assert "there is no such camera" not in caplog.text
        first.stop()
        listener.stop()


def test_two_cameras_that_would_share_a_topic_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cameras.toml"
    cameras = '[[camera]]\nname = "東門"\nurl = "rtsp://h/1"\n[[camera]]\nname = "西門"\nurl = "rtsp://h/2"\n'
    path.write_text(cameras, encoding="utf-8")
    assert len(read_config(path).camera) == 2, "without a broker nothing is wrong"
    path.write_text(cameras + '[mqtt]\nhost = "h"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="'東門' and '西門' would have the same MQTT topic, '_'; let"):
        read_config(path)


@needs_broker
def test_a_process_that_dies_is_offline(tmp_path: Path) -> None:
    from streamdehaze.live.announcing.mqtt import MqttPublisher

    port = free_port()
    with broker(tmp_path, port), RenderedPipeline("gate") as pipeline:
        config = MqttConfig(host="127.0.0.1", port=port, username="viewer", password_env="MQTT_TEST")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MQTT_TEST", "hunter2")
            publisher = MqttPublisher(config, lambda: pipeline.cameras)
        publisher.start()
        listener = Listener(port)
        wait_until(lambda: listener.heard.get("streamdehaze/status") == "online", "it is there")
        sock = publisher._client.socket()
        publisher._client.loop_stop()
        sock.close()  # without signing off
        wait_until(lambda: listener.heard["streamdehaze/status"] == "offline", "the broker announces it")
        listener.stop()


def test_a_camera_that_is_away_for_a_moment_is_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = RenderedPipeline("gate")
    machine, now = pipeline.cameras["gate"].machine, [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = EventWatch(lambda: pipeline.cameras, [], clock=lambda: now[0])
    machine.to(CameraState.RUNNING)
    machine.to(CameraState.BACKING_OFF, "no frame came")
    now[0] += 9
    assert watch.look() == []
    machine.to(CameraState.CONNECTING)
    machine.to(CameraState.RUNNING)
    assert watch.look() == []
    machine.to(CameraState.UNCLEAR, "none has become clear")
    now[0] += 11
    (event,) = watch.look()
    assert (event.event, event.message) == ("down", "none has become clear")
    assert watch.look() == [], "once"
    machine.to(CameraState.RUNNING)
    assert [each.event for each in watch.look()] == ["back"]


def test_events_are_posted_until_they_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamdehaze.live.announcing.webhook._PAUSE_SECONDS", 0.05)
    bodies: list[dict[str, Any]] = []
    refusals = [503, 500]

    def take(request: Request) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        if refusals:
            request.send_error(refusals.pop())
            return
        bodies.append(body)
        request.send_response(204)
        request.end_headers()

    with serving(take) as url:
        webhook = Webhook(WebhookConfig(url=f"{url}/hook?token=hush"))
        webhook.start()
        webhook.tell(Event("gate", "down", 12.5, "no frame came"))
        webhook.tell(Event("gate", "back", 13.5, ""))
        wait_until(lambda: len(bodies) == 2, "both arrive")
        webhook.stop()
    assert bodies[0] == {"camera": "gate", "event": "down", "time": 12.5, "message": "no frame came"}


def test_the_tables_are_read_along_with_the_cameras(tmp_path: Path) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text('[mqtt]\nhost = "h"\npassword_file = "p"\n[webhook]\nurl = "https://h/x"\n')
    config = read_config(path)
    assert config.mqtt is not None
    assert config.mqtt.password_file == tmp_path / "p"
    assert config.webhook is not None
    path.write_text('[mqtt]\nhots = "h"\ntopic = "a/#"\n')
    with pytest.raises(ConfigError, match="3 things are wrong"):
        read_config(path)


def test_certificates_that_cannot_be_read_are_named_before_anything_starts(tmp_path: Path) -> None:
    from streamdehaze.live.announcing.mqtt import MqttPublisher

    (tmp_path / "text").write_text("hello")
    MqttPublisher(MqttConfig(host="h"), dict).stop()  # never started: nothing to leave
    for name, reason in (("none", "cannot be read: No such file"), ("text", "holds no certificates in PEM")):
        with pytest.raises(ConfigError, match=f"{name}' {reason}"):
            Webhook(WebhookConfig(url="https://h/", ca_file=tmp_path / name))
        with pytest.raises(ConfigError, match=f"{name}' {reason}"):
            MqttPublisher(MqttConfig(host="h", tls=True, ca_file=tmp_path / name), dict)
    with pytest.raises(ValueError, match="ca_file needs tls = true"):
        MqttConfig(host="h", ca_file=tmp_path / "text")

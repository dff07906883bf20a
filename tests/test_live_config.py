"""`cameras.toml`, addresses without secrets, and the table of states."""

from __future__ import annotations

import logging
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from streamdehaze.address import Address, read_secret, without_secrets
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.live import TRANSITIONS, CameraConfig, CameraState, StateMachine, read_config
from streamdehaze.live.announcing.config import MqttConfig, WebhookConfig
from streamdehaze.live.config import LiveConfig, camera_name, check_config
from streamdehaze.live.profiles import ProfileConfig
from streamdehaze.video.fault import fault_of
from streamdehaze.video.reading.open import open_live


def written(folder: Path, text: str) -> Path:
    path = folder / "cameras.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_configuration(tmp_path: Path) -> None:
    (tmp_path / "gate.password").write_text("s3cret\nsecond line\n")
    config = read_config(
        written(
            tmp_path,
            """
            checkpoint = "aecrnet-m"
            adapt = false
            [[camera]]
            name = "gate"
            url = "rtsp://192.0.2.7:554/stream?channel=1"
            username = "admin"
            password_file = "gate.password"
            transport = "udp"
            to = ["rtsp://relay.example/{name}", "clear/{name}.mkv"]
            strength = 0.8
            [[camera]]
            name = "yard"
            url = "rtsp://192.0.2.8/stream"
            """,
        )
    )
    gate, yard = config.camera
    assert (config.checkpoint, config.adapt) == ("aecrnet-m", False)
    assert gate.address().full == "rtsp://admin:s3cret@192.0.2.7:554/stream?channel=1"
    assert gate.address().shown == gate.shown_url == "rtsp://192.0.2.7:554/stream"
    assert (yard.transport, yard.strength, yard.latency_budget) == ("tcp", 1.0, 0.2)


def test_the_hazes_colour_is_read_as_people_write_it(tmp_path: Path) -> None:
    text = '[[camera]]\nname = "gate"\nurl = "gate.mp4"\nairlight_color = "{}"\n'
    text += '[profile.sand]\nairlight_color = "255,204,51"\n'
    config = read_config(written(tmp_path, text.format("#cc9966")))
    assert config.camera[0].airlight_color == (0.8, 0.6, 0.4)
    assert config.profile["sand"].settings == {"airlight_color": (1.0, 0.8, 0.2)}
    for wrong, reason in (("brown", "'brown' is not a colour; write #c8b48c"), ("#050505", "too dark")):
        with pytest.raises(ConfigError, match=f"camera 'gate', airlight_color: .*{reason}"):
            read_config(written(tmp_path, text.format(wrong)))


def test_sizes_of_files_are_written_as_on_the_command_line(tmp_path: Path) -> None:
    text = '[[camera]]\nname = "gate"\nurl = "gate.mp4"\nkeep_bytes = "1.5G"\nclip_keep_bytes = 5000\n'
    gate = read_config(written(tmp_path, text)).camera[0]
    assert (gate.keep_bytes, gate.clip_keep_bytes, gate.segment_bytes) == (3 << 29, 5000, None)


def test_an_exact_camera_is_not_steady_and_says_so_where_both_are_asked_for(tmp_path: Path) -> None:
    text = '[[camera]]\nname = "gate"\nurl = "gate.mp4"\nexact = true\n'
    assert read_config(written(tmp_path, text)).camera[0].steady == "off"
    for other in ('steady = "low"', "every = 2"):
        with pytest.raises(ConfigError, match="camera 'gate': exact works frame by frame; leave steady and every out"):
            read_config(written(tmp_path, f"{text}{other}\n"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[camera]]\nname = "gate"', "camera 'gate', url: it is missing"),
        ('[[camera]]\nname = "a"\nurl = "rtsp://h/"\nsterngth = 1', "camera 'a', sterngth: there is no such option"),
        ('[[camera]]\nurl = "rtsp://u:hush@h/"\nname = "a"\nstrength = 2', "strength: write 1.5 or less"),
        ('[[camera]]\nname = "a"\nurl = "b"\n[[camera]]\nname = "a"\nurl = "c"', "two cameras are called 'a'"),
        ('[[camera]]\nname = "a/b"\nurl = "c"', "camera 'a/b', name: it begins with a letter or digit and has only"),
        ("camera = 3", "camera: each camera is a table of its own, under [[camera]]"),
        ('[camera]\nname = "a"\nurl = "rtsp://h"', "camera: each camera is a table of its own, under [[camera]]"),
        (
            '[[camera]]\nname = "a"\nurl = "rtsp://h"\nto = ["hls/{name}"]',
            "camera 'a', to: nothing is sent to 'hls/a'; "
            "use a .mkv, .ts, .mp4 file (segments), .m3u8 or a folder that ends in / (HLS), or rtsp://…",
        ),
        (
            '[[camera]]\nname = "a"\nurl = "rtsp://h"\nto = ["{nam}.mkv"]',
            "camera 'a', to: there is no placeholder {nam}; {name} stands for the camera's name",
        ),
        (
            '[[camera]]\nname = "a"\nurl = "rtsp://h"\nto = ["a.mkv"]\ncodec = "prores_ks"',
            "camera 'a', codec: the encoder prores_ks does not take yuv420p, in which cameras are sent; use libx264",
        ),
        (
            '[[camera]]\nname = "a"\nurl = "rtsp://h"\nto = ["a.mkv", "b.mkv"]\ncodec = "x265"',
            "cameras.toml: camera 'a', codec: there is no encoder 'x265' here; near it: libx265, libx264",
        ),
        (
            '[[camera]]\nname = "a"\nurl = "b"\nto = "c.mkv"',
            "camera 'a', to: write a list in square brackets",
        ),
        (
            '[[camera]]\nname = "gate"\nurl = "rtsp://h"\nbitrate = "3M"',
            "cameras.toml: camera 'gate', bitrate: write a whole number",
        ),
        (
            '[[camera]]\nname = "gate"\nurl = "rtsp://h"\nkeep_bytes = "200Q"',
            "camera 'gate', keep_bytes: '200Q' is not a size in bytes; write 800M or 1.5G",
        ),
        (
            '[[camera]]\nname = "gate"\nurl = "rtsp://h"\npassword = "hush"',
            "camera 'gate', password: there is no such option; name a file that holds it with password_file, or",
        ),
        (
            '[[camera]]\nname = "gate"\nurl = "rtsp://h"\npassword_env = "hush!"',
            "camera 'gate', password_env: write the name of the environment variable that holds the password",
        ),
        (
            '[[camera]]\nname = "gate"\nurl = "rtsp://h"\nevery = "some"',
            "camera 'gate', every: write a whole number, or 'auto'",
        ),
        ("[profile.my-night]\nafter = 'ten'", 'profile, my-night, after: write a time of day, such as "22:00"'),
        ("adapt = maybe", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, text))
    assert sentence in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "model"), [("camera", CameraConfig), ("profile", ProfileConfig), ("mqtt", MqttConfig),
                         ("webhook", WebhookConfig), ("", LiveConfig)],
)  # fmt: skip
@pytest.mark.parametrize("wrong", ["x", "", -1, 1.5, True, [], [1], {}, math.nan], ids=repr)
def test_whatever_is_wrong_is_told_in_words_of_ours(table: str, model: type[BaseModel], wrong: object) -> None:
    said: dict[str, str] = {}
    for key in model.model_fields:
        camera = {"name": "gate", "url": "rtsp://h/"}
        values: dict[str, Any] = {
            "camera": {"camera": [camera | {key: wrong}]},
            "profile": {"profile": {"fog": {key: wrong}}},
            "mqtt": {"mqtt": {"host": "h", key: wrong}},
            "webhook": {"webhook": {"url": "http://h/", key: wrong}},
            "": {key: wrong},
        }
        try:
            check_config(values[table], "cameras.toml")
        except ConfigError as error:
            said[key] = str(error)
    assert said
    for key, text in said.items():
        assert re.match(f"cameras.toml: .*({key}|after and until go together)", text)
        assert not re.search("should|required|pathlib|instance|valid|\n", text), text


@pytest.mark.parametrize("content", ['name = "Gärten"'.encode("latin-1"), b"camera = " + b"[" * 5000])
def test_a_file_that_is_not_text_or_all_brackets_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cameras.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cameras\.toml' is not TOML"):
        read_config(path)


def test_everything_that_is_wrong_is_named_at_once_with_what_was_meant(tmp_path: Path) -> None:
    text = """
        networksize = 256
        [[camera]]
        name = "gate"
        url = "rtsp://h/s"
        strenght = 0.5
        latency_budget = -1
        adapt = false
        [[camera]]
        name = "yard"
        url = "rtsp://h/t"
        to = ["x.avi"]
        steady = "very"
        """
    with pytest.raises(ConfigError) as error:
        read_config(written(tmp_path, text))
    lines = str(error.value).splitlines()
    assert lines[0].endswith("cameras.toml: 5 things are wrong:")
    assert "  camera 'gate', strenght: there is no such option; did you mean strength?" in lines
    assert "  networksize: there is no such option; did you mean network_size?" in lines
    adapt = "there is no such option; it belongs to the file as a whole, above the first table"
    assert f"  camera 'gate', adapt: {adapt}" in lines
    assert any(line.startswith("  camera 'gate', latency_budget: ") for line in lines)
    assert any(line.startswith("  camera 'yard', steady: ") for line in lines)
    with pytest.raises(ConfigError, match=r"strength: there is no such option; it belongs in a \[\[camera\]\]"):
        read_config(written(tmp_path, "strength = 1"))


def test_keys_in_the_wrong_table_are_pointed_to_the_right_one_and_patterns_are_explained(tmp_path: Path) -> None:
    text = """
        interval_seconds = 5
        ca_file = "ca.pem"
        [mqtt]
        hots = "broker"
        host = "broker"
        topic = "home/#"
        segment_seconds = 60
        [webhook]
        url = "ftp://h/"
        password_env = "X"
        """
    with pytest.raises(ConfigError) as error:
        read_config(written(tmp_path, text))
    no = "there is no such option; it belongs"
    assert str(error.value).splitlines()[1:] == [
        "  mqtt, topic: a topic to publish to has no + or #, and is not empty",
        "  mqtt, hots: there is no such option; did you mean host?",
        f"  mqtt, segment_seconds: {no} in a [[camera]]",
        "  webhook, url: it begins with http:// or https://",
        f"  webhook, password_env: {no} in a [[camera]] or in [mqtt]",
        f"  interval_seconds: {no} in [mqtt]",
        f"  ca_file: {no} in a [[camera]] or in [mqtt] or in [webhook]",
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cameras\.toml' cannot be read"):
        read_config(tmp_path / "cameras.toml")


def test_a_password_comes_from_a_variable_and_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE", "p@ss/w:rd")
    config = CameraConfig(name="gate", url="rtsp://admin@h/stream", password_env="GATE")
    assert config.address().full == "rtsp://admin:p%40ss%2Fw%3Ard@h/stream"
    assert CameraConfig(name="gate", url="rtsp://me:${GATE}@h/s").address().full == "rtsp://me:p%40ss%2Fw%3Ard@h/s"
    monkeypatch.delenv("GATE")
    with pytest.raises(ConfigError, match="the environment variable GATE, which an address needs, is not set"):
        config.address()


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:hush@192.0.2.7/stream",
        "rtsp://192.0.2.7/stream?user=admin&password=hush",
        "rtsp://192.0.2.7/user=admin_password=hush_channel=1",
        "http://hush@192.0.2.7/",
        "rtmps://192.0.2.7:443/live2/hush-1234/hush",
        "rtsp://192.0.2.7/usr=hush&psw=hush/1",
        "http://192.0.2.7/auth=hush/x.mjpg",
        "rtsp://192.0.2.7/admin:hush/ch1",
        "https://192.0.2.7/hls/hush3f9a8c7b6d5e4f3a2b1c/index.m3u8",
    ],
)
def test_no_text_shows_a_secret(url: str) -> None:
    address = Address.of(url)
    shown = (
        f"{address} {address!r} {CameraConfig(name='a', url=url, to=(url,))!r} {without_secrets(f'cannot open {url}')}"
    )
    assert "hush" not in shown
    assert "192.0.2.7" in shown
    assert address.full == url


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:2024/hush@192.0.2.7/s",
        "rtsp://admin:20#hush@192.0.2.7/s",
        "http://admin:20?hush@192.0.2.7/s",
        "rtsp://admin/hush:2024@192.0.2.7/s",
        "rtmp://admin:1@192.0.2.7/hush@x",
        "rtsps://admin:2024/hush@192.0.2.7/s",
        "srt://admin:20?hush@192.0.2.7:9000",
    ],
)
def test_a_password_that_would_be_parsed_as_port_and_path_is_refused_and_never_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="an @ stands after its host; in user and password, write signs such as") as e:
        Address.of(url)
    config = CameraConfig(name="gate", url=url)
    assert "hush" not in f"{e.value} {config!r} {config.shown_url} {without_secrets(f'no answer from {url}, retrying')}"
    with pytest.raises(ConfigError):
        camera_name(url, set())


def test_a_password_file_belongs_to_whoever_runs_the_program(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = tmp_path / "token"
    secret.write_text("hush\n")
    secret.chmod(0o600)
    assert read_secret(file=secret) == "hush"
    secret.write_text("hush\r\n", encoding="utf-8-sig")  # as editors on Windows write it
    assert read_secret(file=secret) == "hush"
    assert not caplog.records
    secret.chmod(0o644)
    assert read_secret(file=secret) == read_secret(file=secret) == "hush"
    assert [record.getMessage() for record in caplog.records] == [
        f"the password file '{secret}' may be read by others (mode 644); chmod 600 keeps it to this program's user"
    ]
    secret.chmod(0o666)
    with pytest.raises(ConfigError, match="may be written by others"):
        read_secret(file=secret)
    if os.geteuid() == 0:
        secret.chmod(0o600)
        os.chown(secret, 12345, -1)
        with pytest.raises(ConfigError, match="belongs to another user"):
            read_secret(file=secret)


def test_a_password_file_mounted_into_a_container_keeps_the_owner_it_has_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "token"
    secret.write_text("hush\n")
    secret.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 999)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == secret)
    assert read_secret(file=secret) == "hush"
    assert not caplog.records


def test_addresses_that_cannot_be_read() -> None:
    with pytest.raises(ConfigError, match="write signs such as"):
        Address.of("rtsp://admin:a#hush@192.0.2.7/stream")
    with pytest.raises(ConfigError, match="names no host"):
        Address.of("rtsp:///stream")
    with pytest.raises(SourceError, match="no camera is read from ftp:// addresses") as caught:
        open_live(Address.of("ftp://192.0.2.7/gate.mp4"), open_seconds=1, stall_seconds=1)
    assert fault_of(caught.value, Address.of("ftp://192.0.2.7/gate.mp4"), timeout=1).permanent


def test_names_for_cameras_without_one() -> None:
    assert camera_name("rtsp://u:p@192.0.2.7/stream", set()) == "192.0.2.7"
    assert camera_name("rtsp://192.0.2.7/other", {"192.0.2.7"}) == "192.0.2.7-2"
    assert camera_name("films/foggy road.mp4", set()) == "foggy-road"


def test_every_state_has_its_row_and_only_the_end_is_final() -> None:
    assert set(TRANSITIONS) == set(CameraState)
    assert [state for state, after in TRANSITIONS.items() if not after] == [CameraState.ENDED]
    assert all(CameraState.ENDED in after for state, after in TRANSITIONS.items() if state is not CameraState.ENDED)


def test_the_machine_refuses_what_the_table_does_not_have(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[tuple[CameraState, CameraState, str]] = []

    def broken(*_: object) -> None:
        raise RuntimeError("a listener's own trouble")

    machine = StateMachine()
    machine.listen(broken)
    machine.listen(lambda before, now, message: seen.append((before, now, message)))
    machine.to(CameraState.RUNNING)
    with pytest.raises(ValueError, match="a camera that is running cannot become connecting"):
        machine.to(CameraState.CONNECTING)
    machine.to(CameraState.BACKING_OFF, "gone")
    assert (machine.state, machine.message) == (CameraState.BACKING_OFF, "gone")
    assert [now for _, now, _ in seen] == [CameraState.RUNNING, CameraState.BACKING_OFF]
    assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_a_state_never_has_a_password_in_its_message() -> None:
    heard: list[str] = []
    machine = StateMachine()
    machine.listen(lambda before, now, message: heard.append(message))
    machine.to(CameraState.BACKING_OFF, "rtsp://user:secret@192.0.2.7/stream does not answer")
    assert "192.0.2.7" in machine.message
    assert "secret" not in machine.message
    assert heard == [machine.message]

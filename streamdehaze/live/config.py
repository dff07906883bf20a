"""`cameras.toml`: which cameras there are, where their clear streams go, and what they may cost."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from streamdehaze.address import Address, without_secrets
from streamdehaze.control.keyframes import MOST_STRENGTH
from streamdehaze.dehaze.atmosphere.airlight import AirlightMode
from streamdehaze.dehaze.atmosphere.tone import BrightnessMode
from streamdehaze.dehaze.steady.filter import Steady
from streamdehaze.errors import ConfigError
from streamdehaze.live.announcing.config import MqttConfig, WebhookConfig, topic_of
from streamdehaze.live.profiles import AUTOMATIC, NONE, AirlightColor, ProfileConfig, check_choice
from streamdehaze.meter.auto import Mode
from streamdehaze.meter.visibility import Reference
from streamdehaze.toml import Fault, SizeBytes, Table, faults_of, read_toml
from streamdehaze.video.reading.camera import CameraOptions
from streamdehaze.video.writing.target import LiveTarget, live_encoder


class CameraConfig(CameraOptions):
    """One camera: how it is read, what is done with its frames, and where they go."""

    sub_url: str | None = Field(default=None, min_length=1, repr=False)
    """The address of its low stream, which viewers see instead; `url` is recorded, and gives snapshots."""
    to: tuple[str, ...] = Field(default=(), repr=False)
    """Where the clear stream goes."""
    strength: float = Field(default=1.0, ge=0, le=MOST_STRENGTH)
    mode: Mode = "on"
    """"auto" removes haze while there is some, and leaves clear air alone bit for bit."""
    enabled: bool = True
    """Whether haze is removed from the start; the stream continues either way."""
    profile: str = AUTOMATIC
    """A [profile.NAME] of the file, "auto" for the one whose condition holds, or "none"."""
    every: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """Run the network on every k-th frame at most, or as often as the picture needs it; in between, its maps are
    carried along. Less often, if quality is reduced."""
    steady: Steady = "low"
    """How strongly flicker is smoothed over time; "off" by default if `exact`."""
    airlight: AirlightMode = "auto"
    """Tint of the haze: "keep" it, make it "neutral", or draw strong tints to neutral."""
    airlight_color: AirlightColor | None = None
    """The haze's colour, where it is known, as "#c8b48c"; None estimates it."""
    brightness: BrightnessMode = "keep"
    """Whether clear frames get about the brightness of the hazy ones."""
    exact: bool = False
    """Run the network on whole frames: slow, and each frame is independent."""
    visibility: Path | None = None
    """What `streamdehaze visibility learn` wrote of this camera's view; it makes the distance seen known in metres."""
    latency_budget: float = Field(default=0.2, gt=0)
    """Seconds from arrival to clear frame; older frames are dropped for newer ones."""
    max_fps: float | None = Field(default=None, gt=0)
    """Process at most this many frames per second; more are dropped."""
    buffer_frames: int = Field(default=8, ge=1)
    """Frames that may wait for the engine."""
    retry_seconds: float = Field(default=2.0, gt=0)
    """Longest wait between two tries while it is unreachable."""
    slow_retry_seconds: float = Field(default=60.0, gt=0)
    """Longest wait between two tries where trying again does not help (wrong password, no such stream)."""
    audio: bool = True
    """Pass sound on to the sinks."""
    codec: str = "libx264"
    """FFmpeg's encoder of the clear stream."""
    bitrate: int | None = Field(default=None, gt=0)
    """Bits per second of the clear stream; by default constant quality."""
    size_change: Literal["settled", "first", "follow"] = "settled"
    """When the stream takes over another size of the camera's pictures: once it has lasted ten seconds, never, or at
    once; until then frames are scaled."""
    segment_seconds: float = Field(default=600.0, gt=0)
    """Length of the files a stream is written into."""
    segment_bytes: SizeBytes | None = None
    """Their size, at most."""
    keep_hours: float | None = Field(default=None, gt=0)
    """Delete files that ended longer ago than this; by default they are all kept."""
    keep_bytes: SizeBytes | None = None
    """Delete the oldest files of a target once all of them together are larger than this."""
    clips: str | None = None
    """File that a clip is written to when one is asked for, such as "clips/{name}.mkv"; None keeps none."""
    clip_seconds: float = Field(default=30.0, gt=0, le=600)
    """How much of the clear stream is kept in memory for clips to begin with."""
    clip_keep_hours: float | None = Field(default=None, gt=0)
    """Delete clips that ended longer ago than this; by default they are all kept."""
    clip_keep_bytes: SizeBytes | None = None
    """Delete the oldest clips once all of a camera's together are larger than this."""

    @property
    def is_encoded(self) -> bool:
        """Whether its clear stream goes anywhere but to the page."""
        return bool(self.to) or self.clips is not None

    @property
    def sub(self) -> CameraConfig | None:
        """Its low stream as a camera that is sent nowhere; None if it has none."""
        if self.sub_url is None:
            return None
        only_main = {"sub_url": None, "to": (), "clips": None, "visibility": None}
        return self.model_copy(update={**only_main, "url": self.sub_url})

    @model_validator(mode="before")
    @classmethod
    def _exact_is_not_steady(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("exact") is True:
            values = {"steady": "off", **values}
            if values["steady"] != "off" or values.get("every", 1) != 1:
                raise ValueError("exact works frame by frame; leave steady and every out with it")
        return values


class LiveConfig(Table):
    """All of `cameras.toml`."""

    camera: tuple[CameraConfig, ...] = ()
    checkpoint: str = "aecrnet-s"
    engine: str = "auto"
    network_size: int = Field(default=256, ge=16, multiple_of=4)
    """Long side of what the network sees, pixels."""
    batch_size: int = Field(default=4, ge=1)
    """Frames of all cameras that share a run of the network, at most."""
    adapt: bool = True
    """Give quality up, step by step, before frames are dropped."""
    profile: dict[str, ProfileConfig] = Field(default_factory=dict)
    """Settings that cameras take on by the time of day, by their haze, or on request."""
    mqtt: MqttConfig | None = None
    """The broker that cameras are published to."""
    webhook: WebhookConfig | None = None
    """Where events are posted."""

    @field_validator("profile")
    @classmethod
    def _names_of_profiles(cls, profiles: dict[str, ProfileConfig]) -> dict[str, ProfileConfig]:
        for name in profiles:
            if name in (AUTOMATIC, NONE):
                raise ValueError(f"a profile cannot be called '{name}', which means something else")
        return profiles

    @field_validator("camera")
    @classmethod
    def _unique_names(cls, cameras: tuple[CameraConfig, ...]) -> tuple[CameraConfig, ...]:
        seen: set[str] = set()
        for camera in cameras:
            if camera.name in seen:
                raise ValueError(f"two cameras are called '{camera.name}'; names must differ")
            seen.add(camera.name)
        return cameras

    @model_validator(mode="after")
    def _topics_of_their_own(self) -> LiveConfig:
        names: dict[str, str] = {}
        for name in (camera.name for camera in self.camera if self.mqtt is not None):
            if (other := names.setdefault(topic_of(name), name)) != name:
                raise ValueError(
                    f"'{other}' and '{name}' would have the same MQTT topic, '{topic_of(name)}'; "
                    "let their names differ in letters from a to z or in digits"
                )
        return self


def read_config(path: Path) -> LiveConfig:
    """Read `cameras.toml`.

    Relative names of files that are read (passwords, certificates, references of visibility) are looked up next to it.

    Raises:
        ConfigError: if it is missing, not TOML, or has a wrong value; the place and the reason are named.
    """
    values = read_toml(path, f"the configuration '{path}'")
    cameras = values.get("camera")
    entries = [*(cameras if isinstance(cameras, list) else ()), values.get("mqtt"), values.get("webhook")]
    for table in (each for each in entries if isinstance(each, dict)):
        for key in ("password_file", "ca_file", "visibility"):
            if isinstance(table.get(key), str):
                table[key] = path.parent / table[key]
    return check_config(values, str(path))


def check_config(values: dict[str, Any], origin: str) -> LiveConfig:
    """A checked configuration from plain values; `origin` is named in the error.

    Raises:
        ConfigError: naming everything that is wrong.
    """
    try:
        config = LiveConfig.model_validate(values)
    except ValidationError as error:
        found = dict.fromkeys(_problem(fault, values) for fault in faults_of(error))
        raise ConfigError(_in_words(origin, list(found))) from None
    problems: list[str] = []
    for camera in config.camera:
        checks: list[tuple[str, Callable[[], object]]] = [
            ("codec", partial(live_encoder, camera.codec)),
            *(("to", partial(LiveTarget.for_encoder, to, camera.name, camera.codec)) for to in camera.to),
            ("clips", partial(_check_clips, camera)),
            ("visibility", partial(Reference.load, camera.visibility) if camera.visibility is not None else tuple),
            ("profile", partial(check_choice, camera.profile, config.profile)),
        ]
        for key, check in checks:
            try:
                check()
            except ConfigError as error:
                problems.append(f"camera '{camera.name}', {key}: {error}")
                if key == "codec":
                    break  # or each target would complain of it
    if problems:
        raise ConfigError(_in_words(origin, problems))
    return config


def _check_clips(camera: CameraConfig) -> None:
    if camera.clips is not None and not LiveTarget.for_encoder(camera.clips, camera.name, camera.codec).rotates:
        raise ConfigError("name a file, such as clips/{name}.mkv")


def camera_of(url: str, **options: Any) -> CameraConfig:
    """The configuration of a camera to be read, not to be sent anywhere.

    Raises:
        ConfigError: if an option is wrong.
    """
    shown = Address.of(url).shown
    return check_config({"camera": [{"name": "source", "url": url, **options}]}, shown).camera[0]


def _in_words(origin: str, problems: Sequence[str]) -> str:
    """All problems of a file in one message, one a line where there are several."""
    if len(problems) == 1:
        return f"{origin}: {problems[0]}"
    return f"{origin}: {len(problems)} things are wrong:" + "".join(f"\n  {problem}" for problem in problems)


def _problem(fault: Fault, values: dict[str, Any]) -> str:
    place = [str(part) for part in fault.place]
    table = place[0] if len(place) > 1 and place[0] in _TABLES else ""
    if table == "camera":
        entry = values["camera"][int(place[1])] if isinstance(values["camera"], list | tuple) else None
        name = entry.get("name") if isinstance(entry, dict) else None
        place[:2] = [f"camera '{name}'" if name else f"camera {int(place[1]) + 1}"]
    reason = fault.words
    if fault.kind == "extra_forbidden":
        reason = f"there is no such option{_near(place[-1], table)}"
    if fault.place[:1] == ("camera",) and fault.kind in ("tuple_type", "model_type") and len(fault.place) < 3:
        reason = "each camera is a table of its own, under [[camera]]"
    if fault.kind == "string_pattern_mismatch":
        reason = _PATTERNS.get((table, place[-1]), reason)
    return without_secrets(f"{', '.join(place)}: {reason}" if place else reason)


_TABLES: Mapping[str, tuple[type[BaseModel], str]] = {
    "camera": (CameraConfig, "in a [[camera]]"),
    "profile": (ProfileConfig, "in a [profile.NAME]"),
    "mqtt": (MqttConfig, "in [mqtt]"),
    "webhook": (WebhookConfig, "in [webhook]"),
    "": (LiveConfig, "to the file as a whole, above the first table"),
}
"""Each table's options, and where they belong."""
_PATTERNS: Mapping[tuple[str, str], str] = {
    ("camera", "name"): "it begins with a letter or digit and has only these, spaces and . , : ( ) + - _",
    ("mqtt", "topic"): "a topic to publish to has no + or #, and is not empty",
    ("mqtt", "discovery"): "a topic to publish to has no + or #",
    ("webhook", "url"): "it begins with http:// or https://",
    **dict.fromkeys(
        (("camera", "password_env"), ("mqtt", "password_env")),
        "write the name of the environment variable that holds the password, not the password",
    ),
}
"""What a text must look like that pydantic can only quote an expression for."""


def _near(name: str, table: str) -> str:
    """The nearest option of a table, or the tables where one of the same name belongs."""
    if name == "password" and "password_file" in _TABLES[table][0].model_fields:
        return "; name a file that holds it with password_file, or an environment variable with password_env"
    homes = [place for model, place in _TABLES.values() if name in model.model_fields]
    if homes:
        return f"; it belongs {' or '.join(homes)}"
    near = difflib.get_close_matches(name, _TABLES[table][0].model_fields, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def camera_name(url: str, taken: set[str]) -> str:
    """A name for a camera that was given none: its host, with a number where that is taken."""
    address = Address.of(url)
    base = address.host or Path(url).stem or "camera"
    base = "".join(sign if sign.isalnum() or sign in "-._" else "-" for sign in base).strip("-._")[:48] or "camera"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name

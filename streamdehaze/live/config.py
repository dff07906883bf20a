"""`cameras.toml`: which cameras there are, where their clear streams go, and what they may cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from streamdehaze.address import Address, read_secret, without_secrets
from streamdehaze.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Transport = Literal["tcp", "udp", "http"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class CameraConfig(_Strict):
    """One camera and what is wanted of it."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w][\w .,:()+-]*$")
    """Unique; in pages, metrics and logs."""
    url: str = Field(min_length=1, repr=False)
    """An address (rtsp://, rtmp://, http:// …), a V4L2 device (/dev/video0) or a file."""
    username: str | None = None
    """In place of the one in `url`."""
    password_env: str | None = None
    """Environment variable that holds the password."""
    password_file: Path | None = None
    """File whose first line is the password."""
    transport: Transport = "tcp"
    """How RTSP carries the pictures; "http" tunnels them through a web port."""
    input_options: dict[str, str] = Field(default_factory=dict)
    """Options for FFmpeg, such as video_size and framerate of a V4L2 device."""
    to: tuple[str, ...] = Field(default=(), repr=False)
    """Where the clear stream goes."""
    strength: float = Field(default=1.0, ge=0, le=1)
    enabled: bool = True
    """Whether haze is removed from the start; the stream goes on either way."""
    steady: Literal["off", "low", "high"] = "low"
    """How strongly flicker is smoothed over time."""
    latency_budget: float = Field(default=0.2, gt=0)
    """Seconds from arrival to clear frame; older frames are dropped for newer ones."""
    max_fps: float | None = Field(default=None, gt=0)
    """Frames a second that are worked on; more are dropped."""
    buffer_frames: int = Field(default=8, ge=1)
    """Frames that may wait for the engine."""
    stall_seconds: float = Field(default=5.0, gt=0)
    """Without a frame for so long, the camera is torn down and opened again."""
    open_seconds: float = Field(default=10.0, gt=0)
    """A camera that has not opened after so long is given up and tried again."""
    keyframe_seconds: float = Field(default=20.0, ge=0)
    """So long a keyframe is waited for; then decoding begins without."""
    retry_seconds: float = Field(default=2.0, gt=0)
    """Longest wait between two tries while it is unreachable."""
    slow_retry_seconds: float = Field(default=60.0, gt=0)
    """Longest wait between two tries where trying again does not help (wrong password, no such stream)."""
    realtime: bool = False
    """Play a file as fast as it was filmed."""
    loop: bool = False
    """Begin a file again when it ends."""
    audio: bool = True
    """Pass sound on to the sinks."""
    codec: str = "libx264"
    """FFmpeg's encoder of the clear stream."""
    bitrate: int | None = Field(default=None, gt=0)
    """Bits a second of the clear stream; by default constant quality."""
    segment_seconds: float = Field(default=600.0, gt=0)
    """Length of the files a stream is written into."""
    segment_bytes: int | None = Field(default=None, gt=0)
    """Their size, at most."""

    @model_validator(mode="after")
    def _one_password(self) -> CameraConfig:
        if self.password_env is not None and self.password_file is not None:
            raise ValueError("password_env and password_file contradict each other; give one")
        return self

    def address(self) -> Address:
        """Where to connect to, the password looked up now.

        Raises:
            ConfigError: if the password is not where it is said to be, or the address cannot be read.
        """
        secret = read_secret(env=self.password_env, file=self.password_file)
        return Address.of(self.url, username=self.username, password=secret)

    @property
    def shown_url(self) -> str:
        """The address without secrets."""
        try:
            return Address.of(self.url).shown
        except ConfigError:  # a variable in it is not set
            return without_secrets(self.url)


class LiveConfig(_Strict):
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

    @field_validator("camera")
    @classmethod
    def _unique_names(cls, cameras: tuple[CameraConfig, ...]) -> tuple[CameraConfig, ...]:
        seen: set[str] = set()
        for camera in cameras:
            if camera.name in seen:
                raise ValueError(f"two cameras are called '{camera.name}'; names must differ")
            seen.add(camera.name)
        return cameras


def read_config(path: Path) -> LiveConfig:
    """Read `cameras.toml`.

    Relative password files are looked for beside it.

    Raises:
        ConfigError: if it is missing, no TOML, or has a wrong value; the place and the reason are named.
    """
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"the configuration '{path}' cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"the configuration '{path}' is not TOML: {without_secrets(str(error))}") from error
    cameras = values.get("camera")
    for camera in cameras if isinstance(cameras, list) else ():
        if isinstance(camera, dict) and isinstance(camera.get("password_file"), str):
            camera["password_file"] = path.parent / camera["password_file"]
    return check_config(values, str(path))


def check_config(values: dict[str, Any], origin: str) -> LiveConfig:
    """A checked configuration from plain values; `origin` is named in the error.

    Raises:
        ConfigError: for the first wrong value.
    """
    try:
        config = LiveConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_first_problem(error, values)}") from None
    return config


def _first_problem(error: ValidationError, values: dict[str, Any]) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    place = [str(part) for part in problem["loc"]]
    if place[:1] == ["camera"] and len(place) > 1:
        entry = values["camera"][int(place[1])] if isinstance(values["camera"], list | tuple) else None
        name = entry.get("name") if isinstance(entry, dict) else None
        place[:2] = [f"camera '{name}'" if name else f"camera {int(place[1]) + 1}"]
    reason = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        reason = "there is no such option"
    if problem["type"] == "string_pattern_mismatch":
        reason = "it begins with a letter or digit and has only these, spaces and . , : ( ) + - _"
    return without_secrets(f"{', '.join(place)}: {reason}" if place else reason)


def camera_name(url: str, taken: set[str]) -> str:
    """A name for a camera that was given none: its host, with a number where that is taken."""
    address = Address.of(url)
    base = address.host or Path(url).stem or "camera"
    base = "".join(sign if sign.isalnum() or sign in "-._" else "-" for sign in base).strip("-._")[:48] or "camera"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name

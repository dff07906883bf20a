"""`[mqtt]` and `[webhook]` of cameras.toml."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, model_validator

from streamdehaze.address import NAME_OF_VARIABLE, read_secret
from streamdehaze.toml import Table


class MqttConfig(Table):
    """A broker, and the topics used there."""

    host: str = Field(min_length=1)
    port: int = Field(default=0, ge=0, le=65535)
    """0 is 1883, or 8883 with TLS."""
    username: str | None = None
    password_env: str | None = Field(default=None, pattern=NAME_OF_VARIABLE)
    """Environment variable that holds the password."""
    password_file: Path | None = None
    """File whose first line is the password."""
    tls: bool = False
    ca_file: Path | None = None
    """Certificates (PEM) to trust instead of the system's."""
    topic: str = Field(default="streamdehaze", pattern=r"^[^#+]+$")
    """What all topics begin with."""
    discovery: str = Field(default="homeassistant", pattern=r"^[^#+]*$")
    """Where Home Assistant looks for devices; empty announces none."""
    interval_seconds: float = Field(default=10.0, gt=0)
    """Publish figures this often; states are published as they change."""

    @model_validator(mode="after")
    def _certificates_are_of_tls(self) -> MqttConfig:
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file needs tls = true")
        return self

    def password(self) -> str | None:
        """Looked up now.

        Raises:
            ConfigError: if it is not where it should be.
        """
        return read_secret(env=self.password_env, file=self.password_file)


class WebhookConfig(Table):
    """An address that events are posted to."""

    url: str = Field(pattern=r"^https?://", repr=False)
    """``${NAME}`` in it is an environment variable."""
    ca_file: Path | None = None
    """Certificates (PEM) to trust instead of the system's."""


def topic_of(camera: str) -> str:
    """A camera's name as part of a topic, with the signs that Home Assistant allows there."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", camera)

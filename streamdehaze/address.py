"""Addresses of cameras and sinks: with credentials for FFmpeg, without them everywhere else."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from streamdehaze.errors import ConfigError

_IN_TEXT = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/'\"<>]*@", re.IGNORECASE)
_KEY_IN_PATH = re.compile(r"(?<![a-z])(pass(?:word|wd)?|pwd|token|secret|key)=[^&/_;?\s]*", re.IGNORECASE)
"""Some recorders want "…/user=admin_password=secret_channel=1"."""
_STREAM_KEY = re.compile(r"(rtmp[a-z]*://[^/\s]+/[^/\s?'\"]+)/[^\s'\",;]+", re.IGNORECASE)
"""What follows the application in an RTMP address lets anybody send there."""
_QUERY_IN_TEXT = re.compile(r"([a-z][a-z0-9+.-]*://[^\s?'\"<>]*)\?[^\s'\"<>]*", re.IGNORECASE)


def scheme_of(text: str) -> str:
    """What stands before "://" in an address, in small letters; "" for a path."""
    match = re.match(r"([a-z][a-z0-9+.-]+)://", text, re.IGNORECASE)
    return match[1].lower() if match else ""


@dataclass(frozen=True)
class Address:
    """Where a stream is; printing it shows no secrets."""

    full: str = field(repr=False)
    """With user and password: for FFmpeg only."""
    shown: str
    """Without user, password, query and stream key: for logs, pages and metrics."""

    @classmethod
    def of(cls, url: str, *, username: str | None = None, password: str | None = None) -> Address:
        """An address, with credentials from elsewhere and environment variables (``${NAME}``) put in.

        Raises:
            ConfigError: if it has no host, or a variable is not set.
        """
        url = _with_variables(url)
        if not scheme_of(url):
            return cls(url, url)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ConfigError(
                "the address of a stream cannot be read: its host or port is malformed; in user and password, write "
                "signs such as / ? # @ as %2F %3F %23 %40, or keep the password in a variable or file"
            ) from None
        if not host and parts.scheme not in ("file", "unix"):
            raise ConfigError(f"the address '{parts.scheme}://…' names no host")
        place = f"[{host}]" if host and ":" in host else host or ""
        if port is not None:
            place += f":{port}"
        shown = without_secrets(urlunsplit((parts.scheme, place, parts.path, "", "")))
        user = username if username is not None else unquote(parts.username) if parts.username else None
        secret = password if password is not None else unquote(parts.password) if parts.password else None
        if user is not None or secret is not None:
            login = quote(user or "", safe="")
            login += "" if secret is None else ":" + quote(secret, safe="")
            place = f"{login}@{place}"
        return cls(urlunsplit((parts.scheme, place, parts.path, parts.query, parts.fragment)), shown)

    @property
    def scheme(self) -> str:
        """What stands before "://", in small letters; "" for a path."""
        return scheme_of(self.full)

    @property
    def host(self) -> str | None:
        """The host's name or number, where there is one."""
        return urlsplit(self.full).hostname if self.scheme else None

    def __str__(self) -> str:
        return self.shown


def without_secrets(text: str) -> str:
    """`text` with user, password, query and stream key taken out of every address in it."""
    text = _QUERY_IN_TEXT.sub(r"\1", _IN_TEXT.sub(r"\g<scheme>", text))
    return _KEY_IN_PATH.sub(r"\1=…", _STREAM_KEY.sub(r"\1/…", text))


def read_secret(*, env: str | None = None, file: Path | None = None) -> str | None:
    """A password kept outside the configuration, from an environment variable or a file's first line.

    Raises:
        ConfigError: if it is not there.
    """
    if env is not None:
        if env not in os.environ:
            raise ConfigError(f"the environment variable {env}, which an address needs, is not set")
        return os.environ[env]
    if file is not None:
        try:
            return (file.read_text(encoding="utf-8").splitlines() or [""])[0].strip()
        except OSError as error:
            raise ConfigError(f"the password file '{file}' cannot be read: {error.strerror}") from error
    return None


def _with_variables(url: str) -> str:
    """`url` with each ``${NAME}`` replaced by that environment variable, escaped where it is part of an address."""

    def value(match: re.Match[str]) -> str:
        secret = read_secret(env=match[1]) or ""
        return quote(secret, safe="") if scheme_of(url) else secret

    return re.sub(r"\$\{(\w+)\}", value, url)

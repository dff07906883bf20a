"""Addresses of cameras and sinks: with credentials for FFmpeg, without them everywhere else."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from streamdehaze.errors import ConfigError

log = logging.getLogger("streamdehaze")

_IN_TEXT = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s'\"<>]*@", re.IGNORECASE)
"""To the last @: a password with / # ? in it is masked as well."""
_KEY_IN_PATH = re.compile(
    r"(?<![a-z])(pass(?:word|wd)?|p[sa]?wd?|psw|usr|user(?:name)?|login|auth|token|secret|key|api_?key|sig(?:nature)?|sid)="
    r"[^&/_;?\s]*",
    re.IGNORECASE,
)
"""Some recorders want "…/user=admin_password=secret_channel=1"."""
_LOGIN_IN_PATH = re.compile(
    r"([a-z][a-z0-9+.-]*://[^\s'\"<>]*?/)[^\s/:'\"<>]+:[^\s/'\"<>:]+(?=[/\s'\"]|$)", re.IGNORECASE
)
"""Others "…/admin:secret/stream"."""
_TOKEN_IN_PATH = re.compile(r"(?<=/)(?=[A-Za-z_~-]*\d)(?=[\d_~-]*[A-Za-z])[A-Za-z0-9_~=-]{20,}(?=[/\s'\",;]|$)")
"""A long segment of letters and digits: whoever knows it may watch."""
_BEHIND_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]*", re.IGNORECASE)
_STREAM_KEY = re.compile(r"(rtmp[a-z]*://[^/\s]+/[^/\s?'\"]+)/[^\s'\",;]+", re.IGNORECASE)
"""What follows the application in an RTMP address is enough to send there."""
_QUERY_IN_TEXT = re.compile(r"([a-z][a-z0-9+.-]*://[^\s?'\"<>]*)\?[^\s'\"<>]*", re.IGNORECASE)

NAME_OF_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""What an environment variable may be called: a password that is written in place of its name mostly differs."""
_UNREADABLE = "the address of a stream cannot be read"
_REMEDY = (
    "in user and password, write signs such as / ? # @ as %2F %3F %23 %40, or keep the password in a variable or file; "
    "an @ of the path is %40"
)
_WITH_LOGIN = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "http", "https", "srt"})


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
        url = _local_path(_with_variables(url))
        if not scheme_of(url):
            return cls(url, url)
        _refuse_stray_at(url)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ConfigError(f"{_UNREADABLE}: its host or port is malformed; {_REMEDY}") from None
        if not host and parts.scheme == "udp" and port is not None:
            host = "0.0.0.0"  # "udp://@:5004", as VLC writes all addresses of this machine
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
    text = _LOGIN_IN_PATH.sub(r"\1…", _STREAM_KEY.sub(r"\1/…", text))
    text = _BEHIND_SCHEME.sub(lambda address: _TOKEN_IN_PATH.sub("…", address[0]), text)
    return _KEY_IN_PATH.sub(r"\1=…", text)


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
            text = file.read_text(encoding="utf-8-sig")
            _check_owner_and_mode(file)
        except OSError as error:
            raise ConfigError(f"the password file '{file}' cannot be read: {error.strerror}") from error
        return (text.splitlines() or [""])[0].strip()
    return None


_reported: set[Path] = set()


def _check_owner_and_mode(file: Path) -> None:
    """Refuse a secret that others may write, report once one that they may read."""
    if not hasattr(os, "geteuid") or os.path.ismount(file):  # a container's own file, with the owner it has outside
        return
    facts = file.stat()
    if facts.st_uid not in (0, os.geteuid()):
        raise ConfigError(f"the password file '{file}' belongs to another user; make it your own")
    if facts.st_mode & 0o022:
        raise ConfigError(
            f"the password file '{file}' may be written by others (mode {facts.st_mode & 0o777:o}); chmod 600"
        )
    if facts.st_mode & 0o044 and file not in _reported:
        _reported.add(file)
        text = "the password file '%s' may be read by others (mode %o); chmod 600 keeps it to this program's user"
        log.warning(text, file, facts.st_mode & 0o777)


def _local_path(url: str) -> str:
    """The path of a "file:" address of this machine, everything else as it is."""
    parts = urlsplit(url) if scheme_of(url) == "file" else None
    if parts is None or parts.netloc not in ("", "localhost"):
        return url
    from urllib.request import url2pathname  # imports TLS

    return url2pathname(parts.path)


def _refuse_stray_at(url: str) -> None:
    """Refuse an address whose user and password would be taken for host, port and path, and so be shown."""
    behind_host = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[1:]
    if "@" in "".join(behind_host) and scheme_of(url) in _WITH_LOGIN:
        raise ConfigError(f"{_UNREADABLE}: an @ stands after its host; {_REMEDY}")


def _with_variables(url: str) -> str:
    """`url` with each ``${NAME}`` replaced by that environment variable, escaped where it is part of an address."""

    def value(match: re.Match[str]) -> str:
        secret = read_secret(env=match[1]) or ""
        return quote(secret, safe="") if scheme_of(url) else secret

    return re.sub(r"\$\{(\w+)\}", value, url)

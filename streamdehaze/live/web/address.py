"""Where the page listens, and under which names it answers."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from streamdehaze.errors import ConfigError

DEFAULT_PORT = 8080
_DIGITS = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class ListenAddress:
    """An address to listen on."""

    host: str = "127.0.0.1"
    """IP address or name; "0.0.0.0" and "::" are all of the machine's addresses."""
    port: int = DEFAULT_PORT
    """0 takes any free one."""

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """The address of "HOST:PORT", "HOST", ":PORT" or "PORT"; IPv6 in brackets, "[::1]:8080".

        Raises:
            ConfigError: if it is not one of these.
        """
        host, port = text, ""
        if _DIGITS.fullmatch(text):
            host, port = "", text
        elif text.startswith("["):
            host, bracket, port = text[1:].partition("]")
            if not bracket or not _is_ip(host) or (port and not port.startswith(":")):
                raise ConfigError(f"'{text}' is not an address to listen on; write an IPv6 one as [::1]:8080")
            port = port[1:]
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
        if port and (not _DIGITS.fullmatch(port) or int(port) > 65535):
            raise ConfigError(f"'{text}' is not an address to listen on; write HOST:PORT, such as 127.0.0.1:8080")
        return cls(host or cls.host, int(port) if port else DEFAULT_PORT)

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        if self.host == "localhost":
            return True
        return _is_ip(self.host) and ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def host_of(header: str) -> str | None:
    """The lower-case name or IP address of a `Host` header or an origin's authority; None if malformed."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", header)
    return match[1].strip("[]").lower().rstrip(".") if match else None


class HostNames:
    """The names a request may call this server by.

    A foreign page can make its own name point here (DNS rebinding) and would then be of the same origin as this
    server. It cannot do so with an IP address, so these are all good; names are only those known.
    """

    def __init__(self, address: ListenAddress, more: Iterable[str] = ()) -> None:
        machine = socket.gethostname()
        known = {"localhost", machine, f"{machine}.local", address.host, *more}
        self._known = {name.lower().rstrip(".") for name in known}

    def __contains__(self, host: object) -> bool:
        return isinstance(host, str) and (host in self._known or _is_ip(host))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

"""Who may see the page: a token, the session cookie it is exchanged for, and limits on guessing."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict

from streamdehaze.errors import ConfigError

MINIMUM_TOKEN_LENGTH = 16
"""Characters. `openssl rand -hex 16` makes 32."""
SESSION_SECONDS = 30 * 24 * 3600
"""How long a login lasts: a wall display must not be logged out at night."""


class Access:
    """Checks tokens and cookies, in constant time.

    A cookie contains its expiry time, a random number, and a keyed hash (HMAC-SHA256) of both under a key made from the
    token by scrypt; so sessions survive a restart, and a new token ends all of them.

    Args:
        token: opens the page; None leaves it open to everyone.

    Raises:
        ConfigError: if the token is too short to withstand guessing.
    """

    def __init__(self, token: str | None) -> None:
        if token is not None and len(token) < MINIMUM_TOKEN_LENGTH:
            raise ConfigError(
                f"the token has fewer than {MINIMUM_TOKEN_LENGTH} characters; make one with 'openssl rand -hex 16'"
            )
        self._token = None if token is None else _digest(token)
        self._key = hashlib.scrypt((token or "").encode(), salt=b"streamdehaze session", n=2**14, r=8, p=1)
        self.attempts = Attempts()

    @property
    def is_open(self) -> bool:
        """Whether no token is needed."""
        return self._token is None

    def accepts_token(self, token: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and hmac.compare_digest(self._token, _digest(token))

    def new_session(self) -> str:
        """A cookie's value."""
        content = f"{int(time.time()) + SESSION_SECONDS}.{secrets.token_hex(16)}"
        return f"{content}.{self._signature(content)}"

    def accepts_session(self, cookie: str) -> bool:
        """Whether this cookie was made here, for this token, and has not ended."""
        content, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(content).encode()):
            return False
        return int(content.partition(".")[0]) > time.time()

    def _signature(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), hashlib.sha256).hexdigest()


class Attempts:
    """Counts wrong tokens per client: a few at once, then a few per minute.

    IPv6 clients are distinguished by their /64 network, which is what one household or attacker has.

    Args:
        burst: wrong tokens before a client has to wait.
        refill_seconds: until one more may be tried.
        clients: remembered at most; the longest unseen are forgotten first.
    """

    def __init__(self, burst: int = 5, refill_seconds: float = 12.0, clients: int = 4096) -> None:
        self._burst, self._refill_seconds, self._clients = burst, refill_seconds, clients
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, client: str) -> float:
        """How long this client has to wait before it is heard; 0 if it need not."""
        return max(0.0, (self._count(client) - self._burst + 1) * self._refill_seconds)

    def fail(self, client: str) -> None:
        """Note a wrong token."""
        key = _network(client)
        self._failures[key] = (self._count(client) + 1, time.monotonic())
        self._failures.move_to_end(key)
        if len(self._failures) > self._clients:
            self._failures.popitem(last=False)

    def _count(self, client: str) -> float:
        count, when = self._failures.get(_network(client), (0.0, 0.0))
        return max(0.0, count - (time.monotonic() - when) / self._refill_seconds)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _network(client: str) -> str:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 4:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False))

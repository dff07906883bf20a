"""Who may see the page: a token, the session cookie it is exchanged for, and limits on guessing."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from typing import Literal

from streamdehaze.errors import ConfigError

MINIMUM_TOKEN_LENGTH = 16
"""Characters. `openssl rand -hex 16` makes 32."""
SESSION_SECONDS = 30 * 24 * 3600
"""How long a login lasts: a wall display must not be logged out at night."""
_MOST_ENDED = 65536
_BURST = 5
"""Wrong tokens before a client has to wait."""
_REFILL_SECONDS = 12.0
"""Until one more may be tried."""
_MOST_CLIENTS = 4096
"""Clients that are remembered; the longest unseen are forgotten first."""


Role = Literal["viewer", "operator"]
"""A viewer sees everything and changes nothing."""


class Access:
    """Checks tokens and cookies, in constant time.

    A cookie contains its expiry time, a random number, and a keyed hash (HMAC-SHA256) of both under a key made from the
    token by scrypt; so sessions survive a restart, and a new token ends all of them. A session that was logged out of
    is remembered as ended until this process ends.

    Args:
        token: opens the page to operators; None leaves it open to everyone.
        viewer_token: opens it to viewers.

    Raises:
        ConfigError: if a token is too short to withstand guessing, both are the same, or only viewers have one.
    """

    def __init__(self, token: str | None, viewer_token: str | None = None) -> None:
        if viewer_token is not None and token is None:
            raise ConfigError("a token for viewers needs one for operators, too")
        if viewer_token is not None and viewer_token == token:
            raise ConfigError("viewers and operators have the same token; make two")
        given: dict[Role, str | None] = {"operator": token, "viewer": viewer_token}
        self._tokens = {role: _Token(text) for role, text in given.items() if text is not None}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self.attempts = Attempts()
        self.wrong_tokens = 0
        """Seen so far, those of clients that have to wait included."""

    @property
    def is_open(self) -> bool:
        """Whether no token is needed."""
        return not self._tokens

    def role_of_token(self, token: str) -> Role | None:
        """Whose token this is, if anyone's."""
        matches = [role for role, known in self._tokens.items() if known.is_token(token)]
        return matches[0] if matches else None

    def role_of_session(self, cookie: str) -> Role | None:
        """Whose session this is, if it was begun here, for a token that still holds, and has not ended."""
        content, _, signature = cookie.rpartition(".")
        matches = [role for role, known in self._tokens.items() if hmac.compare_digest(
            signature.encode(), known.signature(content).encode())]  # fmt: skip
        if not matches or content in self._ended or int(content.partition(".")[0]) <= time.time():
            return None
        return matches[0]

    def new_session(self, role: Role = "operator") -> str:
        """A cookie's value."""
        content = f"{int(time.time()) + SESSION_SECONDS}.{secrets.token_hex(16)}"
        return f"{content}.{self._tokens[role].signature(content)}"

    def end_session(self, cookie: str) -> None:
        """Accept this session no longer."""
        if self.role_of_session(cookie) is not None:
            self._ended[cookie.rpartition(".")[0]] = None
            if len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)


class _Token:
    def __init__(self, text: str) -> None:
        if len(text) < MINIMUM_TOKEN_LENGTH:
            raise ConfigError(
                f"the token has fewer than {MINIMUM_TOKEN_LENGTH} characters; make one with 'openssl rand -hex 16'"
            )
        self._digest = _digest(text)
        self._key = hashlib.scrypt(text.encode(), salt=b"streamdehaze session", n=2**14, r=8, p=1)

    def is_token(self, text: str) -> bool:
        return hmac.compare_digest(self._digest, _digest(text))

    def signature(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), hashlib.sha256).hexdigest()


class Attempts:
    """Counts wrong tokens per client: a few at once, then a few per minute.

    IPv6 clients are distinguished by their /64 network, which is what one household or attacker has.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, client: str) -> float:
        """How long this client has to wait before it is heard; 0 if it need not."""
        return max(0.0, (self._count(client) - _BURST + 1) * _REFILL_SECONDS)

    def fail(self, client: str) -> None:
        """Note a wrong token."""
        key = _network(client)
        self._failures[key] = (self._count(client) + 1, time.monotonic())
        self._failures.move_to_end(key)
        if len(self._failures) > _MOST_CLIENTS:
            self._failures.popitem(last=False)

    def _count(self, client: str) -> float:
        count, when = self._failures.get(_network(client), (0.0, 0.0))
        return max(0.0, count - (time.monotonic() - when) / _REFILL_SECONDS)


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

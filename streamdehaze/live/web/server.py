"""The web server in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from streamdehaze.errors import ConfigError
from streamdehaze.live.web.access import Access
from streamdehaze.live.web.address import ListenAddress
from streamdehaze.live.web.app import Page
from streamdehaze.live.web.connection import HttpConnection
from streamdehaze.live.web.guard import MAXIMUM_HEAD_BYTES
from streamdehaze.live.web.protocols import WatchedPipeline

log = logging.getLogger("streamdehaze.live.web")

_SEND_BUFFER_BYTES = 128 << 10
"""What the system may hold back for a slow client: a frame or two, not seconds of them."""
_START_SECONDS, _STOP_SECONDS = 10.0, 4.0
_REASONS = {
    errno.EADDRINUSE: "another program listens there already; choose another port",
    errno.EACCES: "the system does not let you; choose a port above 1023",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
}


@dataclass(frozen=True)
class Limits:
    """What the server takes on at most."""

    viewers: int = 32
    """Streams sent at once; each wall or camera view is one."""
    connections: int = 512
    """Connections that get an answer other than "busy"."""


class WebServer:
    """Serves the page of a pipeline from `start` until `stop`, or until the stop event is set.

    Args:
        pipeline: whose cameras are shown.
        address: where to listen; anything but loopback needs a token.
        token: what operators must know, 16 characters or more.
        viewer_token: what viewers must know, who can change nothing.
        tls: files with the certificate (chain) and its key, PEM; None serves without encryption.
        host_names: more host names to answer to, in addition to the machine's own (behind a proxy, say).
        limits: viewers and connections.
        stop: ends the server when set.

    Raises:
        ConfigError: if a token is missing or too short, or the address cannot be bound.
    """

    def __init__(
        self,
        pipeline: WatchedPipeline,
        address: ListenAddress,
        *,
        token: str | None = None,
        viewer_token: str | None = None,
        tls: tuple[Path, Path] | None = None,
        host_names: tuple[str, ...] = (),
        limits: Limits | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        limits = limits or Limits()
        if token is None and not address.is_loopback:
            raise ConfigError(
                f"{address} can be reached from other machines and so needs a token; give one, or serve on 127.0.0.1"
            )
        access = Access(token, viewer_token)
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            _check_certificate(*tls)
        self._socket = _listen(address)
        self.address = ListenAddress(address.host, self._socket.getsockname()[1])
        """Where it listens, with the port the system chose if 0 was asked for."""
        self._stop = stop or threading.Event()
        page = Page(pipeline, access, self.address, host_names, limits.viewers)
        config = uvicorn.Config(
            page,
            loop="asyncio",
            http=HttpConnection,
            ws="none",
            log_config=None,
            log_level="critical",  # failures are logged by the door, under our own name
            access_log=False,
            proxy_headers=False,  # a client must not choose the address its wrong tokens are counted under
            server_header=False,
            limit_concurrency=limits.connections,
            h11_max_incomplete_event_size=MAXIMUM_HEAD_BYTES,
            timeout_graceful_shutdown=2,
            ssl_certfile=None if tls is None else str(tls[0]),
            ssl_keyfile=None if tls is None else str(tls[1]),
        )
        self._server = _Server(config, page, self._stop)
        # A daemon because it owns nothing: a program that fails before `stop` must not hang on its page.
        self._thread = threading.Thread(target=self._run, name="streamdehaze-web", daemon=True)

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address.host, self.address.host)
        return f"{self._scheme}://{ListenAddress(host, self.address.port)}/"

    def start(self) -> None:
        """Begin to answer; returns once it does."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while self._thread.is_alive() and not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        """End all streams and leave."""
        self._stop_requested()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def _stop_requested(self) -> None:
        self._server.should_stop = True

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception:
            log.exception("the web page has failed; the cameras continue without it")
        finally:
            self._socket.close()


class _Server(uvicorn.Server):
    """Looks ten times a second whether it should stop."""

    def __init__(self, config: uvicorn.Config, page: Page, stop: threading.Event) -> None:
        super().__init__(config)
        self._page, self._stop = page, stop
        self.should_stop = False

    async def on_tick(self, counter: int) -> bool:
        if self.should_stop or self._stop.is_set():
            self._page.stopping.set()
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):  # accepted while we were leaving
            connection.transport.abort()
        await asyncio.sleep(0)  # the loop closes their sockets in its next round


def _check_certificate(certificate: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        raise ConfigError(
            f"'{certificate}' and '{key}' are not a certificate and its key in PEM: {reason.lower().replace('_', ' ')}"
        ) from error
    except OSError as error:
        raise ConfigError(f"the certificate '{certificate}' or key '{key}' cannot be read: {error.strerror}") from error


def _listen(address: ListenAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio turns Nagle's delay off only for connections whose listener names the protocol: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)  # connections inherit it
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise ConfigError(f"the web page cannot be served on {address}: {reason}") from error
    return listener

"""A small web server on loopback, for cameras, receivers of events and players in tests."""

from __future__ import annotations

import functools
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Request = http.server.BaseHTTPRequestHandler


@contextmanager
def serving(answer: Callable[[Request], None] | Path, *, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """The address of a server, without a slash at its end.

    Args:
        answer: called with each GET and POST, in a thread of its own; or a folder whose files are served.
        tls: files with its certificate and key; it speaks HTTPS then.
    """
    if isinstance(answer, Path):
        handler: Callable[..., Request] = functools.partial(_Files, directory=str(answer))
    else:
        handler = _handler(answer)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def give(request: Request, body: bytes, media_type: str) -> None:
    """Answer with a whole body."""
    request.send_response(200)
    request.send_header("Content-Type", media_type)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _handler(answer: Callable[[Request], None]) -> type[Request]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler

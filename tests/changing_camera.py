"""A camera that sends JPEGs over HTTP in whatever sizes and at whatever pace a test wants."""

from __future__ import annotations

import http.server
import io
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

Size = tuple[int, int]


def jpeg(size: Size, shade: int = 128) -> bytes:
    """A grey picture with some grain."""
    file = io.BytesIO()
    grain = np.random.default_rng(shade).integers(-20, 20, (size[1], size[0], 1))
    Image.fromarray(np.clip(grain + np.array([shade, shade + 10, shade]), 0, 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


class JpegCamera:
    """Serves multipart/x-mixed-replace on loopback until closed.

    Args:
        picture: the JPEG of a number, from 0.
        seconds: between two pictures.
    """

    def __init__(self, picture: Callable[[int], bytes], seconds: float = 0.2) -> None:
        self.sent: list[float] = []
        """When each picture was sent, monotonic seconds."""
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
                self.end_headers()
                due = time.monotonic()
                for number in range(10**6):
                    data = picture(number)
                    head = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                    try:
                        self.wfile.write(head + data + b"\r\n")
                        self.wfile.flush()
                    except OSError:
                        return
                    camera.sent.append(time.monotonic())
                    due += seconds
                    time.sleep(max(0.0, due - time.monotonic()))

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> JpegCamera:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def sizes_that_change(each: int = 5) -> Callable[[int], bytes]:
    """Another of 24 sizes, wide and tall, with every `each` pictures."""
    made = [jpeg((160 + 32 * k, 120 + 16 * (k * 5 % 24))) for k in range(24)]
    return lambda number: made[number // each % 24]

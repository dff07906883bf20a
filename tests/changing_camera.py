"""A camera that sends JPEGs over HTTP in whatever sizes and at whatever pace a test wants."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from web_server import Request, serving

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
        seconds: between two pictures; or the wait before the picture of a number.
        tls: files with its certificate and key; it speaks HTTPS then.
    """

    def __init__(
        self,
        picture: Callable[[int], bytes],
        seconds: float | Callable[[int], float] = 0.2,
        *,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.sent: list[float] = []
        """When each picture was sent, monotonic seconds."""
        self._picture, self._seconds = picture, seconds
        self._over = threading.Event()
        self._stack = ExitStack()
        self.url = self._stack.enter_context(serving(self._send, tls=tls)) + "/video.cgi"
        """Its address."""

    def _send(self, request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        request.end_headers()
        due = time.monotonic()
        for number in itertools.count():
            if number:
                due += self._seconds(number) if callable(self._seconds) else self._seconds
            if self._over.wait(max(0.0, due - time.monotonic())):
                return
            data = self._picture(number)
            head = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
            try:
                request.wfile.write(head + data + b"\r\n")
                request.wfile.flush()
            except OSError:
                return
            self.sent.append(time.monotonic())

    def __enter__(self) -> JpegCamera:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Shut it down; may be called twice."""
        self._over.set()
        self._stack.close()


def sizes_that_change(each: int = 5) -> Callable[[int], bytes]:
    """Pictures that change between 24 sizes, wide and tall, after every `each` of them."""
    made = [jpeg((160 + 32 * k, 120 + 16 * (k * 5 % 24))) for k in range(24)]
    return lambda number: made[number // each % 24]

"""Motion JPEG over HTTP: one part a picture, each replacing the one before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from email.utils import formatdate
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from streamdehaze.live.web.media.feed import Feed, Jpeg

_BOUNDARY = b"streamdehaze-frame"
_PAUSE_SECONDS = 0.1
"""Before asking a camera again that had nothing; one that has ended answers at once."""


class MjpegResponse:
    """Sends the newest pictures of one or several cameras as ``multipart/x-mixed-replace`` until the client leaves.

    Each part has the headers Content-Length, X-Camera (the name, percent-encoded), X-Number, Last-Modified,
    X-Frame-Time (seconds since 1970) and X-Frame ("clear", or "hazy" where the frame could not be made clear).

    Args:
        feeds: by camera's name.
        stopping: ends the stream when set.
        interval_seconds: between two pictures of a camera at least.
    """

    def __init__(self, feeds: Mapping[str, Feed], stopping: asyncio.Event, interval_seconds: float = 0.0) -> None:
        self._feeds, self._stopping, self._interval_seconds = feeds, stopping, interval_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = b"multipart/x-mixed-replace; boundary=" + _BOUNDARY
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await send({"type": "http.response.body", "body": b"--" + _BOUNDARY + b"\r\n", "more_body": True})
        turn = asyncio.Lock()
        left = asyncio.create_task(_wait_for_leaving(receive))
        work = [left, asyncio.create_task(self._stopping.wait())]
        work += [asyncio.create_task(self._show(name, feed, turn, send)) for name, feed in self._feeds.items()]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        if left.cancelled():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _show(self, name: str, feed: Feed, turn: asyncio.Lock, send: Send) -> None:
        number = 0
        label = quote(name, safe="").encode()
        with suppress(KeyError):  # the camera is gone: the stream ends
            while True:
                picture = await feed.next(number)
                if picture is None:
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                async with turn:
                    number = picture.number
                    part = _head(picture, label) + picture.jpeg
                    # The next boundary comes at once: browsers show a part only when they have seen it.
                    body = part + b"\r\n--" + _BOUNDARY + b"\r\n"
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                await asyncio.sleep(self._interval_seconds)


def _head(picture: Jpeg, label: bytes) -> bytes:
    lines = {
        b"Content-Type": b"image/jpeg",
        b"Content-Length": b"%d" % len(picture.jpeg),
        b"Last-Modified": formatdate(picture.taken_at, usegmt=True).encode(),
        b"X-Camera": label,
        b"X-Number": b"%d" % picture.number,
        b"X-Frame-Time": b"%.3f" % picture.taken_at,
        b"X-Frame": b"clear" if picture.is_clear else b"hazy",
    }
    return b"".join(b"%b: %b\r\n" % line for line in lines.items()) + b"\r\n"


async def _wait_for_leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

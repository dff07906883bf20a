"""Checks that every request passes before anything else sees it."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamdehaze.live.web.access import Access, Role
from streamdehaze.live.web.address import HostNames, host_of

log = logging.getLogger("streamdehaze.live.web")

MAXIMUM_BODY_BYTES = 16 << 10
"""Limit for a request; the largest is the offer of a WebRTC session, about 6 KB."""
MAXIMUM_HEAD_BYTES = 16 << 10
BODY_SECONDS = 10.0
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/login"})
"""Paths that need no token, in addition to the page's own files."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Refuses foreign hosts and origins, large bodies and, if there is a token, strangers; adds protective headers.

    Args:
        app: what accepted requests reach.
        access: who may see the page.
        host_names: what `Host` may say.
        cookie_name: of the session.
    """

    def __init__(self, app: ASGIApp, access: Access, host_names: HostNames, cookie_name: str) -> None:
        self._app, self._access, self._host_names, self._cookie_name = app, access, host_names, cookie_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_protected(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            refusal = self._refusal(Request(scope))
            if refusal is None and scope["method"] not in ("GET", "HEAD"):
                body = await _read_body(receive)
                refusal = body if isinstance(body, Response) else None
                receive = receive if isinstance(body, Response) else _after(body, receive)
            await (refusal or self._app)(scope, receive, send_protected)
        except Exception:
            log.exception("the page failed to answer %s %s", scope["method"], scope["path"])
            if not started:
                await refuse(500, "internal error; the reason is in the log")(scope, receive, send_protected)

    def _refusal(self, request: Request) -> Response | None:
        headers, path = request.headers, request.url.path
        # h11 bounds only heads that come in pieces.
        if sum(len(name) + len(value) for name, value in headers.raw) + len(str(request.url)) > MAXIMUM_HEAD_BYTES:
            return refuse(431, f"a request's head may have {MAXIMUM_HEAD_BYTES} bytes at most")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or host_of(hosts[0]) not in self._host_names:
            return refuse(421, "this server does not answer under that name; start it with that name allowed")
        if not _is_own_origin(headers, request.method):
            return refuse(403, "requests from pages of other sites are refused")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAXIMUM_BODY_BYTES:
            return refuse(413, f"a request may have {MAXIMUM_BODY_BYTES} bytes at most")
        if self._access.is_open or path in OPEN_PATHS or path.startswith("/static/"):
            return None
        return self._refusal_of_strangers(request)

    def _refusal_of_strangers(self, request: Request) -> Response | None:
        role = self.role_of_session(request)
        token = None if role is not None else _token_of(request.headers.get("authorization", ""))
        if token is not None:
            role = self._access.role_of_token(token)
        if role is not None:
            return self._refusal_of_viewers(request, role)
        if token is not None:
            return self.refusal_of_wrong_token(request)
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/login", status_code=303)
        return _challenge(request, "a token is needed; log in, or send it as 'Authorization: Bearer TOKEN' or password")

    def _refusal_of_viewers(self, request: Request, role: Role) -> Response | None:
        request.scope["role"] = role
        is_look = request.method in ("GET", "HEAD") or request.url.path == "/logout" or _is_of_webrtc(request)
        return None if role == "operator" or is_look else refuse(403, "with the viewers' token nothing can be changed")

    def session_of(self, request: Request) -> str | None:
        """The cookie of a session, good or not."""
        try:
            cookie = SimpleCookie(request.headers.get("cookie", "")).get(self._cookie_name)
        except CookieError:
            return None
        return None if cookie is None else cookie.value

    def role_of_session(self, request: Request) -> Role | None:
        """Who the request comes from by its cookie, if that is valid."""
        cookie = self.session_of(request)
        return None if cookie is None else self._access.role_of_session(cookie)

    def refusal_of_wrong_token(self, request: Request) -> Response:
        """What to answer to a wrong token. They are counted by client; the right one is never slowed down."""
        self._access.wrong_tokens += 1
        client = request.client.host if request.client else ""
        wait = self._access.attempts.seconds_to_wait(client)
        if wait > 0:
            seconds = str(int(wait) + 1)
            answer = refuse(429, f"too many wrong tokens; wait {seconds} seconds")
            answer.headers["Retry-After"] = seconds
            return answer
        self._access.attempts.fail(client)
        log.warning("a wrong token came from %s", client, extra={"client": client})
        return _challenge(request, "that is not the token")


def _token_of(authorization: str) -> str | None:
    """The token of an Authorization header: as it is, or as the password of any user."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
    except ValueError:
        return ""


def _challenge(request: Request, reason: str) -> Response:
    answer = refuse(401, reason)
    if "sec-fetch-mode" not in request.headers:  # a browser would ask for a user; our page has a login of its own
        answer.headers["WWW-Authenticate"] = 'Basic realm="StreamDehaze", charset="UTF-8"'
    return answer


def _is_of_webrtc(request: Request) -> bool:
    return bool(re.fullmatch("/cameras/.+/(video|whep|whep/[0-9a-f]+)", request.url.path))


def refuse(status: int, reason: str) -> Response:
    """An error response with its reason."""
    return JSONResponse({"error": reason}, status)


def _is_own_origin(headers: Headers, method: str) -> bool:
    """Whether a request comes from this server's page, from no page, or is a plain visit by a link."""
    if "origin" in headers:
        return headers["origin"].partition("://")[2] == headers["host"]
    site = headers.get("sec-fetch-site", "none")
    return site in ("none", "same-origin") or (method == "GET" and headers.get("sec-fetch-mode") == "navigate")


async def _read_body(receive: Receive) -> bytes | Response:
    body = b""

    async def read() -> None:
        nonlocal body
        more = True
        while more and len(body) <= MAXIMUM_BODY_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)

    try:
        await asyncio.wait_for(read(), BODY_SECONDS)
    except asyncio.TimeoutError:
        return refuse(408, "the request did not end in time")
    if len(body) > MAXIMUM_BODY_BYTES:
        return refuse(413, f"a request may have {MAXIMUM_BODY_BYTES} bytes at most")
    return body


def _after(body: bytes, receive: Receive) -> Receive:
    """`receive`, with the body read already first."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay

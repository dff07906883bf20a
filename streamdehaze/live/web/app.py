"""What the server answers to which path."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from email.utils import formatdate
from pathlib import PurePath
from typing import Annotated, Any, Literal, TypeVar, cast, get_args
from urllib.parse import parse_qs

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from streamdehaze.control.keyframes import MOST_STRENGTH
from streamdehaze.errors import ConfigError, first_line
from streamdehaze.live.haze.history import INTERVAL_SECONDS
from streamdehaze.live.state import CameraState
from streamdehaze.live.web.access import SESSION_SECONDS, Access
from streamdehaze.live.web.address import HostNames, ListenAddress
from streamdehaze.live.web.describe import describe, describe_clip, describe_file
from streamdehaze.live.web.files import load_page_files
from streamdehaze.live.web.guard import Guard, refuse
from streamdehaze.live.web.media.feed import Feeds
from streamdehaze.live.web.media.picture import SNAPSHOT_QUALITY, PictureEncoder, Side
from streamdehaze.live.web.media.stream import MjpegResponse
from streamdehaze.live.web.media.video import Offer, VideoSessions, is_available
from streamdehaze.live.web.metrics import Metrics
from streamdehaze.live.web.protocols import WatchedCamera, WatchedPipeline
from streamdehaze.meter.auto import Mode
from streamdehaze.toml import Table, explain
from streamdehaze.video.writing.target import INIT_FILE

WALL_INTERVAL_SECONDS = 0.1
"""Between two pictures of a camera on the wall at least."""
_FIRST_PICTURE_SECONDS = 2.0
_HLS_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
}
"""RFC 8216, 4 and 10."""
_CLIP_TYPES = {".mkv": "video/x-matroska", ".mp4": "video/mp4", ".ts": "video/mp2t"}
MOST_CLIPS = 100
"""Files that the list of a camera's clips names."""
_Model = TypeVar("_Model", bound=BaseModel)


class CameraChange(Table, strict=True):
    """What the page may change of a camera, in this order: what it may refuse comes first."""

    profile: str | None = None
    every: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    mode: Mode | None = None
    strength: float | None = Field(default=None, ge=0, le=MOST_STRENGTH, allow_inf_nan=False)
    enabled: bool | None = None


class ClipRequest(Table, strict=True):
    """Which seconds a clip should have."""

    before_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    after_seconds: float = Field(default=10.0, ge=0, allow_inf_nan=False)


class Page:
    """The ASGI application.

    Args:
        pipeline: whose cameras are shown.
        access: who may come in.
        address: where it is served.
        host_names: more host names to answer to, in addition to the machine's own.
        viewers: streams sent at once at most.
    """

    def __init__(
        self,
        pipeline: WatchedPipeline,
        access: Access,
        address: ListenAddress,
        host_names: tuple[str, ...],
        viewers: int,
    ) -> None:
        self._pipeline, self._access, self._maximum_viewers = pipeline, access, viewers
        self._cookie_name = f"streamdehaze_{address.port}"  # cookies do not tell ports apart
        self._streams = 0
        # A thread each waits for a camera's next frame; they are made as they are needed.
        self._pool = ThreadPoolExecutor(max_workers=128, thread_name_prefix="streamdehaze-web-picture")
        self._feeds = Feeds(pipeline, self._pool)
        self._video = VideoSessions(pipeline, self._pool) if is_available() else None
        self._files = load_page_files()
        self._metrics = Metrics(pipeline, lambda: self.viewers, lambda: access.wrong_tokens)
        self.stopping = asyncio.Event()
        """Ends all streams when set."""
        routes = [
            Route("/", self._index),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/static/{name}", self._static),
            Route("/api/cameras", self._cameras),
            Route("/api/cameras/{name:path}/haze", self._haze),
            Route("/api/cameras/{name:path}/clips", self._clips, methods=["GET", "POST"]),
            Route("/api/cameras/{name:path}", self._one, methods=["GET", "PATCH"]),
            Route("/wall", self._wall),
            Route("/cameras/{name:path}/stream", self._stream),
            Route("/cameras/{name:path}/snapshot", self._snapshot),
            Route("/cameras/{name:path}/hls/{file}", self._playlist),
            Route("/cameras/{name}/clips/{file:path}", self._clip_file),
            Route("/cameras/{name:path}/video", self._negotiate, methods=["POST"]),
            Route("/cameras/{name:path}/whep", self._whep, methods=["POST"]),
            Route("/cameras/{name:path}/whep/{session}", self._end_whep, methods=["DELETE"]),
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
            Route("/metrics", self._measure),
        ]
        inner = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _say})
        self._guard = Guard(inner, access, HostNames(address, host_names), self._cookie_name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guard(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        if self._video is not None:
            await self._video.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def viewers(self) -> int:
        """Streams and video sessions that are sent now."""
        return self._streams + (self._video.viewers if self._video else 0)

    # --- the page and its door

    async def _index(self, request: Request) -> Response:
        return self._file("index.html", request)

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._files or name.endswith(".html"):
            raise HTTPException(404)
        return self._file(name, request)

    def _file(self, name: str, request: Request) -> Response:
        file = self._files[name]
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            if self._access.is_open or self._guard.role_of_session(request) is not None:
                return RedirectResponse("/", 303)
            return self._file("login.html", request)
        token = parse_qs((await request.body()).decode("utf-8", "replace")).get("token", [""])[0]
        role = self._access.role_of_token(token)
        if role is None:
            return self._guard.refusal_of_wrong_token(request)
        answer = JSONResponse({"welcome": True})
        answer.set_cookie(
            self._cookie_name,
            self._access.new_session(role),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.headers.get("origin", "").startswith("https:"),
        )
        return answer

    async def _logout(self, request: Request) -> Response:
        if (session := self._guard.session_of(request)) is not None:
            self._access.end_session(session)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self._cookie_name, httponly=True, samesite="strict")
        return answer

    # --- cameras

    async def _cameras(self, request: Request) -> Response:
        statuses = await run_in_threadpool(lambda: [camera.status() for camera in self._pipeline.cameras.values()])
        cameras = [describe(status) for status in statuses]
        return JSONResponse(
            {
                "cameras": cameras,
                "login": not self._access.is_open,
                "role": request.scope.get("role", "operator"),
                "video": self._video is not None,
            }
        )

    async def _one(self, request: Request) -> Response:
        camera = self._camera(request)
        change = await _body(request, CameraChange) if request.method == "PATCH" else CameraChange()
        for key, value in change.model_dump(exclude_none=True).items():
            try:
                await run_in_threadpool(getattr(camera, f"set_{key}"), value)
            except ConfigError as error:
                return refuse(422, f"{key}: {error}")
        return JSONResponse(describe(await run_in_threadpool(camera.status)))

    async def _clips(self, request: Request) -> Response:
        camera = self._camera(request)
        if request.method == "GET":
            files = await run_in_threadpool(camera.clip_files)
            known = [describe_file(request.path_params["name"], each) for each in files[:MOST_CLIPS]]
            return JSONResponse({"clips": [describe_clip(clip) for clip in camera.clips], "files": known})
        cut = await _body(request, ClipRequest)
        try:
            clip = await run_in_threadpool(camera.record_clip, cut.before_seconds, cut.after_seconds)
        except ConfigError as error:
            return refuse(409, str(error))
        return JSONResponse(describe_clip(clip), 202)

    async def _clip_file(self, request: Request) -> Response:
        files = await run_in_threadpool(self._camera(request).clip_files)
        # The path is one that was found on the disk, never one that a request made up.
        clip = next((each for each in files if each.name == request.path_params["file"]), None)
        if clip is None:
            raise HTTPException(404, "there is no such clip, or no longer")
        return FileResponse(clip.path, media_type=_CLIP_TYPES.get(clip.path.suffix), filename=clip.path.name)

    async def _haze(self, request: Request) -> Response:
        minutes = self._camera(request).haze.minutes()
        points = [[moment, round(density, 3)] for moment, density in minutes]
        return JSONResponse({"interval_seconds": INTERVAL_SECONDS, "points": points})

    def _camera(self, request: Request) -> WatchedCamera:
        camera = self._pipeline.cameras.get(request.path_params["name"])
        if camera is None:
            raise HTTPException(404, "there is no camera of that name")
        return camera

    async def _stream(self, request: Request) -> Response:
        self._camera(request)
        return self._viewing([request.path_params["name"]], _side(request), _width(request, 960), 0.0)

    async def _wall(self, request: Request) -> Response:
        return self._viewing(list(self._pipeline.cameras), _side(request), _width(request, 480), WALL_INTERVAL_SECONDS)

    def _viewing(self, names: list[str], side: Side, width: int, interval_seconds: float) -> Response:
        self._check_room()
        return _Viewing(self, names, side, width, interval_seconds)

    def _check_room(self) -> None:
        if self.viewers >= self._maximum_viewers:
            reason = f"{self._maximum_viewers} viewers are watching already; try again later"
            raise HTTPException(503, reason, {"Retry-After": "10"})

    async def _playlist(self, request: Request) -> Response:
        file, playlist = request.path_params["file"], self._camera(request).playlist
        if playlist is None:
            raise HTTPException(404, "this camera writes no playlist; give it a folder in 'to'")
        segment = re.fullmatch(rf"{re.escape(playlist.stem)}\d+\.(ts|m4s)|{INIT_FILE}", file)
        if not segment and file != "index.m3u8":
            raise HTTPException(404)
        try:
            content = await run_in_threadpool((playlist.parent / file if segment else playlist).read_bytes)
        except OSError:
            raise HTTPException(404, "there is no such file yet, or no longer") from None
        return Response(content, media_type=_HLS_TYPES[PurePath(file).suffix])

    async def _negotiate(self, request: Request) -> Response:
        sessions = self._video_sessions(request)
        offer = await _body(request, Offer)
        try:
            session = await sessions.begin(request.path_params["name"], "both", _width(request, 960), offer)
        except ValueError as error:
            return refuse(422, first_line(error))
        return JSONResponse(session.answer.model_dump())

    async def _whep(self, request: Request) -> Response:
        sessions = self._video_sessions(request)
        if request.headers.get("content-type", "").partition(";")[0] != "application/sdp":
            return refuse(415, "send application/sdp")
        offer = Offer(sdp=(await request.body()).decode("utf-8", "replace"), type="offer")
        try:
            session = await sessions.begin(request.path_params["name"], _side(request), _width(request, 960), offer)
        except ValueError as error:
            return refuse(422, first_line(error))
        headers = {"Location": f"{request.url.path}/{session.id}"}
        return Response(session.answer.sdp, 201, headers, "application/sdp")

    async def _end_whep(self, request: Request) -> Response:
        if self._video is None or not self._video.end(request.path_params["session"]):
            raise HTTPException(404, "there is no such session")
        return Response()

    def _video_sessions(self, request: Request) -> VideoSessions:
        self._camera(request)
        if self._video is None:
            raise HTTPException(501, "WebRTC needs aiortc; 'streamdehaze doctor' there says how to install it")
        self._check_room()
        return self._video

    async def _snapshot(self, request: Request) -> Response:
        camera, side = self._camera(request), _side(request)
        pair = await run_in_threadpool(camera.full_view.wait, 0, _FIRST_PICTURE_SECONDS)
        if pair is None:
            return refuse(503, "this camera has shown no picture yet")
        if request.query_params.get("stale") != "1":
            status = await run_in_threadpool(camera.status)
            if status.state is not CameraState.RUNNING and not (pair.is_fresh and side == "hazy"):
                why = status.message or f"the camera is {status.state.value}"
                return refuse(503, f"{why}; ?stale=1 returns its last picture anyway")
        jpeg = await run_in_threadpool(PictureEncoder(side, quality=SNAPSHOT_QUALITY), pair)
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", request.path_params["name"])
        taken = time.strftime("%Y%m%d-%H%M%SZ", time.gmtime(pair.taken_at))
        headers = {
            "Content-Disposition": f'attachment; filename="{name}-{side}-{taken}.jpg"',
            "Last-Modified": formatdate(pair.taken_at, usegmt=True),
            "X-Frame-Age": f"{pair.age_seconds:.1f}",
            "X-Frame": "clear" if pair.is_clear else "hazy",
            "Cache-Control": "no-store",
        }
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    # --- operators

    async def _alive(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _ready(self, _: Request) -> Response:
        statuses = await run_in_threadpool(lambda: [camera.status() for camera in self._pipeline.cameras.values()])
        running = sum(status.state is CameraState.RUNNING for status in statuses)
        text = f"{running} of {len(statuses)} cameras running\n"
        return PlainTextResponse(text, 200 if running else 503)

    async def _measure(self, _: Request) -> Response:
        text = await run_in_threadpool(self._metrics.text)
        return Response(text, media_type=self._metrics.media_type)


class _Viewing(Response):
    """A stream that counts as one viewer while it lasts."""

    def __init__(self, page: Page, names: list[str], side: Side, width: int, interval_seconds: float) -> None:
        self._page, self._names, self._interval_seconds = page, names, interval_seconds
        self._side: Side = side
        self._width = width

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = self._page
        page._streams += 1
        try:
            with ExitStack() as stack:
                feeds = {n: stack.enter_context(page._feeds.open(n, self._side, self._width)) for n in self._names}
                await MjpegResponse(feeds, page.stopping, self._interval_seconds)(scope, receive, send)
        finally:
            page._streams -= 1


async def _body(request: Request, model: type[_Model]) -> _Model:
    """What a request asks for, checked."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "send application/json")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, explain(error, model, "the request")) from None


def _side(request: Request) -> Side:
    asked = request.query_params.get("side", "clear")
    if asked not in get_args(Side):
        raise HTTPException(422, "side is both, clear or hazy")
    return cast(Side, asked)


def _width(request: Request, default: int) -> int:
    asked = request.query_params.get("width", str(default))
    if not re.fullmatch(r"[0-9]{1,5}", asked):
        raise HTTPException(422, "width is a number of pixels")
    return int(asked)


async def _say(_: Request, error: Any) -> Response:
    answer = refuse(error.status_code, error.detail)
    answer.headers.update(error.headers or {})
    return answer

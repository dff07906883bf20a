"""What the web server promises: who gets what, what strangers do not get, and no secret in any answer."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from live_feed import BRIGHT, DARK, SECRET, RenderedPipeline, web_page
from streamdehaze.cli.log import JsonFormatter
from streamdehaze.errors import ConfigError
from streamdehaze.live.web import Limits, ListenAddress, WebServer
from streamdehaze.live.web.access import SESSION_SECONDS, Access
from waiting import PATIENCE_SECONDS, wait_until

TOKEN = "correct-horse-battery"
VIEWERS = 40


@pytest.fixture(scope="module")
def pipeline() -> Iterator[RenderedPipeline]:
    dead = {"gate": f"cannot open rtsp://operator:{SECRET}@192.0.2.7/stream?token={SECRET}: wrong user or password"}
    with RenderedPipeline("north", "south", dead=dead, size=(500, 300)) as running:
        assert running.cameras["south"].view.wait(0, 10)
        yield running


@pytest.fixture(scope="module")
def server(pipeline: RenderedPipeline) -> Iterator[WebServer]:
    """Open to everyone on this machine."""
    with web_page(pipeline, limits=Limits(viewers=VIEWERS)) as running:
        yield running


@pytest.fixture
def guarded(pipeline: RenderedPipeline) -> Iterator[WebServer]:
    """Behind a token."""
    with web_page(pipeline, token=TOKEN) as running:
        yield running


@pytest.fixture
def client(server: WebServer) -> Iterator[Any]:
    # On a busy machine the server may close a kept-alive connection just when the next request is sent.
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS, headers={"Connection": "close"}) as running:
        yield running


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def raw(server: WebServer, request: bytes) -> bytes:
    """The response to exactly these bytes."""
    with socket.create_connection((server.address.host, server.address.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while b"\r\n\r\n" not in answer and (part := connection.recv(65536)):
                answer += part
    return answer


def parts(response: Any, count: int) -> list[tuple[dict[str, str], np.ndarray]]:
    """The first parts of a multipart stream: headers and picture."""
    boundary = response.headers["content-type"].partition("boundary=")[2].encode()
    found: list[tuple[dict[str, str], np.ndarray]] = []
    text = b""
    for chunk in response.iter_raw():
        text += chunk
        while len(found) < count and text.count(b"--" + boundary) >= 2:
            _, part, rest = text.split(b"--" + boundary, 2)
            text = b"--" + boundary + rest
            head, _, body = part.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().strip().split("\r\n"))
            jpeg = body[: int(headers["Content-Length"])]
            found.append((headers, cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)))
        if len(found) == count:
            return found
    raise AssertionError(f"the stream ended after {len(found)} pictures")


# --- what it gives


def test_a_stream_holds_both_halves_of_the_same_frame(client: Any) -> None:
    with client.stream("GET", "/cameras/north/stream?side=both&width=480") as response:
        for headers, picture in parts(response, 5):
            height, width = picture.shape
            assert (width, height, headers["X-Camera"]) == (2 * 480, 288, "north")
            half = width // 2
            # The bar along the top moves with every frame, so it must end at the same place in both halves.
            hazy, clear = picture[5, :half].astype(int), picture[5, half:].astype(int)
            ends = [int(np.argmin(np.abs(np.diff(row)) < 20)) for row in (hazy, clear)]
            assert abs(ends[0] - ends[1]) <= 2


def test_pictures_are_numbered_without_going_back(client: Any) -> None:
    with client.stream("GET", "/cameras/north/stream?width=320") as response:
        numbers = [int(headers["X-Number"]) for headers, _ in parts(response, 8)]
    assert numbers == sorted(set(numbers))


def test_the_wall_is_one_stream_of_all_cameras(client: Any) -> None:
    with client.stream("GET", "/wall") as response:
        seen = {headers["X-Camera"] for headers, _ in parts(response, 8)}
    assert seen == {"north", "south"}


def test_viewers_of_one_size_share_an_encoder(server: WebServer, client: Any) -> None:
    address = "/cameras/north/stream?width=640"
    with client.stream("GET", address) as first, client.stream("GET", address) as second:
        one, other = parts(first, 10), parts(second, 10)
    same = {h["X-Number"]: h["Content-Length"] for h, _ in one}.items() & {
        h["X-Number"]: h["Content-Length"] for h, _ in other
    }.items()
    assert len(same) >= 5


def test_a_snapshot_has_the_size_of_the_camera(client: Any) -> None:
    answer = client.get("/cameras/north/snapshot?side=both")
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (300, 1000)
    assert picture[200, 510] == pytest.approx(BRIGHT, abs=3)
    assert picture[200, 990] == pytest.approx(DARK, abs=3)
    assert answer.headers["content-disposition"].startswith('attachment; filename="north-both-')


def test_changes_take_effect_and_nonsense_is_refused(client: Any, pipeline: RenderedPipeline) -> None:
    answer = client.patch("/api/cameras/south", json={"strength": 0.25, "enabled": False})
    assert answer.json()["strength"] == 0.25
    assert (pipeline.cameras["south"].strength, pipeline.cameras["south"].enabled) == (0.25, False)
    for change in ({"mode": "auto", "every": 3}, {"every": "auto"}):
        assert client.patch("/api/cameras/south", json=change).json()["every"] == change["every"]
    assert pipeline.cameras["south"].mode == "auto"
    refused: list[tuple[object, str]] = [
        ({"strength": 1.6}, "strength: write 1.5 or less, not 1.6"),
        ({"strength": "1"}, "strength: write a number, not '1'"),
        ({"strenght": 1}, "unknown key 'strenght'; did you mean 'strength'?"),
        ({"enabled": 1}, "enabled: write true or false, not 1"),
        ({"every": 0}, "every: write 1 or more, or 'auto', not 0"),
        ({"mode": "of"}, "mode: write 'on', 'auto' or 'off', not 'of'"),
        ([], "the request: write a table of keys and values"),
    ]
    for body, said in refused:
        refusal = client.patch("/api/cameras/south", json=body)
        assert (refusal.status_code, refusal.json()["error"]) == (422, said)
    json_type = {"Content-Type": "application/json"}
    assert (
        client.patch("/api/cameras/south", content=b"{", headers=json_type).json()["error"]
        == "the request: it is not JSON"
    )
    assert client.patch("/api/cameras/south", content=b'{"strength": NaN}').status_code == 415
    assert client.patch("/api/cameras/nobody", json={}).status_code == 404
    status = client.get("/api/cameras/south").json()
    assert (status["name"], status["strength"]) == ("south", 0.25)
    assert set(status) == set(client.get("/api/cameras").json()["cameras"][0])
    assert client.get("/api/cameras/nobody").status_code == 404
    assert client.get("/api/cameras/south/haze").json()["interval_seconds"] == 60
    assert pipeline.cameras["south"].strength == 0.25


def test_health_and_readiness(client: Any) -> None:
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.text) == (200, "2 of 3 cameras running\n")
    with RenderedPipeline(dead={"gate": "refused"}) as nothing, web_page(nothing) as server:
        assert httpx.get(server.url + "readyz").status_code == 503
        assert httpx.get(server.url + "healthz").status_code == 200


def test_metrics_are_what_the_cameras_counted(client: Any, pipeline: RenderedPipeline) -> None:
    pipeline.cameras["south"].counters.drop("stale", 3)
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}

    def value(family: str, name: str, **labels: str) -> float:
        found = [s.value for s in families[family].samples if s.name == name and labels.items() <= s.labels.items()]
        assert len(found) == 1, (name, labels)
        return found[0]

    assert (
        value("streamdehaze_frames_dropped", "streamdehaze_frames_dropped_total", camera="south", reason="stale") == 3
    )
    frames = value("streamdehaze_frames_out", "streamdehaze_frames_out_total", camera="north")
    assert 0 < frames <= pipeline.cameras["north"].counters.snapshot().frames_out
    count = value("streamdehaze_latency_seconds", "streamdehaze_latency_seconds_count", camera="north")
    infinite = value("streamdehaze_latency_seconds", "streamdehaze_latency_seconds_bucket", camera="north", le="+Inf")
    assert count == infinite >= frames - 1
    stage = value("streamdehaze_stage_seconds", "streamdehaze_stage_seconds_sum", camera="north", stage="dehaze")
    assert stage > 0
    assert value("streamdehaze_camera_state", "streamdehaze_camera_state", camera="gate", state="failed") == 1
    assert value("streamdehaze_engine_info", "streamdehaze_engine_info", camera="north", engine="torch cpu") == 1
    age = value("streamdehaze_frame_age_seconds", "streamdehaze_frame_age_seconds", camera="north")
    assert 0 <= age < PATIENCE_SECONDS
    never = value("streamdehaze_frame_age_seconds", "streamdehaze_frame_age_seconds", camera="gate")
    assert never > 5, "a camera that never showed anything is as old as the start"
    for gauge in ("queue_frames", "queue_limit_frames", "adapt_level", "strength"):
        assert value(f"streamdehaze_{gauge}", f"streamdehaze_{gauge}", camera="north") >= 0


# --- what it does not give


def test_other_addresses_than_loopback_need_a_token(pipeline: RenderedPipeline) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(ConfigError, match=r"needs a token"):
            WebServer(pipeline, ListenAddress(host, 0))
    with pytest.raises(ConfigError, match=r"fewer than 16 characters.*openssl rand"):
        WebServer(pipeline, ListenAddress("0.0.0.0", 0), token="short")


def test_addresses_are_read_and_invalid_ones_named() -> None:
    assert ListenAddress.parse("8081") == ListenAddress("127.0.0.1", 8081)
    assert ListenAddress.parse(":0") == ListenAddress("127.0.0.1", 0)
    assert ListenAddress.parse("0.0.0.0:80") == ListenAddress("0.0.0.0", 80)
    assert ListenAddress.parse("localhost") == ListenAddress("localhost", 8080)
    assert ListenAddress.parse("[::1]:9") == ListenAddress("::1", 9)
    assert ListenAddress("::1", 9).is_loopback
    assert not ListenAddress("::", 9).is_loopback
    assert not ListenAddress("localhost.example.org", 9).is_loopback
    for text in ("host:port", "host:99999", "[::1", "[camera]:80"):
        with pytest.raises(ConfigError, match="address to listen on"):
            ListenAddress.parse(text)


def test_a_port_in_use_is_reported(pipeline: RenderedPipeline, server: WebServer) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:\d+: another program listens there"):
        WebServer(pipeline, server.address)


def test_nothing_is_served_without_the_token(guarded: WebServer) -> None:
    with httpx.Client(base_url=guarded.url, headers={"Connection": "close"}, timeout=PATIENCE_SECONDS) as stranger:
        for path in (
            "/",
            "/api/cameras",
            "/wall",
            "/cameras/north/stream",
            "/cameras/north/snapshot",
            "/metrics",
            "/x",
        ):
            answer = stranger.get(path)
            assert answer.status_code == 401, path
            assert "north" not in answer.text
        assert stranger.patch("/api/cameras/north", json={"enabled": False}).status_code == 401
        visit = stranger.get("/", headers={"Accept": "text/html"})
        assert (visit.status_code, visit.headers["location"]) == (303, "/login")
        for path in ("/login", "/healthz", "/readyz", "/static/style.css"):
            assert stranger.get(path).status_code == 200, path


def test_the_token_works_as_a_header_and_as_a_cookie(guarded: WebServer) -> None:
    with httpx.Client(base_url=guarded.url, headers={"Connection": "close"}, timeout=PATIENCE_SECONDS) as visitor:
        assert visitor.get("/api/cameras", headers=bearer(TOKEN)).status_code == 200
        login = visitor.post("/login", data={"token": TOKEN})
        cookie = login.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        assert visitor.get("/api/cameras").status_code == 200
        (name, value), *_ = visitor.cookies.items()
        ends, nonce, signature = value.split(".")
        later = str(int(ends) + 1)
        for forged in (
            "",
            "x",
            f"{later}.{nonce}.{signature}",
            f"{ends}.{nonce}.{'0' * 64}",
            f"..{signature}",
            "1.é.2",
        ):
            headers = {"Cookie": f"{name}={forged}".encode()}
            assert httpx.get(guarded.url + "api/cameras", headers=headers).status_code == 401, forged


def test_a_session_outlives_a_restart_but_not_a_new_token(pipeline: RenderedPipeline, guarded: WebServer) -> None:
    cookie = httpx.post(guarded.url + "login", data={"token": TOKEN}).headers["set-cookie"].partition(";")[0]
    guarded.stop()
    for token, status in ((TOKEN, 200), (TOKEN + "2", 401)):
        again = WebServer(pipeline, guarded.address, token=token)
        again.start()
        assert httpx.get(again.url + "api/cameras", headers={"Cookie": cookie}).status_code == status
        again.stop()


def test_a_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    access, now = Access(TOKEN), 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    cookie = access.new_session()
    now += SESSION_SECONDS - 1
    assert access.role_of_session(cookie) == "operator"
    now += 2
    assert access.role_of_session(cookie) is None


def test_guessing_is_slowed_down(guarded: WebServer) -> None:
    statuses = [httpx.post(guarded.url + "login", data={"token": f"guess {n}"}).status_code for n in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    answer = httpx.get(guarded.url + "metrics", headers=bearer("yet another guess"))
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 13
    forwarded = {**bearer("another guess"), "X-Forwarded-For": "192.0.2.99"}
    assert httpx.get(guarded.url + "metrics", headers=forwarded).status_code == 429


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py", "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/..\\app.py",
        "//etc/passwd", "/static//etc/passwd", "/static/%00", "/static/login.html",
        "/cameras/../../etc/passwd/snapshot",
        "/cameras/%2e%2e%2f%2e%2e%2fetc%2fpasswd/stream", "/api/cameras/..", "http://192.0.2.1/", "/static/.",
    ],
)  # fmt: skip
def test_no_path_leads_outside(server: WebServer, path: str) -> None:
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    status = int(answer.split()[1])
    assert status in (404, 405), answer[:200]
    assert b"root:" not in answer
    assert b"import" not in answer


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:8080", 200), ("127.0.0.1:1", 200), ("[::1]:8080", 200), ("192.0.2.5", 200),
        ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421), ("", 421),
        ("a b", 421), ("localhost@evil.example", 421), ("localhost:80:80", 421),
    ],
)  # fmt: skip
def test_only_known_hosts_are_answered(server: WebServer, host: str, status: int) -> None:
    answer = raw(server, f"GET /api/cameras HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert int(answer.split()[1]) == status or (status == 421 and answer.split()[1] == b"400")


def test_an_allowed_host_name_is_answered(pipeline: RenderedPipeline) -> None:
    with web_page(pipeline, host_names=("cameras.example.org",)) as server:
        assert httpx.get(server.url + "healthz", headers={"Host": "cameras.example.org"}).status_code == 200
        assert httpx.get(server.url + "healthz", headers={"Host": "example.org"}).status_code == 421


def test_requests_from_foreign_pages_are_refused(server: WebServer, client: Any, pipeline: RenderedPipeline) -> None:
    before = pipeline.cameras["north"].strength
    change = {"json": {"strength": 0.1}}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{server.address.port + 1}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert client.patch("/api/cameras/north", headers=headers, **change).status_code == 403, headers
        assert client.get("/wall", headers=headers).status_code == 403, headers
    assert pipeline.cameras["north"].strength == before
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
    assert client.get("/", headers=link).status_code == 200
    own = {"Origin": server.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.patch("/api/cameras/north", headers=own, json={"strength": before}).status_code == 200


def test_large_requests_are_refused(server: WebServer, client: Any) -> None:
    json_type = {"Content-Type": "application/json"}
    assert client.patch("/api/cameras/north", content=b" " * 20_000, headers=json_type).status_code == 413
    endless = (b" " * 1000 for _ in range(20))  # chunked: no length is declared
    assert client.patch("/api/cameras/north", content=endless, headers=json_type).status_code == 413
    declared = b"PATCH /api/cameras/north HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    assert raw(server, declared).split()[1] == b"413"
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"
    assert raw(server, head).split()[1] in (b"400", b"431")
    assert client.get("/healthz").status_code == 200


def test_two_hundred_clients_share_the_server(server: WebServer, client: Any) -> None:
    """Some watch, the others are asked to wait, the server keeps answering, and everything is released afterwards."""
    request = b"GET /cameras/north/stream?width=320 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    place = (server.address.host, server.address.port)
    with contextlib.ExitStack() as stack:
        crowd = []
        for _ in range(200):  # each sends a request at once: idle connections of a client with many are closed
            crowd.append(stack.enter_context(socket.create_connection(place, timeout=PATIENCE_SECONDS)))
            crowd[-1].sendall(request)
        statuses = [connection.recv(12).split()[1] for connection in crowd]
        assert statuses.count(b"200") == VIEWERS
        assert statuses.count(b"503") == 200 - VIEWERS
        assert client.get("/healthz").status_code == 200
        assert f"streamdehaze_viewers {VIEWERS}.0" in client.get("/metrics").text
    wait_until(lambda: "streamdehaze_viewers 0.0" in client.get("/metrics").text, "viewers that left are not counted")
    with client.stream("GET", "/cameras/north/stream?width=320") as response:
        assert parts(response, 2)


def test_video_needs_an_offer_of_one_video_and_leaves_no_session(server: WebServer, client: Any) -> None:
    pytest.importorskip("aiortc", reason="video by WebRTC needs the extra 'webrtc'")
    for offer in ({}, {"sdp": "", "type": "offer"}, {"sdp": "v=0", "type": "offer"}, {"sdp": "v=0", "type": "x"}):
        answer = client.post("/cameras/north/video", json=offer)
        assert answer.status_code == 422, offer
        assert "None is not in list" not in answer.json()["error"]
    assert client.post("/cameras/nobody/video", json={}).status_code == 404
    sdp = asyncio.run(_audio_offer())
    assert client.post("/cameras/north/video", json={"sdp": sdp, "type": "offer"}).status_code == 422
    assert "streamdehaze_viewers 0.0" in client.get("/metrics").text


def test_video_ends_with_its_camera_and_starts_again_when_it_comes_back(
    pipeline: RenderedPipeline,
) -> None:
    pytest.importorskip("aiortc", reason="video by WebRTC needs the extra 'webrtc'")
    from streamdehaze.live.web.media.video import VideoFeed, VideoQueue

    async def watch() -> None:
        cameras = dict(pipeline.cameras)
        feed, before, after = VideoFeed(pipeline, "north", "both", 320, pool), VideoQueue(), VideoQueue()
        feed.join(before)
        assert (await asyncio.wait_for(before.get(), 10)).is_keyframe
        del pipeline.cameras["north"]
        await asyncio.wait_for(before.ended.wait(), 10)
        pipeline.cameras.update(cameras)
        feed.join(after)
        assert (await asyncio.wait_for(after.get(), 10)).is_keyframe
        feed.leave(before)
        feed.leave(after)

    with ThreadPoolExecutor(2) as pool:
        asyncio.run(watch())


async def _audio_offer() -> str:
    from aiortc import RTCPeerConnection

    peer = RTCPeerConnection()
    peer.addTransceiver("audio")
    sdp = (await peer.createOffer()).sdp
    await peer.close()
    return str(sdp)


def test_half_a_request_and_a_client_that_does_not_read_are_cut_off(
    pipeline: RenderedPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamdehaze.live.web import connection as times

    monkeypatch.setattr(times, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(times, "STALL_SECONDS", 0.5)
    with web_page(pipeline) as server:
        place = (server.address.host, server.address.port)
        with socket.create_connection(place, timeout=PATIENCE_SECONDS) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: loc")
            assert slow.recv(100) == b""
        with socket.socket() as asleep:
            asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            asleep.connect(place)
            asleep.sendall(b"GET /cameras/north/stream?side=both&width=1920 HTTP/1.1\r\nHost: localhost\r\n\r\n")

            def viewers(count: float) -> bool:
                return f"streamdehaze_viewers {count}" in httpx.get(server.url + "metrics").text

            wait_until(lambda: viewers(1.0), "it has a slot")
            wait_until(lambda: viewers(0.0), "a client that reads nothing loses its slot")


def test_every_answer_carries_the_protective_headers(client: Any) -> None:
    for path in ("/", "/static/app.js", "/api/cameras", "/nothing", "/cameras/north/snapshot"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert "access-control-allow-origin" not in headers


def test_the_page_loads_nothing_from_other_hosts(client: Any) -> None:
    from streamdehaze.live.web.files import load_page_files

    for name, file in load_page_files().items():
        text = file.content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, name
        assert "innerHTML" not in text, name


def test_no_secret_in_any_answer_or_log_line(pipeline: RenderedPipeline) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("streamdehaze")
    paths = ["/", "/login", "/api/cameras", "/metrics", "/healthz", "/readyz", "/cameras/gate/snapshot", "/x"]
    before = log.handlers, log.level
    log.handlers, log.level = [handler], logging.DEBUG
    try:
        with web_page(pipeline, token=TOKEN) as server:
            with httpx.Client(base_url=server.url, headers={**bearer(TOKEN), "Connection": "close"}) as reader:
                texts = [(reader.get(path), path) for path in paths]
            for answer, path in texts:
                assert SECRET not in answer.text + str(answer.headers), path
                assert TOKEN not in answer.text + str(answer.headers), path
            statuses = texts[2][0].text
            assert "wrong user or password" in statuses
            assert "rtsp://192.0.2.7/stream" in statuses
            httpx.post(server.url + "login", data={"token": TOKEN + "x"})
    finally:
        log.handlers, log.level = before
    (line,) = map(json.loads, written.getvalue().splitlines())
    assert line["message"] == "a wrong token came from 127.0.0.1"
    assert TOKEN not in written.getvalue()


# --- how it ends


def test_the_stop_event_ends_streams_and_leaves_no_thread(pipeline: RenderedPipeline) -> None:
    before = set(threading.enumerate())
    stop = threading.Event()
    server = WebServer(pipeline, ListenAddress("127.0.0.1", 0), token=None, stop=stop)
    server.start()
    with httpx.stream("GET", server.url + "wall") as response:
        stop.set()
        for _ in response.iter_raw():  # endless unless something ends it
            pass
    server.stop()
    wait_until(lambda: set(threading.enumerate()) <= before, "all threads have ended")

"""Who may see and change what, and that strangers cannot lock the owner out."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from changing_camera import JpegCamera, jpeg
from doubles import quick_dehazer
from live_browser import chromium
from live_feed import RenderedPipeline, web_page
from streamdehaze.address import Address as StreamAddress
from streamdehaze.errors import ConfigError
from streamdehaze.live import CameraConfig, LivePipeline
from streamdehaze.live.web import ListenAddress, WebServer
from streamdehaze.video.trust import Trust, UntrustedError
from waiting import PATIENCE_SECONDS, wait_until

httpx = pytest.importorskip("httpx")

OPERATOR, VIEWER = "correct-horse-battery", "staple-of-the-viewers"


@pytest.fixture(scope="module")
def pipeline() -> Iterator[RenderedPipeline]:
    with RenderedPipeline("north") as running:
        yield running


@pytest.fixture
def server(pipeline: RenderedPipeline) -> Iterator[WebServer]:
    with web_page(pipeline, token=OPERATOR, viewer_token=VIEWER) as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, "-out", str(files[0]), "-keyout", str(files[1]), "-days", "2", *names],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("needs the openssl program")
    return files


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("token", [OPERATOR, VIEWER])
def test_the_token_is_a_password_for_programs_that_only_know_those(server: WebServer, token: str) -> None:
    for path in ("api/cameras", "cameras/north/snapshot", "metrics"):
        assert httpx.get(server.url + path, auth=("anyone", token)).status_code == 200
    assert httpx.get(server.url + "metrics", auth=(token, "")).status_code == 401
    for wrong in ("Basic", "Basic é", "Basic !!!!", "Digest x", "Bearer"):
        assert httpx.get(server.url + "metrics", headers={"Authorization": wrong.encode()}).status_code in (401, 429)


def test_programs_are_asked_for_a_password_but_browsers_are_not(server: WebServer) -> None:
    asked = httpx.get(server.url + "cameras/north/snapshot").headers
    assert asked["WWW-Authenticate"].startswith("Basic ")
    of_page = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    assert "WWW-Authenticate" not in httpx.get(server.url + "api/cameras", headers=of_page).headers


def test_viewers_see_everything_and_change_nothing(server: WebServer) -> None:
    cookie = httpx.post(server.url + "login", data={"token": VIEWER}).cookies
    for credentials in ({"headers": bearer(VIEWER)}, {"cookies": cookie}, {"auth": ("x", VIEWER)}):
        answer = httpx.get(server.url + "api/cameras", **credentials)
        assert answer.json()["role"] == "viewer"
        change = httpx.patch(server.url + "api/cameras/north", json={"strength": 0.1}, **credentials)
        assert change.status_code == 403
    assert httpx.get(server.url + "api/cameras", headers=bearer(OPERATOR)).json()["role"] == "operator"
    change = httpx.patch(server.url + "api/cameras/north", json={"strength": 1}, headers=bearer(OPERATOR))
    assert change.status_code == 200


def test_logging_out_ends_the_session_and_no_other(server: WebServer) -> None:
    first, second = (httpx.post(server.url + "login", data={"token": OPERATOR}).cookies for _ in range(2))
    assert httpx.post(server.url + "logout", cookies=first).status_code == 303
    assert httpx.get(server.url + "api/cameras", cookies=first).status_code == 401
    assert httpx.get(server.url + "api/cameras", cookies=second).status_code == 200
    viewer = httpx.post(server.url + "login", data={"token": VIEWER}).cookies
    httpx.post(server.url + "logout", cookies=viewer)
    assert httpx.get(server.url + "api/cameras", cookies=viewer).status_code == 401


def test_a_thousand_wrong_tokens_and_seven_hundred_idle_connections_do_not_lock_the_owner_out(
    server: WebServer,
) -> None:
    session = httpx.post(server.url + "login", data={"token": OPERATOR}).cookies
    with ExitStack() as stack:
        for number in range(700):
            idle = stack.enter_context(socket.create_connection((server.address.host, server.address.port)))
            if number % 2:
                idle.send(b"GET / HTTP/1.1\r\nHost:")  # half a request
            if number % 100 == 99:
                assert httpx.get(server.url + "healthz", timeout=PATIENCE_SECONDS).status_code == 200
        stranger = stack.enter_context(httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS))
        statuses = {stranger.get("/metrics", headers=bearer(f"guess {n}")).status_code for n in range(1000)}
        assert statuses == {401, 429}
        owner = stack.enter_context(httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS, cookies=session))
        assert owner.get("api/cameras").status_code == 200
        assert owner.get("healthz").status_code == 200
        assert owner.post("login", data={"token": OPERATOR}).status_code in (200, 303)
        text = httpx.get(server.url + "metrics", headers=bearer(OPERATOR), timeout=PATIENCE_SECONDS).text
    assert "streamdehaze_wrong_tokens_total 1000.0" in text
    assert "streamdehaze_build_info{" in text


def test_answers_are_sent_without_waiting_for_more(server: WebServer) -> None:
    with httpx.Client() as client:
        assert client.get(server.url + "healthz").status_code == 200
        (connection,) = server._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_request_in_progress_is_not_closed_for_idle_ones(server: WebServer) -> None:
    with (
        httpx.Client(base_url=server.url, headers=bearer(OPERATOR), timeout=PATIENCE_SECONDS) as client,
        client.stream("GET", "/cameras/north/stream?width=320") as answer,
        ExitStack() as stack,
    ):
        pictures = answer.iter_bytes()
        next(pictures)
        for _ in range(200):
            stack.enter_context(socket.create_connection((server.address.host, server.address.port)))
        before = time.monotonic()
        while time.monotonic() < before + 1:
            assert next(pictures)


def test_the_page_over_tls(pipeline: RenderedPipeline, certificate: tuple[Path, Path]) -> None:
    with web_page(pipeline, token=OPERATOR, tls=certificate) as server:
        assert server.url.startswith("https://")
        trust = ssl.create_default_context(cafile=certificate[0])
        with httpx.Client(base_url=server.url, verify=trust) as client:
            login = client.post("/login", data={"token": OPERATOR}, headers={"Origin": server.url.rstrip("/")})
            assert "Secure" in login.headers["set-cookie"]
            assert client.get("/api/cameras").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)
        with pytest.raises(httpx.TransportError):
            httpx.get(server.url.replace("https", "http"))


def test_what_is_not_a_certificate_is_refused_with_a_message(
    pipeline: RenderedPipeline, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("hello")
    for files in ((tmp_path / "text", certificate[1]), (certificate[0], tmp_path / "text")):
        with pytest.raises(ConfigError, match="are not a certificate and its key"):
            WebServer(pipeline, ListenAddress(port=0), tls=files)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        WebServer(pipeline, ListenAddress(port=0), tls=(tmp_path / "none", certificate[1]))


def test_invalid_tokens_are_refused(pipeline: RenderedPipeline) -> None:
    with pytest.raises(ConfigError, match="make two"):
        WebServer(pipeline, ListenAddress(port=0), token=OPERATOR, viewer_token=OPERATOR)
    with pytest.raises(ConfigError, match="needs one for operators"):
        WebServer(pipeline, ListenAddress(port=0), viewer_token=VIEWER)


def test_a_viewers_page_in_a_browser(pipeline: RenderedPipeline, certificate: tuple[Path, Path]) -> None:
    with web_page(pipeline, token=OPERATOR, viewer_token=VIEWER, tls=certificate) as server, chromium() as browser:
        for token, disabled in ((VIEWER, True), (OPERATOR, False)):
            context: Any = browser.new_context(ignore_https_errors=True)
            page = context.new_page()
            page.goto(server.url)
            page.fill("input[name=token]", token)
            page.press("input[name=token]", "Enter")
            page.click(".tile:has-text('north')")
            page.wait_for_selector(".camera:not(.blank)")
            page.wait_for_function(
                """disabled => { const control = document.querySelector('[data-slot=enabled]');
                                 return control.disabled === disabled
                                     && (getComputedStyle(control).opacity < 1) === disabled; }""",
                arg=disabled,
            )
            page.click("#logout button")
            page.wait_for_url("**/login")
            page.goto(server.url)
            assert page.url.endswith("/login")
            basic = b64encode(f"any:{token}".encode()).decode()
            context.set_extra_http_headers({"Authorization": f"Basic {basic}"})
            page.goto(server.url)
            page.wait_for_selector(".tile:has-text('north')")
            context.close()


def secure_camera(certificate: tuple[Path, Path]) -> JpegCamera:
    """A camera that speaks HTTPS with a self-signed certificate."""
    picture = jpeg((64, 48))
    return JpegCamera(lambda number: picture, 0.05, tls=certificate)


def test_an_untrusted_certificate_is_refused_with_a_message_unless_allowed(
    certificate: tuple[Path, Path],
) -> None:
    with secure_camera(certificate) as camera:
        url = camera.url.replace("//", "//admin:hush@")
        with LivePipeline([CameraConfig(name="gate", url=url)], dehazer=quick_dehazer()) as pipeline:
            gate = pipeline.cameras["gate"]
            wait_until(lambda: "is not trusted (self-signed certificate)" in gate.machine.message, "it is refused")
            assert "tls_verify = false" in gate.machine.message
            assert "hush" not in gate.machine.message
        for options in ({"ca_file": certificate[0]}, {"tls_verify": False}):
            config = CameraConfig.model_validate({"name": "gate", "url": url, **options})
            with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
                wait_until(lambda: pipeline.cameras["gate"].status().counters.frames_out, "frames")


@pytest.mark.parametrize(
    ("scheme", "sending", "verify", "refused"),
    [
        ("https", False, None, True),
        ("rtsps", False, None, False),
        ("rtsps", False, True, True),
        ("rtsps", True, None, True),
        ("rtmps", True, None, True),
        ("rtmps", True, False, False),
    ],
)
def test_whose_certificates_are_checked(
    certificate: tuple[Path, Path], scheme: str, sending: bool, verify: bool | None, refused: bool
) -> None:
    with secure_camera(certificate) as camera:
        address = StreamAddress.of(camera.url.replace("https", scheme))
        if refused:
            with pytest.raises(UntrustedError):
                Trust(verify).check(address, sending=sending)
        else:
            assert Trust(verify).check(address, sending=sending) == {}
        assert Trust(True, certificate[0]).check(address, sending=sending)["tls_verify"] == "1"

"""ONVIF cameras are found in the network and list their streams; ours speak SOAP over HTTP and WS-Discovery."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rtsp_camera import free_port
from streamdehaze.cli import main
from streamdehaze.live import read_config
from web_server import Request, give, serving

pytest.importorskip("onvif", reason="needs the extra 'onvif'")
pytest.importorskip("wsdiscovery", reason="needs the extra 'onvif'")

ENVELOPE = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" '
    'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema" '
    'xmlns:ter="http://www.onvif.org/ver10/error"><s:Body>{}</s:Body></s:Envelope>'
)
DATE = (
    "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
    "<tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime><tt:Time><tt:Hour>12</tt:Hour><tt:Minute>0</tt:Minute>"
    "<tt:Second>0</tt:Second></tt:Time><tt:Date><tt:Year>2026</tt:Year><tt:Month>1</tt:Month><tt:Day>1</tt:Day></tt:Date>"
    "</tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
)
SERVICE = (
    "<tds:Service><tds:Namespace>http://www.onvif.org/ver10/{0}/wsdl</tds:Namespace><tds:XAddr>{1}/onvif/{0}</tds:XAddr>"
    "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
)
PROFILE = (
    '<trt:Profiles token="{0}" fixed="true"><tt:Name>{1}</tt:Name><tt:VideoEncoderConfiguration token="e{0}"><tt:Name>e'
    "</tt:Name><tt:UseCount>1</tt:UseCount><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{2}</tt:Width>"
    "<tt:Height>{3}</tt:Height></tt:Resolution><tt:Quality>4</tt:Quality></tt:VideoEncoderConfiguration></trt:Profiles>"
)
URI = (
    "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>rtsp://192.0.2.7:554/{}</tt:Uri><tt:InvalidAfterConnect>false"
    "</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
    "</trt:MediaUri></trt:GetStreamUriResponse>"
)
REFUSAL = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code>"
    '<s:Reason><s:Text xml:lang="en">Sender not authorized</s:Text></s:Reason></s:Fault>'
)
MATCH = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header><a:MessageID>urn:uuid:1</a:MessageID>'
    "<a:RelatesTo>{}</a:RelatesTo><a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>"
    "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action>"
    '<d:AppSequence InstanceId="1" MessageNumber="1"/></s:Header><s:Body><d:ProbeMatches><d:ProbeMatch>'
    "<a:EndpointReference><a:Address>urn:uuid:2</a:Address></a:EndpointReference>"
    '<d:Types xmlns:n="http://www.onvif.org/ver10/network/wsdl">n:NetworkVideoTransmitter</d:Types>'
    "<d:Scopes>onvif://www.onvif.org/name/North%20gate onvif://www.onvif.org/hardware/M1</d:Scopes>"
    "<d:XAddrs>{}/onvif/device_service</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
    "</d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
)


def is_signed(body: str) -> bool:
    """Whether a request has the right WS-Security password digest of "admin", "hush"."""
    found = [re.search(rf"<wsse:{tag}\b[^>]*>([^<]*)<", body) for tag in ("Username", "Password", "Nonce")]
    created = re.search(r"Created[^>]*>([^<]*)<", body)
    if not all(found) or created is None:
        return False
    user, digest, nonce = (match[1] for match in found if match)
    expected = hashlib.sha1(base64.b64decode(nonce) + created[1].encode() + b"hush").digest()
    return user == "admin" and base64.b64decode(digest) == expected


def answer(request: Request) -> None:
    body = request.rfile.read(int(request.headers["Content-Length"])).decode()
    here = f"http://{request.headers['Host']}"
    if "GetSystemDateAndTime" in body:
        content = DATE
    elif not is_signed(body):
        content = REFUSAL
    elif "GetServices" in body:
        services = "".join(SERVICE.format(name, here) for name in ("device", "media"))
        content = f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"
    elif "GetProfiles" in body:
        profiles = PROFILE.format("p2", "low", 640, 360) + PROFILE.format("p1", "main&#8238;", 1920, 1080)
        content = f"<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>"
    else:
        content = URI.format("main" if ">p1<" in body else "low")
    give(request, ENVELOPE.format(content).encode(), "application/soap+xml; charset=utf-8")


@contextlib.contextmanager
def in_the_network(address: str) -> Iterator[None]:
    """Answers probes for devices, as a camera does."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    receiver.bind(("", 3702))
    group = struct.pack("4s4s", socket.inet_aton("239.255.255.250"), socket.inet_aton("0.0.0.0"))
    try:
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    except OSError:
        pytest.skip("no network with multicast")
    over = threading.Event()
    receiver.settimeout(0.1)

    def run() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                probe, sender = receiver.recvfrom(65536)
                if b"/Probe<" in probe:
                    asked = re.search(rb"MessageID[^>]*>([^<]+)<", probe)
                    assert asked
                    receiver.sendto(MATCH.format(asked[1].decode(), address).encode(), sender)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        receiver.close()


def discover(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["discover", *arguments])


@pytest.fixture
def login(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "secret").write_text("hush\n")
    (tmp_path / "secret").chmod(0o600)
    return "--username", "admin", "--password-file", str(tmp_path / "secret")


def test_a_camera_is_found_and_written_as_cameras_toml_reads_it(tmp_path: Path, login: tuple[str, ...]) -> None:
    with serving(answer) as address, in_the_network(address):
        found = discover("--seconds", "1", *login, "--toml")
        assert found.exit_code == 0, found.output
    (tmp_path / "cameras.toml").write_text(found.stdout)
    (camera,) = read_config(tmp_path / "cameras.toml").camera
    assert (camera.name, camera.url, camera.sub_url) == (
        "North gate",
        "rtsp://192.0.2.7:554/main",
        "rtsp://192.0.2.7:554/low",
    )
    assert camera.address().full == "rtsp://admin:hush@192.0.2.7:554/main"


def test_a_camera_lists_its_streams_for_authorised_users(login: tuple[str, ...]) -> None:
    with serving(answer) as address:
        host = address.removeprefix("http://")
        answered = discover(host, *login)
        assert answered.exit_code == 0, answered.output
        assert answered.stdout.splitlines() == [
            host,
            "  main?: 1920×1080, H264, rtsp://192.0.2.7:554/main",
            "  low: 640×360, H264, rtsp://192.0.2.7:554/low",
        ]
        refused = discover(host)
        assert refused.exit_code == 1
        assert "it refuses this user and password, or the lack of them" in refused.output
        assert "Traceback" not in refused.output


def test_what_is_not_a_camera_is_reported_in_a_sentence() -> None:
    with serving(lambda request: give(request, b"<html>a printer</html>", "text/html")) as address:
        for host in (address.removeprefix("http://"), f"127.0.0.1:{free_port()}"):
            answered = discover(host)
            assert answered.exit_code == 1
            assert f"{host} does not list its streams: " in answered.output
    assert discover("127.0.0.1:x").exit_code == 2

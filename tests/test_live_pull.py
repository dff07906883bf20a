"""Other programs read the clear stream from the page's server: players by HLS, players and media servers by WHEP."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from clips import Clip
from doubles import quick_dehazer
from live_feed import RenderedPipeline, web_page
from public_tools import ffmpeg, ffprobe, streams
from rtsp_camera import free_port
from streamdehaze.live import CameraConfig, LivePipeline
from streamdehaze.live.web import WebServer
from waiting import PATIENCE_SECONDS, wait_until

VIEWER = "staple-of-the-viewers"
TOKENS = {"token": "correct-horse-battery", "viewer_token": VIEWER}


def test_a_player_with_the_viewers_token_plays_the_playlist_and_reaches_no_other_file(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("hls")
    film = Clip(pts=tuple(512 * n for n in range(50))).write(folder / "film.mp4")
    to = (str(folder / "gate.m3u8"), str(folder / "gate1.mp4"))
    cameras = [
        CameraConfig(name="North gate", url=str(film), realtime=True, loop=True, to=to),
        CameraConfig(name="yard", url=str(film), realtime=True, loop=True),
    ]
    (folder / "secret.ts").write_bytes(b"hush")
    with LivePipeline(cameras, dehazer=quick_dehazer()) as pipeline, web_page(pipeline, **TOKENS) as server:
        address = server.url + "cameras/North%20gate/hls"

        def ask(file: str, token: str = VIEWER) -> httpx.Response:
            return httpx.get(f"{address}/{file}", auth=("any", token))

        wait_until(lambda: ask("index.m3u8").status_code == 200, "the playlist")
        assert ask("index.m3u8").headers["content-type"] == "application/vnd.apple.mpegurl"
        assert ask("index.m3u8", token="guess").status_code == 401
        for file in ("gate.m3u8", "secret.ts", "film.mp4", "gate1-2026.mp4", "gate99.ts", "..%2fx.ts", "x/gate1.ts"):
            assert ask(file).status_code == 404, file
        nothing = httpx.get(f"{server.url}cameras/yard/hls/index.m3u8", auth=("any", VIEWER))
        assert (nothing.status_code, "writes no playlist" in nothing.json()["error"]) == (404, True)
        player = address.replace("//", f"//any:{VIEWER}@") + "/index.m3u8"
        frames = ffprobe(player, "-read_intervals", "%+#20", "-show_entries", "stream=codec_name:frame=pts_time")
        assert frames["streams"][0]["codec_name"] == "h264"
        assert len(frames["frames"]) >= 20


def listens(port: int) -> bool:
    return any(each.status == "LISTEN" and each.laddr.port == port for each in psutil.net_connections("tcp"))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
def test_the_command_that_go2rtc_makes_of_its_recipe_sends_picture_and_sound_on(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "operators.md").read_text("utf-8")
    recipe = re.search(r'/hls/index\.m3u8#video=(\w+)#audio=(\w+)"', page)
    assert recipe is not None
    codecs = ("-c:v", recipe[1], "-c:a", recipe[2])
    film = Clip(pts=tuple(512 * n for n in range(50)), audio="aac").write(tmp_path / "film.mp4")
    gate = CameraConfig(name="gate", url=str(film), realtime=True, loop=True, to=(f"{tmp_path}/hls/",))
    port, taken = free_port(), tmp_path / "taken.mkv"
    to = f"rtsp://127.0.0.1:{port}/gate"
    with LivePipeline([gate], dehazer=quick_dehazer()) as pipeline, web_page(pipeline, **TOKENS) as server:
        wait_until((tmp_path / "hls" / "index.m3u8").exists, "the playlist")
        playlist = f"{server.url.replace('//', f'//any:{VIEWER}@')}cameras/gate/hls/index.m3u8"
        # FFmpeg takes the stream in, in go2rtc's place.
        with subprocess.Popen(
            ["ffmpeg", "-v", "error", "-nostdin", "-rtsp_flags", "listen", "-i", to, "-c", "copy", taken]
        ) as go2rtc:
            try:
                wait_until(lambda: listens(port), "something to send to")
                ffmpeg(
                    "-fflags",
                    "nobuffer",
                    "-flags",
                    "low_delay",
                    "-i",
                    playlist,
                    *codecs,
                    "-t",
                    "2",
                    "-rtsp_transport",
                    "tcp",
                    "-f",
                    "rtsp",
                    to,
                )
                assert go2rtc.wait(PATIENCE_SECONDS) == 0
            finally:
                go2rtc.kill()
    kinds = {(each["codec_type"], each["codec_name"]) for each in streams(taken) if int(each["nb_read_packets"])}
    assert kinds == {("video", "h264"), ("audio", "aac")}


@pytest.fixture(scope="module")
def rendered() -> Iterator[WebServer]:
    pytest.importorskip("aiortc", reason="WHEP needs the extra 'webrtc'")
    with RenderedPipeline("north") as pipeline, web_page(pipeline, **TOKENS) as server:
        yield server


async def watch(address: str, frames: int) -> tuple[list[Any], str]:
    """Frames as a media server gets them, which asks for sound as well, and the address of the session it ended."""
    from aiortc import RTCPeerConnection, RTCSessionDescription

    peer = RTCPeerConnection()
    peer.addTransceiver("audio", "recvonly")
    peer.addTransceiver("video", "recvonly")
    tracks: asyncio.Queue[Any] = asyncio.Queue()
    peer.on("track", lambda track: tracks.put_nowait(track) if track.kind == "video" else None)
    await peer.setLocalDescription(await peer.createOffer())
    async with httpx.AsyncClient(auth=("any", VIEWER)) as client:
        headers = {"Content-Type": "application/sdp"}
        answer = await client.post(address, content=peer.localDescription.sdp, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (201, "application/sdp")
        await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        track = await asyncio.wait_for(tracks.get(), 30)
        got = [await asyncio.wait_for(track.recv(), 30) for _ in range(frames)]
        session = str(httpx.URL(address).join(answer.headers["location"]))
        assert (await client.delete(session)).status_code == 200
        await peer.close()
    return got, session


def test_a_media_server_gets_the_clear_picture_by_whep_and_ends_the_session(rendered: WebServer) -> None:
    frames, session = asyncio.run(watch(f"{rendered.url}cameras/north/whep", 3))
    picture = frames[-1].to_ndarray(format="rgb24")
    assert (picture.shape[1], picture.shape[0]) == (320, 180), "one picture, not hazy and clear side by side"
    assert picture[90, 80].mean() > 225, "the clear one: 240, and 220 through haze"
    metrics = rendered.url + "metrics"
    wait_until(lambda: "streamdehaze_viewers 0.0" in httpx.get(metrics, auth=("x", VIEWER)).text, "no viewer is left")
    assert httpx.delete(session, auth=("any", VIEWER)).status_code == 404


def test_what_is_not_an_offer_is_refused(rendered: WebServer) -> None:
    address = f"{rendered.url}cameras/north/whep"
    for body, media_type, status in (("v=0", "application/sdp", 422), ("v=0", "text/plain", 415)):
        answer = httpx.post(address, content=body, headers={"Content-Type": media_type}, auth=("any", VIEWER))
        assert answer.status_code == status
    assert httpx.post(address, content="v=0").status_code == 401
    assert httpx.post(address.replace("north", "nobody"), auth=("any", VIEWER)).status_code == 404

"""Cameras that die, freeze, lie and refuse: `LivePipeline` recovers by itself, and reports once what is wrong."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from operator import le
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from changing_camera import JpegCamera, jpeg
from clips import Clip
from doubles import quick_dehazer
from rtsp_camera import RtspCamera, free_port, needs_rtsp_server
from streamdehaze import open_source
from streamdehaze.cli import main
from streamdehaze.errors import Cancelled, SourceError
from streamdehaze.frame import Frame
from streamdehaze.live import Camera, CameraConfig, CameraState, LivePipeline
from streamdehaze.live.retry import Backoff
from waiting import PATIENCE_SECONDS, wait_until
from web_server import Request, give, serving


class Watch:
    """A pipeline with one camera, and what it reported."""

    def __init__(self, url: str, **options: object) -> None:
        self.states: list[tuple[CameraState, str]] = []
        self.frames: list[tuple[float, Frame]] = []
        config = CameraConfig.model_validate({"name": "gate", "url": url, "latency_budget": 2.0, **options})
        self.pipeline = LivePipeline(
            [config],
            dehazer=quick_dehazer(),
            on_frame=lambda camera, hazy, clear: self.frames.append((time.monotonic(), clear)),
            on_state=lambda camera, state, message: self.states.append((state, message)),
        )

    @property
    def camera(self) -> Camera:
        return self.pipeline.cameras["gate"]

    def frames_since(self, moment: float) -> int:
        return sum(1 for when, _ in self.frames if when > moment)

    def seen(self, state: CameraState) -> list[str]:
        return [message for each, message in self.states if each is state]


@contextmanager
def watching(url: str, **options: object) -> Iterator[Watch]:
    watch = Watch(url, **options)
    with watch.pipeline:
        yield watch


def open_things() -> tuple[int, int]:
    """Threads and file descriptors of this process."""
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


@needs_rtsp_server
def test_what_a_cameras_own_clock_says_is_reported_where_it_sends_reports() -> None:
    with RtspCamera(size="160x120") as server, watching(server.url) as watch:
        wait_until(lambda: watch.camera.status().clock_lag_seconds is not None, "a sender report")
        lag = watch.camera.status().clock_lag_seconds
        assert lag is not None
        assert -0.5 < lag < PATIENCE_SECONDS, "the same clock, however busy the machine is"
    picture = jpeg((64, 48))
    with JpegCamera(lambda number: picture) as server, watching(server.url) as watch:
        wait_until(lambda: watch.frames, "frames of a camera without a clock")
        assert watch.camera.status().clock_lag_seconds is None


@needs_rtsp_server
def test_a_camera_that_is_killed_repeatedly_comes_back() -> None:
    chance = random.Random(5)
    with RtspCamera(size="160x120") as server, watching(server.url) as watch:
        wait_until(lambda: watch.frames, "the first frame")
        before = open_things()
        for number in (1, 2, 3):
            time.sleep(chance.uniform(0.1, 0.6))
            server.kill()
            time.sleep(chance.uniform(0.1, 1.5))
            server.start()
            wait_until(lambda: watch.camera.status().counters.reconnects == number, "the camera's return")  # noqa: B023
            returned = time.monotonic()
            wait_until(lambda: watch.frames_since(returned), "a clear frame after it")  # noqa: B023
        assert watch.camera.status().counters.reconnects == 3
        wait_until(lambda: all(map(le, open_things(), before)), f"no more threads and files than {before}")
        times = [frame.pts for _, frame in watch.frames]
        assert all(a is not None and b is not None and a < b for a, b in pairwise(times))


@needs_rtsp_server
def test_a_frozen_camera_is_noticed_and_reopened(caplog: pytest.LogCaptureFixture) -> None:
    with RtspCamera(size="160x120") as server, watching(server.url, stall_seconds=1.0) as watch:
        wait_until(lambda: watch.frames, "the first frame")
        server.freeze()
        wait_until(lambda: watch.seen(CameraState.STALLED), "the stall is noticed")
        time.sleep(0.5)
        server.thaw()
        returned = time.monotonic()
        wait_until(lambda: watch.frames_since(returned), "a clear frame after the thaw")
        wait_until(lambda: watch.camera.machine.state is CameraState.RUNNING, "running")


@needs_rtsp_server
def test_the_first_connection_is_retried_too() -> None:
    server = RtspCamera(size="160x120")
    server.kill()
    with watching(server.url) as watch:
        wait_until(lambda: watch.seen(CameraState.BACKING_OFF), "the refusal is noticed")
        assert "nothing listens" in watch.seen(CameraState.BACKING_OFF)[0]
        server.start()
        try:
            wait_until(lambda: watch.frames, "the first frame")
        finally:
            server.kill()


@contextmanager
def answering(answer: bytes, *, trickle: float = 0.0) -> Iterator[str]:
    """A server that accepts, gives every request `answer` (byte by byte, if it trickles), and its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.settimeout(0.1)
        with connection:
            while not stop.is_set():
                try:
                    if not connection.recv(4096):
                        return
                except TimeoutError:
                    continue
                except OSError:
                    return
                parts = [answer[i : i + 1] for i in range(len(answer))] if trickle else [answer]
                for part in parts:
                    if stop.wait(trickle):
                        return
                    try:
                        connection.sendall(part)
                    except OSError:
                        return

    def accept() -> None:
        listener.settimeout(0.1)
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield f"rtsp://127.0.0.1:{listener.getsockname()[1]}/stream"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        listener.close()


@pytest.mark.parametrize(
    ("answer", "trickle", "patience"),
    [
        (b"", 0.0, "open_seconds"),
        (b"RTSP/1.0 200 OK\r\nCSeq: " + b"1" * 1000, 0.05, "open_seconds"),
        (b"", 0.0, "stall_seconds"),
    ],
)
def test_a_server_that_says_nothing_or_trickles_is_given_up_in_time(
    answer: bytes, trickle: float, patience: str
) -> None:
    seconds = {"open_seconds": 60.0, patience: 1.0}
    with answering(answer, trickle=trickle) as url, watching(url, **seconds) as watch:
        wait_until(lambda: watch.seen(CameraState.BACKING_OFF), "it is given up")
        assert "did not answer within 1 s" in watch.seen(CameraState.BACKING_OFF)[0]
        watch.pipeline.stop()
        assert watch.camera.machine.state is CameraState.ENDED


@pytest.mark.parametrize(("status", "kind"), [("453 Not Enough Bandwidth", "4xx"), ("503 Service Unavailable", "5xx")])
def test_a_camera_that_takes_no_more_clients_is_reported_in_words(status: str, kind: str) -> None:
    with answering(f"RTSP/1.0 {status}\r\nCSeq: 1\r\n\r\n".encode()) as url, watching(url) as watch:
        wait_until(lambda: watch.seen(CameraState.BACKING_OFF), "it is refused")
        assert (
            f"{url} answers with an error ({kind}), often because as many are connected"
            in watch.camera.status().message
        )


def test_stopping_does_not_wait_for_a_silent_server() -> None:
    with answering(b"") as url, watching(url, open_seconds=36_000.0) as watch:
        time.sleep(0.5)
        watch.pipeline.stop()
        assert watch.camera.machine.state is CameraState.ENDED


_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 {codec}/90000\r\na=control:track1\r\n"
)


@contextmanager
def faking(codec: str, packets: Iterator[bytes]) -> Iterator[str]:
    """A server that announces `codec` and then sends interleaved packets with this content."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        listener.settimeout(0.1)
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(0.1)
                try:
                    _speak(connection, codec, packets, stop)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"rtsp://127.0.0.1:{listener.getsockname()[1]}/stream"
    finally:
        stop.set()
        thread.join()
        listener.close()


def _speak(connection: socket.socket, codec: str, packets: Iterator[bytes], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            request = connection.recv(8192).decode("latin1")
        except TimeoutError:
            continue
        if not request:
            return
        number = next(line for line in request.split("\r\n") if line.startswith("CSeq"))
        head, body = f"RTSP/1.0 200 OK\r\n{number}\r\n", ""
        if request.startswith("OPTIONS"):
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif request.startswith("DESCRIBE"):
            body = _SDP.format(codec=codec)
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        else:
            head += "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        connection.sendall(f"{head}\r\n{body}".encode())
        if request.startswith("PLAY"):
            for packet in packets:
                if stop.wait(0.005):
                    return
                connection.sendall(b"$\x00" + len(packet).to_bytes(2, "big") + packet)


def _garbage() -> Iterator[bytes]:
    chance = random.Random(7)
    number = 0
    while True:
        number += 1
        header = bytes([0x80, 96]) + (number & 0xFFFF).to_bytes(2, "big") + (number * 6000).to_bytes(4, "big") + b"abcd"
        yield header + chance.randbytes(chance.randrange(1, 1200))


def test_a_camera_that_sends_garbage_is_survived_and_given_up() -> None:
    with faking("H264", _garbage()) as url, watching(url, open_seconds=3.0, stall_seconds=2.0) as watch:
        lost = (CameraState.BACKING_OFF, CameraState.STALLED, CameraState.FAILED)
        wait_until(lambda: any(watch.seen(state) for state in lost), "it is given up")
        assert "no frame" in watch.camera.status().message or "understood" in watch.camera.status().message
        assert not watch.frames
        assert watch.pipeline.error is None


def test_an_unknown_codec_is_reported_as_such() -> None:
    with faking("X-NOBODY", _garbage()) as url, watching(url) as watch:
        wait_until(lambda: watch.seen(CameraState.FAILED), "it has failed")
        assert "no decoder" in watch.seen(CameraState.FAILED)[0]


@needs_rtsp_server
def test_wrong_passwords_and_missing_streams_are_distinguished_and_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with RtspCamera(size="160x120", user="admin", password="right&proper") as server:
        place = f"127.0.0.1:{server.port}"
        with watching(f"rtsp://admin:wr0ng@{place}/stream", slow_retry_seconds=0.2) as watch:
            wait_until(lambda: len(watch.seen(CameraState.FAILED)) >= 3, "three refusals")
            assert f"rtsp://{place}/stream refuses this user and password" in watch.camera.status().message
        with watching(f"rtsp://{place}/nothing", username="admin", password_env="RIGHT") as watch:
            wait_until(lambda: watch.seen(CameraState.FAILED), "the variable is missed")
            assert "RIGHT" in watch.camera.status().message
        os.environ["RIGHT"] = "right&proper"
        try:
            with watching(f"rtsp://{place}/nothing", username="admin", password_env="RIGHT") as watch:
                wait_until(lambda: watch.seen(CameraState.FAILED), "no such stream")
                assert "has no such stream" in watch.camera.status().message
            with watching(f"rtsp://admin:${{RIGHT}}@{place}/stream") as watch:
                wait_until(lambda: watch.frames, "the right password is accepted")
        finally:
            del os.environ["RIGHT"]
    assert sum("refuses this user" in record.getMessage() for record in caplog.records) == 1
    assert not any(secret in caplog.text for secret in ("wr0ng", "right&proper", "right%26proper", "admin"))


def test_an_unknown_host_is_reported_as_such() -> None:
    with watching("rtsp://no-such-host.invalid/stream") as watch:
        wait_until(lambda: watch.seen(CameraState.BACKING_OFF), "it is noticed")
        assert "'no-such-host.invalid' is not known" in watch.camera.status().message


@needs_rtsp_server
def test_another_codec_size_and_rate_after_a_reconnect() -> None:
    with RtspCamera(size="160x120", codec="h264") as server, watching(server.url) as watch:
        wait_until(lambda: watch.frames, "the first frame")
        assert (watch.camera.status().width, watch.camera.status().codec) == (160, "h264")
        server.kill()
        server.start(size="320x240", codec="mjpeg", fps="5")
        wait_until(lambda: watch.frames[-1][1].width != 160, "a frame in the other format")
        status = watch.camera.status()
        assert (status.width, status.height, status.codec) == (320, 240, "mjpeg")
        times = [frame.pts for _, frame in watch.frames]
        assert times == sorted(set(times))


def test_nothing_is_shown_before_a_keyframe(tmp_path: Path) -> None:
    path = tmp_path / "from-the-middle.ts"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "20", "bf": "0", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        pictures = [av.VideoFrame(64, 48, "yuv420p") for _ in range(60)]
        packets = [packet for picture in (*pictures, None) for packet in stream.encode(picture)]
        for packet in packets[5:]:
            output.mux(packet)
    with watching(str(path)) as watch:
        wait_until(lambda: watch.camera.idle, "the end")
        assert watch.camera.status().counters.dropped == {"waiting_for_keyframe": 15}
    assert len(watch.frames) == 40


def test_waits_between_tries_double_up_to_a_cap_and_differ_between_cameras() -> None:
    gate, yard = Backoff(0.25, 2.0, "gate"), Backoff(0.25, 2.0, "yard")
    waits, others = [gate.next() for _ in range(6)], [yard.next() for _ in range(6)]
    assert all(longest / 2 <= wait <= longest for wait, longest in zip(waits, (0.25, 0.5, 1, 2, 2, 2), strict=True))
    assert all(wait != other for wait, other in zip(waits, others, strict=True))
    gate.reset()
    assert gate.next() <= 0.25


def test_a_device_that_is_not_plugged_in_is_reported_as_such() -> None:
    with watching("/dev/video63") as watch:
        wait_until(lambda: watch.seen(CameraState.FAILED), "it is missed")
        assert watch.camera.status().message == "'/dev/video63' does not exist"


@needs_rtsp_server
@pytest.mark.parametrize("transport", ["udp", "http"])
def test_other_transports(transport: str) -> None:
    with RtspCamera(size="160x120") as server, watching(server.url, transport=transport) as watch:
        wait_until(lambda: len(watch.frames) > 5, "frames")


def test_a_stream_whose_pictures_begin_after_its_sound_is_asked_again_soon(tmp_path: Path) -> None:
    film = Clip(audio="mp2").write(tmp_path / "film.ts")
    with av.open(str(film)) as source, av.open(str(tmp_path / "sound.ts"), "w") as output:
        copy = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    answers = iter([tmp_path / "sound.ts"])

    def answer(request: Request) -> None:
        give(request, next(answers, film).read_bytes(), "video/mp2t")

    with serving(answer) as url, watching(f"{url}/live.flv", slow_retry_seconds=600) as watch:
        wait_until(lambda: len(watch.frames) > 5, "frames")
        assert "has no video stream, only audio" in watch.seen(CameraState.BACKING_OFF)[0]


@needs_rtsp_server
def test_a_camera_that_wants_another_transport_says_so() -> None:
    with RtspCamera(size="160x120", udp_only=True) as server:
        with watching(server.url) as watch:
            wait_until(lambda: watch.seen(CameraState.FAILED), "it is refused")
            assert "does not send by this transport; try another" in watch.camera.status().message
        with watching(server.url, transport="udp") as watch:
            wait_until(lambda: len(watch.frames) > 5, "frames")


@needs_rtsp_server
def test_one_frame_a_second_is_no_stall() -> None:
    with (
        RtspCamera(size="160x120", fps="1", gop=1) as server,
        watching(server.url, stall_seconds=2.5) as watch,
    ):
        wait_until(lambda: len(watch.frames) >= 4, "frames of a slow camera")
        assert [state for state, _ in watch.states] == [CameraState.RUNNING]


def test_a_slow_file_is_waited_for_as_long_as_it_takes(tmp_path: Path) -> None:
    path = Clip(pts=(0, 12800, 25600, 64000)).write(tmp_path / "slow.mp4")  # 2 and 3 s between two frames
    with watching(str(path), realtime=True, stall_seconds=0.5) as watch:
        wait_until(lambda: watch.camera.idle, "the film's end")
        assert [state for state, _ in watch.states] == [CameraState.RUNNING, CameraState.ENDED]
        assert len(watch.frames) == 4


def test_a_file_without_a_picture_is_not_reopened_endlessly(tmp_path: Path) -> None:
    path = Clip(pts=range(0, 512 * 5, 512)).write(tmp_path / "bad.mkv")
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    content = path.read_bytes()
    for packet in packets:
        content = content.replace(packet, bytes(len(packet)))
    path.write_bytes(content)
    with watching(str(path), realtime=True, loop=True) as watch:
        wait_until(lambda: bool(watch.seen(CameraState.FAILED)), "it is given up")
        assert "could be decoded" in watch.seen(CameraState.FAILED)[0]


@needs_rtsp_server
def test_b_frames_and_a_clock_that_wraps_come_in_order_and_evenly() -> None:
    near_the_end = (1 << 32) - 90000  # RTP's clock wraps after a second
    with (
        RtspCamera(size="160x120", fps="15", b_frames=2, rtp_offset=near_the_end) as server,
        watching(server.url, latency_budget=600.0, buffer_frames=1000) as watch,
    ):
        wait_until(lambda: len(watch.frames) >= 45, "three seconds of frames")
        times = [frame.pts for _, frame in watch.frames]
        steps = [b - a for a, b in pairwise(times) if a is not None and b is not None][10:]
        assert min(steps) > 0.5 * 6000
        assert max(steps) < 3 * 6000


@needs_rtsp_server
def test_for_frame_in_open_source() -> None:
    with RtspCamera(size="160x120") as server:
        source = open_source(server.url)
        assert (source.info.width, source.info.codec) == (160, "h264")
        frames = [frame for frame, _ in zip(source, range(10), strict=False)]
        source.close()
        times = [frame.pts for frame in frames]
        assert len(times) == 10
        assert times == sorted(set(times))


def test_open_source_reports_what_is_wrong() -> None:
    with pytest.raises(SourceError, match=r"nothing listens at rtsp://127\.0\.0\.1"):
        open_source(f"rtsp://me:secret@127.0.0.1:{free_port()}/", wait_seconds=1.0)


def test_waiting_for_a_camera_ends_when_it_is_stopped() -> None:
    stop = threading.Event()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(Cancelled, match="stopped while waiting"):
            open_source(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/", stop=stop, wait_seconds=PATIENCE_SECONDS)


def test_run_refuses_a_camera_and_names_the_command_for_it(tmp_path: Path) -> None:
    arguments = ["run", "-v", "rtsp://me:secret@192.0.2.7/?key=secret", "-o", str(tmp_path / "x.mkv")]
    result = CliRunner().invoke(main, [*arguments, "--report", str(tmp_path / "report.json")])
    assert result.exit_code == 1
    assert "secret" not in result.output + (tmp_path / "report.json").read_text()
    assert "rtsp://192.0.2.7/ is a live stream, which has no end; use 'streamdehaze live'" in result.output

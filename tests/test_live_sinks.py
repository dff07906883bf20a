"""Where clear streams go: files that survive a power cut, playlists, servers; and sinks that die and come back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from clips import Clip
from doubles import quick_dehazer
from rtsp_camera import RtspCamera, free_port, needs_rtsp_server
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Frame
from streamdehaze.live import Camera, CameraConfig, LivePipeline
from streamdehaze.live.writing.retention import Retention
from streamdehaze.live.writing.sink import LiveSink
from streamdehaze.video.packets import EncodedPacket
from streamdehaze.video.reading.times.timeline import TICK
from streamdehaze.video.writing.containers import Output
from streamdehaze.video.writing.encoding.encode import StreamSetup, VideoEncoder
from streamdehaze.video.writing.encoding.encoding import Encoding
from streamdehaze.video.writing.mux import Muxer
from streamdehaze.video.writing.remote import Remote
from streamdehaze.video.writing.sound import CameraSound, SoundFormat
from streamdehaze.video.writing.target import LiveTarget
from waiting import PATIENCE_SECONDS, wait_until


@contextmanager
def sending(url: str, to: Sequence[str | Path], **options: object) -> Iterator[Camera]:
    """A running camera with these sinks, which never drops frames for being late."""
    values = {
        "name": "gate",
        "url": url,
        "to": [str(each) for each in to],
        "latency_budget": 9.0,
        "buffer_frames": 250,
        **options,
    }
    with LivePipeline([CameraConfig.model_validate(values)], dehazer=quick_dehazer()) as pipeline:
        yield pipeline.cameras["gate"]


def film(folder: Path, frames: int = 50, **facts: object) -> Path:
    """A file of 25 frames a second."""
    return Clip(pts=tuple(512 * n for n in range(frames)), **facts).write(folder / "film.mp4")  # type: ignore[arg-type]


def pictures(path: Path) -> list[float]:
    """The times in seconds of all pictures that can be decoded."""
    with av.open(str(path)) as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


def play_through(camera: Camera) -> None:
    wait_until(lambda: camera.idle, "the film's end")


def test_a_file_played_as_fast_as_it_goes_loses_no_frame_and_no_sound(tmp_path: Path) -> None:
    heard = []
    path = Clip(pts=tuple(512 * n for n in range(50)), audio="pcm_s16le").write(tmp_path / "film.mkv")
    with sending(str(path), [tmp_path / "clear.mkv"]) as camera:
        play_through(camera)
    (clear,) = tmp_path.glob("clear-*.mkv")
    times = pictures(clear)
    assert [round(time * 25) for time in times] == list(range(50))
    assert camera.status().counters.dropped == {}
    for each in (path, clear):
        with av.open(str(each)) as container:
            heard.append(
                [(packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(audio=0) if packet.size]
            )
    assert heard[0] == heard[1]


def test_real_time_takes_real_time_and_a_loop_never_ends(tmp_path: Path) -> None:
    path = film(tmp_path, frames=25)
    began = time.monotonic()
    with sending(str(path), [], realtime=True) as camera:
        play_through(camera)
    assert time.monotonic() - began > 0.9
    with sending(str(path), [tmp_path / "clear.mkv"], loop=True) as camera:
        wait_until(lambda: camera.status().counters.frames_out > 60, "the third time around")
    (clear,) = tmp_path.glob("clear-*.mkv")
    assert all(b - a == pytest.approx(0.04, abs=0.002) for a, b in pairwise(pictures(clear)))


def test_files_are_cut_by_size_and_none_loses_a_frame(tmp_path: Path) -> None:
    noise = film(tmp_path, frames=100, size=(320, 240))
    with sending(str(noise), [tmp_path / "clear.ts"], segment_bytes=1) as camera:
        play_through(camera)
    files = sorted(tmp_path.glob("clear-*.ts"), key=lambda path: path.stat().st_mtime)
    assert len(files) >= 2, "a new file at each keyframe, every two seconds at least"
    assert sum(len(pictures(path)) for path in files) == 100


def test_files_are_cut_by_time(tmp_path: Path) -> None:
    with sending(str(film(tmp_path, frames=200)), [tmp_path / "clear.mkv"], segment_seconds=4) as camera:
        play_through(camera)
    assert sorted(len(pictures(path)) for path in tmp_path.glob("clear-*.mkv")) == [100, 100]


def test_a_file_that_is_deleted_while_it_is_written_is_followed_by_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "recordings"
    to = [folder / "%H%M%S.mkv"]
    with sending(str(film(tmp_path)), to, realtime=True, loop=True) as camera:
        wait_until(lambda: camera.status().sinks[0].packets > 5, "pictures")
        shutil.rmtree(folder)
        wait_until(lambda: list(folder.glob("*.mkv")), "the next file")
        before = camera.status().sinks[0].packets
        wait_until(lambda: camera.status().sinks[0].packets > before + 5, "pictures in it")
    (kept,) = folder.glob("*.mkv")
    assert len(pictures(kept)) > 5
    assert caplog.text.count("was deleted while it was being written; the next file begins") == 1


_RECORD = """
import sys, time
from doubles import quick_dehazer
from streamdehaze.live import CameraConfig, LivePipeline
config = CameraConfig(name="gate", url=sys.argv[1], to=(sys.argv[2],), realtime=True, loop=True)
with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
    while pipeline.cameras["gate"].status().sinks[0].packets < 75:
        time.sleep(0.05)
    print("recorded", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".ts"])
def test_a_file_can_be_played_after_a_power_cut(tmp_path: Path, ending: str) -> None:
    command = [sys.executable, "-c", _RECORD, str(film(tmp_path)), str(tmp_path / f"clear{ending}")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as recorder:
        assert recorder.stdout is not None
        assert recorder.stdout.readline() == "recorded\n"
        recorder.send_signal(signal.SIGKILL)
    (clear,) = tmp_path.glob(f"clear-*{ending}")
    assert len(pictures(clear)) >= 40, "all except the last second or two"


_FILL = """
import logging, os, sys, time
from pathlib import Path
from doubles import quick_dehazer
from streamdehaze.live import CameraConfig, LivePipeline
logging.basicConfig(format="%(message)s", level=logging.INFO)
film, folder = sys.argv[1], Path(sys.argv[2])
config = CameraConfig(name="gate", url=film, to=(f"{folder}/clear.mkv",), realtime=True, loop=True, bitrate=300_000)
with LivePipeline([config], dehazer=quick_dehazer()) as pipeline:
    sink = lambda: pipeline.cameras["gate"].status().sinks[0]
    while "no space is left" not in sink().message:
        time.sleep(0.02)
    tries = sink().reconnects
    while sink().reconnects == tries or sink().connected:
        time.sleep(0.02)
    logging.info("files %s", len(list(folder.glob("clear-*.mkv"))))
    for path in folder.iterdir():
        path.unlink()
    before = sink().packets
    while sink().packets < before + 60:
        time.sleep(0.02)
    logging.info("continues")
"""


def test_a_full_disk_is_reported_once_left_clean_and_written_to_again_when_there_is_room(tmp_path: Path) -> None:
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    disk = tmp_path / "disk"
    disk.mkdir()
    if not shutil.which("unshare") or subprocess.run([*mount, f"mount -t tmpfs none {disk}"]).returncode:
        pytest.skip("needs a small disk of its own: unshare and the right to mount a tmpfs in a namespace")
    noise = film(tmp_path, frames=100, size=(320, 240))
    script = f'mount -t tmpfs -o size=200k none {disk} && exec "$0" -c "$1" "$2" {disk}'
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    ran = subprocess.run(
        [*mount, script, sys.executable, _FILL, str(noise)],
        stderr=subprocess.PIPE, text=True, env=environment, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    said = ran.stderr.splitlines()
    assert "continues" in said, ran.stderr
    assert "files 1" in said
    assert sum("no space is left on the device" in line for line in said) == 1
    assert sum("is back" in line for line in said) == 1


def test_a_playlist_in_a_folder(tmp_path: Path) -> None:
    with sending(str(film(tmp_path, frames=125)), [f"{tmp_path}/web/"]) as camera:
        play_through(camera)
    assert len(pictures(tmp_path / "web" / "index.m3u8")) == 125


_LISTEN = """
import sys, av
with av.open(sys.argv[1], container_options={"listen": "1", "fflags": "nobuffer"}) as container:
    print(*[stream.codec_context.name for stream in container.streams], flush=True)
    for number, frame in enumerate(container.decode(video=0)):
        if number % 10 == 0:
            print("frame", flush=True)
"""


@contextmanager
def rtmp_server(port: int) -> Iterator[subprocess.Popen[str]]:
    """FFmpeg listening for an RTMP stream, which it decodes."""
    command = [sys.executable, "-c", _LISTEN, f"rtmp://127.0.0.1:{port}/live/gate"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server
        finally:
            server.kill()


def test_an_rtmp_server_that_dies_is_reconnected_and_a_file_written_meanwhile_loses_nothing(tmp_path: Path) -> None:
    port = free_port()
    targets = [f"rtmp://127.0.0.1:{port}/live/gate", str(tmp_path / "clear.mkv")]
    with sending(str(film(tmp_path)), targets, realtime=True, loop=True) as camera:
        wait_until(lambda: "nothing listens" in camera.status().sinks[0].message, "nothing listens yet")
        for _ in range(2):
            with rtmp_server(port) as server:
                assert server.stdout is not None
                assert server.stdout.readline() == "h264\n"
                assert server.stdout.readline() == "frame\n"
            wait_until(lambda: not camera.status().sinks[0].connected, "the death is noticed")
        status = camera.status()
    assert status.sinks[0].reconnects == 1
    assert status.counters.dropped["sink_down"] > 0
    assert "sink_full" not in status.counters.dropped
    (clear,) = tmp_path.glob("clear-*.mkv")
    assert len(pictures(clear)) == camera.status().counters.frames_out


@pytest.mark.parametrize("codec", ["pcm_alaw", "pcm_mulaw", "libopus"])
def test_sound_that_rtmp_servers_do_not_know_becomes_aac(tmp_path: Path, codec: str) -> None:
    port = free_port()
    clip = Clip(pts=tuple(512 * n for n in range(50)), audio=codec).write(tmp_path / "film.nut")
    with (
        rtmp_server(port) as server,
        sending(str(clip), [f"rtmp://127.0.0.1:{port}/live/gate"], realtime=True, loop=True),
    ):
        assert server.stdout is not None
        assert sorted(server.stdout.readline().split()) == ["aac", "h264"]
        assert server.stdout.readline() == "frame\n"


def test_a_sender_that_dies_is_not_taken_for_the_server(tmp_path: Path) -> None:
    with (
        rtmp_server(port := free_port()) as server,
        sending(str(film(tmp_path)), [f"rtmp://127.0.0.1:{port}/live/gate"], realtime=True, loop=True) as camera,
    ):
        assert server.stdout is not None
        assert server.stdout.readline() == "h264\n"
        (sender,) = (child for child in psutil.Process().children() if "sender.py" in "".join(child.cmdline()))
        sender.send_signal(signal.SIGABRT)
        wait_until(lambda: "ended by SIGABRT" in camera.status().sinks[0].message, "it is noticed")


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_server_that_accepts_and_says_nothing_does_not_hold_up_cameras(tmp_path: Path, scheme: str) -> None:
    arrivals: list[Frame] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        to = f"{scheme}://me:hush@127.0.0.1:{silent.getsockname()[1]}/live/gate"
        config = CameraConfig(name="gate", url=str(film(tmp_path)), realtime=True, loop=True, to=(to,))
        with LivePipeline(
            [config], dehazer=quick_dehazer(), on_frame=lambda camera, hazy, clear: arrivals.append(clear)
        ) as pipeline:
            camera = pipeline.cameras["gate"]
            wait_until(lambda: psutil.Process().children(), "the process that sends")
            assert not any("hush" in word for child in psutil.Process().children() for word in child.cmdline())
            before = len(arrivals)
            wait_until(lambda: "did not answer within 5 s" in camera.status().sinks[0].message, "it is given up")
            assert len(arrivals) > before + 1, "no frame waited for it"
            assert not camera.status().sinks[0].connected
    # By now there may be another try: its process ends once the server has been silent for long enough.
    wait_until(lambda: not psutil.Process().children(), "no process is left")


def live_encoder(codec: str, frame: Frame) -> VideoEncoder:
    return VideoEncoder(StreamSetup.live(frame, Encoding.for_viewers(codec, "live")))


def test_every_frame_that_does_not_fit_is_counted(tmp_path: Path) -> None:
    drops: Counter[str] = Counter()
    sink = LiveSink(
        LiveTarget.of(str(tmp_path / "clear.mkv"), "gate"), "gate", segment_seconds=10, segment_bytes=None,
        retention=Retention(""), sound=lambda: None,
        drop=lambda reason, count: drops.update({reason: count}), written=lambda *_: None,
    )  # fmt: skip
    frame = Frame.from_array(np.zeros((48, 64, 3), np.uint8))
    encoder = live_encoder("libx264", frame)
    for number in range(12):  # a megabyte each, and none is written, so eight fit
        sink.offer(EncodedPacket(bytes(1 << 20), number, number, 1, TICK, number % 8 == 0, encoder))
    assert sum(drops.values()) == 9 + 3  # all except the new one that comes as a keyframe
    assert drops["sink_full"] == 9


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
def test_every_frame_comes_out_of_the_encoder_at_once(codec: str) -> None:
    frames = [Frame.from_array(np.full((48, 64, 3), 8 * n, np.uint8), pts=3600 * n, time_base=TICK) for n in range(12)]
    encoder = live_encoder(codec, frames[0])
    for number, frame in enumerate(frames):
        (packet,) = encoder.encode(frame, keyframe=number == 6)
        assert packet.pts == 3600 * number
        assert packet.is_keyframe == (number in (0, 6))
    assert encoder.flush() == []


def test_what_could_not_be_finished_in_time_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Output, "close", lambda self: time.sleep(3))  # a disk that hangs
    config = CameraConfig(name="gate", url=str(film(tmp_path)), realtime=True, loop=True, to=(f"{tmp_path}/clear.mkv",))
    pipeline = LivePipeline([config], dehazer=quick_dehazer())
    pipeline.start()
    wait_until(lambda: any(sink.connected for sink in pipeline.cameras["gate"].status().sinks), "it is written")
    assert not pipeline.stop(1.0)
    assert "gate: its files and streams could not be finished in" in caplog.text


def test_a_transport_stream_over_udp(tmp_path: Path) -> None:
    port = free_port()
    receiver = f"udp://127.0.0.1:{port}"
    with (
        sending(str(film(tmp_path)), [receiver], realtime=True, loop=True),
        av.open(receiver, container_options={"probesize": "50000"}, timeout=PATIENCE_SECONDS) as container,
    ):
        times = [frame.time for frame, _ in zip(container.decode(video=0), range(25), strict=False)]
    assert times == sorted(times)


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "udp"])
def test_an_unknown_server_is_reported_as_such(tmp_path: Path, scheme: str) -> None:
    with sending(str(film(tmp_path)), [f"{scheme}://no-such-host.invalid:5000/x"], realtime=True, loop=True) as camera:
        wait_until(lambda: camera.status().sinks[0].message, "it is noticed")
        assert camera.status().sinks[0].message == "the host 'no-such-host.invalid' is not known here"


def test_what_is_sent_begins_with_the_first_picture(tmp_path: Path) -> None:
    frame = Frame.from_array(np.zeros((48, 64, 3), np.uint8), pts=0, time_base=TICK)
    encoder = live_encoder("libx264", frame)
    packets = [
        EncodedPacket.of(packet, encoder)
        for number in range(5)
        for packet in encoder.encode(replace(frame, pts=3600 * number), keyframe=number == 0)
    ]
    taken = tmp_path / "taken.nut"
    muxer = Muxer(Remote(str(taken), "nut", {}, PATIENCE_SECONDS), packets[0])
    for packet in packets:
        muxer.send(packet)
    muxer.close()
    with av.open(str(taken)) as container:
        assert [bytes(each) for each in container.demux(video=0) if each.size] == [each.data for each in packets]


def test_datagrams_hold_whole_packets_of_the_transport_stream(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_SECONDS)
        to = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        with sending(str(film(tmp_path)), [to], realtime=True, loop=True):
            datagrams = [receiver.recv(65536) for _ in range(20)]
    assert {len(datagram) % 188 for datagram in datagrams} == {0}
    assert max(map(len, datagrams)) <= 1316


@needs_rtsp_server
def test_a_stream_is_announced_to_an_rtsp_server_with_its_sound(tmp_path: Path) -> None:
    taken = tmp_path / "taken.mkv"
    with RtspCamera(size="160x120", audio=True) as source, RtspCamera(record=taken, audio=True) as server:
        with sending(source.url, [server.url, tmp_path / "clear.ts"]) as camera:
            wait_until(lambda: camera.status().sinks[0].packets > 75, "five seconds of pictures")
        wait_until(
            lambda: taken.stat().st_size > sum(p.stat().st_size for p in tmp_path.glob("clear-*.ts")) / 2, "it is taken"
        )
    assert len(pictures(taken)) > 20
    with av.open(str(taken)) as container:
        assert {packet.stream.type for packet in container.demux() if packet.size} == {"video", "audio"}


@needs_rtsp_server
def test_announced_pictures_and_sound_stay_in_step(tmp_path: Path) -> None:
    """Who takes them gets the times that they have in a file of the same camera, all shifted alike."""
    announced = f"rtsp://127.0.0.1:{free_port()}/stream"
    listening = {"rtsp_flags": "listen", "listen_timeout": str(PATIENCE_SECONDS)}
    with (
        RtspCamera(size="160x120", audio=True) as source,
        ThreadPoolExecutor(1) as listener,
        sending(source.url, [announced, tmp_path / "clear.mkv"]),
    ):
        taken = listener.submit(times_of_contents, announced, 50, listening).result(PATIENCE_SECONDS)
    (file,) = tmp_path.glob("clear-*.mkv")
    kept = times_of_contents(str(file))
    shifts = {
        kind: [taken[kind][each] - time for each, time in kept[kind].items() if each in taken[kind]] for kind in kept
    }
    assert min(len(found) for found in shifts.values()) > 10
    assert max(map(max, shifts.values())) - min(map(min, shifts.values())) < 0.02, "a millisecond, and RTP's ticks"


def times_of_contents(
    url: str, enough: int | None = None, options: dict[str, str] | None = None
) -> dict[str, dict[bytes, float]]:
    """When each picture and each packet of sound is shown, in seconds, up to so many pictures."""
    times: dict[str, dict[bytes, float]] = {"video": {}, "audio": {}}
    with av.open(url, options=options or {}) as container:
        for packet in container.demux():
            if packet.stream.type == "audio" and packet.pts is not None:
                times["audio"][bytes(packet)] = float(packet.pts * packet.time_base)
            elif packet.stream.type == "video":
                timed = [frame for frame in packet.decode() if frame.time is not None]  # FFmpeg's RTSP: not the first
                times["video"] |= {frame.to_ndarray().tobytes(): frame.time for frame in timed}
            if len(times["video"]) == enough:
                break
    return times


@needs_rtsp_server
def test_a_server_that_wants_another_password_is_recognised(tmp_path: Path) -> None:
    taken = tmp_path / "taken.mkv"
    with RtspCamera(record=taken, user="me", password="right") as server:
        wrong, right = (f"rtsp://me:{word}@127.0.0.1:{server.port}/stream" for word in ("hush", "right"))
        with sending(str(film(tmp_path)), [wrong, right], realtime=True, loop=True) as camera:
            wait_until(lambda: "refuses this user and password" in camera.status().sinks[0].message, "refused")
            wait_until(lambda: camera.status().sinks[1].connected, "taken")
            assert "hush" not in str(camera.status())


@pytest.mark.parametrize(
    ("codec", "ending", "not_in"),
    [
        ("pcm_alaw", "nut", {"mp4", "mpegts", "hls", "flv"}),
        ("pcm_mulaw", "nut", {"mp4", "mpegts", "hls", "flv"}),
        ("libopus", "nut", {"flv"}),
        ("aac", "nut", set()),
        ("aac", "ts", {"mp4", "rtsp", "hls"}),
    ],
)
def test_sound_of_cameras_goes_into_matroska_as_it_is(
    tmp_path: Path, codec: str, ending: str, not_in: set[str]
) -> None:
    clip = Clip(pts=tuple(512 * n for n in range(25)), audio=codec).write(tmp_path / f"film.{ending}")
    frame = Frame.from_array(np.zeros((48, 64, 3), np.uint8), pts=0, time_base=TICK)
    encoder = live_encoder("libx264", frame)
    (encoded,) = encoder.encode(frame, keyframe=True)
    picture = EncodedPacket.of(encoded, encoder)
    with av.open(str(clip)) as container:
        sound = SoundFormat(container.streams.audio[0])
        packets = [EncodedPacket.of(packet, sound) for packet in container.demux(audio=0) if packet.size]
    formats = ("matroska", "mp4", "mpegts", "hls", "flv", "rtsp")
    assert {each for each in formats if CameraSound(sound, each).aac is not None} == not_in
    output = LiveTarget.of(str(tmp_path / "clear.mkv"), "gate").open_file(tmp_path / "clear.mkv")
    muxer = Muxer(output, picture, CameraSound(sound, "matroska"))
    for each in (picture, *packets):
        muxer.send(each)
    output.close()
    with av.open(str(tmp_path / "clear.mkv")) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == sound.codec
        head = 7 if ending == "ts" else 0  # the parameters
        assert [bytes(each) for each in container.demux(audio=0) if each.size] == [each.data[head:] for each in packets]


@pytest.mark.parametrize("to", ["clear.mp4", "hls/"])
def test_aac_of_a_transport_stream_is_recorded_in_mp4_with_its_pictures(tmp_path: Path, to: str) -> None:
    clip = Clip(pts=tuple(512 * n for n in range(75)), audio="aac").write(tmp_path / "film.ts")
    with sending(str(clip), [f"{tmp_path}/{to}"], codec="libx265") as camera:
        play_through(camera)
        assert camera.status().sinks[0].reconnects == 0
    (clear,) = [*tmp_path.glob("clear-*.mp4"), *tmp_path.glob("hls/*.m3u8")]
    with av.open(str(clear)) as container:
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert len(pictures(clear)) == 75
    assert seconds == pytest.approx(3, abs=0.2)


@needs_rtsp_server
def test_sound_that_a_container_cannot_hold_becomes_aac(tmp_path: Path) -> None:
    to = [tmp_path / "clear.mp4", tmp_path / "clear.mkv"]
    with RtspCamera(size="160x120", audio=True) as source, sending(source.url, to) as camera:
        wait_until(lambda: all(sink.packets > 45 for sink in camera.status().sinks), "three seconds of pictures")
    for ending, codec in ((".mp4", "aac"), (".mkv", "pcm_alaw")):
        (clear,) = tmp_path.glob(f"clear-*{ending}")
        with av.open(str(clear)) as container:
            assert container.streams.audio[0].codec_context.name == codec
            seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
        assert seconds == pytest.approx(max(pictures(clear)), abs=0.7)


@needs_rtsp_server
def test_sound_that_only_rtp_knows_is_recorded_as_aac(tmp_path: Path) -> None:
    to = [tmp_path / "clear.mp4", tmp_path / "clear.mkv"]
    with RtspCamera(size="160x120", audio="g726") as source, sending(source.url, to) as camera:
        wait_until(lambda: all(sink.packets > 45 for sink in camera.status().sinks), "three seconds of pictures")
        assert camera.status().counters.reconnects == 0
    for ending in (".mp4", ".mkv"):
        (clear,) = tmp_path.glob(f"clear-*{ending}")
        with av.open(str(clear)) as container:
            assert container.streams.audio[0].codec_context.name == "aac"
            heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert np.abs(heard).max() > 0.1, "what is heard is no silence"
        assert len(heard) / 8000 > max(pictures(clear)) / 2, "a busy camera begins its sound late"


def test_sound_that_is_announced_and_never_comes_does_not_keep_pictures_from_being_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "muted.ts"
    with av.open(str(path), "w") as output:
        output.add_stream("aac", rate=16000)
        video = output.add_stream("libx264", 25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for picture in (*(av.VideoFrame(64, 48, "yuv420p") for _ in range(50)), None):
            output.mux(video.encode(picture))
    with caplog.at_level("INFO"), sending(str(path), [tmp_path / "clear.mkv", tmp_path / "clear.mp4"]) as camera:
        play_through(camera)
    assert "its sound is left out: it has not begun" in caplog.text
    for ending in (".mp4", ".mkv"):
        (clear,) = tmp_path.glob(f"clear-*{ending}")
        assert len(pictures(clear)) == 50


@needs_rtsp_server
def test_a_camera_that_comes_back_in_another_size_begins_a_new_file(tmp_path: Path) -> None:
    with RtspCamera(size="160x120") as source, sending(source.url, [tmp_path / "clear.mkv"]) as camera:
        wait_until(lambda: camera.status().sinks[0].packets > 5, "pictures")
        source.kill()
        source.start(size="320x240")
        wait_until(lambda: camera.status().width == 320, "the other size")
        before = camera.status().sinks[0].packets
        wait_until(lambda: camera.status().sinks[0].packets > before + 5, "pictures of it")
    sizes = []
    for path in tmp_path.glob("clear-*.mkv"):
        with av.open(str(path)) as container:
            sizes.append(container.streams.video[0].codec_context.width)
    assert sorted(sizes) == [160, 320]


@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        ("clear.avi", "use a .mkv, .ts, .mp4 file"),
        ("ftp://h/x", "nothing is sent to ftp:// addresses"),
    ],
)
def test_what_is_not_a_target_is_refused_before_anything_runs(to: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LivePipeline([CameraConfig(name="gate", url="rtsp://h/", to=(to,))], dehazer=quick_dehazer())
    assert sentence in str(caught.value)


def test_a_cameras_name_is_escaped_in_addresses_and_plain_in_files() -> None:
    assert LiveTarget.of("rtsp://h/{name}", "Tunnel 4, east").address.full == "rtsp://h/Tunnel%204%2C%20east"
    assert LiveTarget.of("clear/{name}.mkv", "Tunnel 4, east").name.startswith("clear/Tunnel 4, east-")


def test_targets_show_no_credentials() -> None:
    target = LiveTarget.of("rtmp://me:hush@h/live/{name}-hush?key=hush", "gate")
    assert target.address.full == "rtmp://me:hush@h/live/gate-hush?key=hush"
    assert target.name == "rtmp://h/live/…"
    assert "hush" not in repr(target)

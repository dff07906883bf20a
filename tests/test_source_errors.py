"""What cannot be read is refused in one sentence; what can be read in part is read in part."""

from __future__ import annotations

import io
import itertools
import os
import random
import re
import shutil
import socket
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet

from clips import Clip, copy_through, frames_of, noise_picture, video_ticks
from streamdehaze.errors import SourceError
from streamdehaze.video import FileSource
from streamdehaze.video.reading.decoding.decoder import Decoder
from streamdehaze.video.reading.decoding.h264 import whole_pictures


def refusal(path: object, **options: object) -> str:
    with pytest.raises(SourceError) as caught:
        frames_of(path, **options)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        for pts in range(0, 48000, 1024):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.sample_rate, frame.pts, frame.time_base = 48000, pts, Fraction(1, 48000)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.mp4") == f"'{tmp_path}/no.mp4' does not exist"


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / "empty.mp4")
    with (tmp_path / "empty.mp4").open("rb") as file:
        assert "is empty (0 bytes)" in refusal(file)


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes.mkv"])
def test_a_file_that_is_not_media(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("fog " * 1000)
    assert "not a video file" in refusal(tmp_path / name)


def test_audio_only(tmp_path: Path) -> None:
    path = audio_only(tmp_path / "sound.m4a")
    assert refusal(path) == f"'{path}' has no video stream, only audio"


def test_album_art_is_not_a_video(tmp_path: Path) -> None:
    with av.open(str(audio_only(tmp_path / "a.m4a"))) as sound, av.open(str(tmp_path / "b.mp4"), "w") as output:
        copy = output.add_stream_from_template(sound.streams.audio[0])
        cover = output.add_mux_stream("png", width=16, height=16)
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in sound.demux():
            if packet.size:
                packet.stream = copy
                output.mux_one(packet)
        coder = av.CodecContext.create("png", "w")
        coder.width, coder.height, coder.pix_fmt, coder.time_base = 16, 16, "rgb24", Fraction(1, 25)
        picture = av.Packet(bytes(coder.encode(noise_picture((16, 16), "rgb24", 0))[0]))
        picture.stream, picture.pts, picture.dts, picture.time_base = cover, 0, 0, Fraction(1, 25)
        output.mux_one(picture)
    assert "has no video stream, only a cover and audio" in refusal(tmp_path / "b.mp4")


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="needs root to step down from")
def test_unreadable_file_as_another_user(tmp_path: Path) -> None:
    path = Clip().write(tmp_path / "secret.mp4")
    path.chmod(0)
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        assert "cannot be read (permission denied)" in refusal(path)
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("path", ["rtsp://user:secret@camera/1", "http://example.org/a.mp4"])
def test_addresses_are_not_files_and_passwords_stay_secret(path: str) -> None:
    assert "is an address, not a file" in refusal(path)
    assert "secret" not in refusal(path)


def test_playlist_reaches_no_network(tmp_path: Path) -> None:
    visitors = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, address = server.accept()
            except OSError:
                return
            visitors.append(address)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        porter = threading.Thread(target=serve, args=(server,))
        porter.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        (tmp_path / "evil.m3u8").write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n"
        )
        refusal(tmp_path / "evil.m3u8")
        porter.join()
    assert visitors == []


def test_names_that_look_like_protocols_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Clip().write(tmp_path / "plain.mp4").rename(tmp_path / "concat:50% fog.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(frames_of("concat:50% fog.mp4")) == 24
    assert path.exists()


@pytest.mark.parametrize("ending", ["mkv", "ts", "avi"])
def test_truncated_file_is_read_as_far_as_it_goes(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    time_base = {"mkv": Fraction(1, 1000), "ts": Fraction(1, 90000), "avi": Fraction(1, 25)}[ending]
    step = int(Fraction(1, 25) / time_base)
    options = {"g": "10", "bf": "0"}
    source = Clip(time_base=time_base, pts=range(0, 100 * step, step), options=options).write(tmp_path / f"a.{ending}")
    short = tmp_path / f"short.{ending}"
    short.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    count = len(frames_of(short))
    assert 30 <= count < 70
    if ending == "mkv":
        assert "is cut off and ends early" in caplog.text


def test_mp4_without_its_index_is_refused(tmp_path: Path) -> None:
    source = Clip(pts=range(0, 100 * 512, 512)).write(tmp_path / "a.mp4")
    (tmp_path / "short.mp4").write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert "is not a video file, or is damaged beyond reading" in refusal(tmp_path / "short.mp4")


def test_mp4_with_its_index_in_front_is_read_as_far_as_it_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Clip(pts=range(0, 100 * 512, 512), container_options={"movflags": "+faststart"}, options={"g": "10"})
    source = made.write(tmp_path / "a.mp4")
    (tmp_path / "short.mp4").write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert 30 <= len(frames_of(tmp_path / "short.mp4")) < 70
    assert "is cut off and ends early" in caplog.text
    assert copy_through(tmp_path / "short.mp4", tmp_path / "out.mp4").losses == []


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_corrupt_bytes_cost_frames_but_not_the_rest(tmp_path: Path, ending: str) -> None:
    time_base = {"mkv": Fraction(1, 1000), "mp4": Fraction(1, 12800), "ts": Fraction(1, 90000)}[ending]
    step = int(Fraction(1, 25) / time_base)
    options = {"g": "10", "bf": "0"}
    source = Clip(time_base=time_base, pts=range(0, 100 * step, step), options=options).write(tmp_path / f"a.{ending}")
    content = bytearray(source.read_bytes())
    chance = random.Random(1)
    for _ in range(12):
        place = chance.randrange(len(content) // 4, len(content) * 3 // 4)
        content[place : place + 64] = chance.randbytes(64)
    (tmp_path / f"bad.{ending}").write_bytes(content)
    assert 50 <= len(frames_of(tmp_path / f"bad.{ending}")) <= 101
    copy_through(tmp_path / f"bad.{ending}", tmp_path / f"out.{ending}")
    assert len(frames_of(tmp_path / f"out.{ending}")) >= 50


def test_a_stream_that_begins_far_after_the_others_does_not_end_the_video(tmp_path: Path) -> None:
    # FFmpeg looks for streams in the first and last megabytes; these parts are larger.
    facts = {"size": (352, 288), "options": {"qp": "2", "g": "12"}, "time_base": Fraction(1, 90000)}
    silent = Clip(pts=range(0, 24 * 3600, 3600), **facts).write(tmp_path / "silent.ts").read_bytes()  # type: ignore[arg-type]
    loud = Clip(pts=range(0, 6 * 3600, 3600), audio="aac", **facts).write(tmp_path / "loud.ts").read_bytes()  # type: ignore[arg-type]
    (tmp_path / "late.ts").write_bytes(silent + loud + silent)
    assert len(frames_of(tmp_path / "late.ts")) == 24 + 6 + 24


def test_damaged_pictures_are_kept_or_skipped_or_end_the_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = {"g": "10", "bf": "0"}
    source = Clip(time_base=Fraction(1, 1000), pts=range(0, 4000, 40), options=options).write(tmp_path / "a.mkv")
    content = bytearray(source.read_bytes())
    for place in (len(content) // 3, len(content) // 2):
        content[place : place + 64] = random.Random(1).randbytes(64)
    bad = tmp_path / "bad.mkv"
    bad.write_bytes(content)
    kept, skipping = FileSource(bad), FileSource(bad, on_damage="skip")
    all_times = [frame.pts for frame in kept]
    times = [frame.pts for frame in skipping]
    kept.close()
    skipping.close()
    assert kept.damaged == skipping.damaged == len(all_times) - len(times) > 0
    assert set(times) < set(video_ticks(source)[1])  # the times of the others stay
    assert re.search(rf"{skipping.damaged} damaged places? (was|were) skipped", caplog.text)
    assert "is damaged near 1." in refusal(bad, on_damage="stop")
    assert [frame.pts for frame in frames_of(source, on_damage="stop")] == video_ticks(source)[1]


@pytest.mark.parametrize("options", [{"bf": "2"}, {"slices": "4"}])
def test_a_camera_is_as_strict_about_damage_as_a_file(tmp_path: Path, options: dict[str, str]) -> None:
    """Damaged pictures of a camera are left out; FFmpeg's slice threads would show most of them."""
    source = Clip(pts=range(0, 30 * 512, 512), size=(160, 96), options={"g": "10", **options}).write(tmp_path / "a.mkv")
    content = bytearray(source.read_bytes())
    for part in (3, 4, 5, 6):
        place = len(content) * part // 8
        content[place : place + 64] = random.Random(part).randbytes(64)
    bad = tmp_path / "bad.mkv"
    bad.write_bytes(content)

    def damaged(*, live: bool) -> list[int | None]:
        with av.open(bad) as container:
            decoder = Decoder(container.streams.video[0], live=live)
            pictures = [each for packet in container.demux(video=0) for each in decoder.decode(packet) or ()]
            return [picture.pts for picture in pictures if decoder.is_damaged(picture)]

    assert damaged(live=True) == damaged(live=False) != []


def test_a_camera_that_repeats_its_parameter_sets_before_each_slice_is_not_damaged(tmp_path: Path) -> None:
    """GStreamer does so, and FFmpeg starts a packet at each of them: half a picture."""
    source = Clip(pts=range(0, 30 * 512, 512), size=(160, 96), options={"g": "10", "bf": "0", "slices": "3"})
    units = re.split(b"\0\0\1", source.write(tmp_path / "a.h264").read_bytes())[1:]
    sets = [unit for unit in units[:4] if unit[0] & 31 in (7, 8)]
    repeated = [each for unit in units for each in ([*sets, unit] if unit[0] & 31 == 5 else [unit])]
    (tmp_path / "b.h264").write_bytes(b"".join(b"\0\0\0\1" + unit for unit in repeated))

    def pictures(name: str) -> list[bytes]:
        with av.open(tmp_path / name) as container:
            video = container.streams.video[0]
            decoder = Decoder(video, live=True)
            found = [
                each
                for packet in whole_pictures(container.demux(video), video)
                for each in decoder.decode(packet) or ()
            ]
            assert not any(decoder.is_damaged(picture) for picture in found)
            return [picture.to_ndarray().tobytes() for picture in found]

    assert len(sets) == 2
    assert pictures("b.h264") == pictures("a.h264")
    assert len(pictures("a.h264")) == 30


def record_in_parts(source: Path, target: Path, apart: int | None) -> Path:
    """Record raw H.264 as `ffmpeg -c copy` records a camera whose keyframes come in parts, `apart` ticks of 1/90000 s.

    With None the parts of a picture are written as one, which FFmpeg splits again in a transport stream.
    """
    sets: list[bytes] = []
    with av.open(source) as before, av.open(target, "w") as after:
        video = before.streams.video[0]
        copy = after.add_stream_from_template(video, opaque=True)
        copy.time_base = tick = Fraction(1, 90000)
        pictures = (packet for packet in before.demux(video) if packet.size)
        for number, picture in enumerate(pictures):
            units = [unit.rstrip(b"\0") for unit in re.split(b"\0\0\1", bytes(picture))[1:]]
            sets = sets or [unit for unit in units if unit[0] & 31 in (7, 8)]
            start = b"\0\0\0\1"
            parts = [bytes(picture)]
            if picture.is_keyframe:
                parts = [b"".join(start + each for each in (*sets, unit)) for unit in units if unit[0] & 31 == 5]
            for part, content in enumerate(parts if apart is not None else [b"".join(parts)]):
                packet: Packet[Any] = Packet(content)
                packet.stream, packet.time_base, packet.duration = copy, tick, 3600
                packet.pts = packet.dts = number * 3600 + part * (apart or 0)
                packet.is_keyframe = picture.is_keyframe
                after.mux(packet)
    return target


@pytest.mark.parametrize(
    ("ending", "apart"), [("mkv", 0), ("flv", 0), ("mp4", 1), ("mov", 1), ("ts", 1), ("ts", None), ("h264", 0)]
)
def test_a_recording_of_a_camera_whose_keyframes_come_in_parts_is_not_damaged(
    tmp_path: Path, ending: str, apart: int | None
) -> None:
    """Where a container requires increasing times, FFmpeg's program moves equal ones a tick apart."""
    options = {"g": "10", "bf": "0", "slices": "3", "sc_threshold": "0"}
    made = Clip(pts=range(0, 30 * 512, 512), size=(160, 96), options=options)
    source = made.write(tmp_path / "a.h264")
    recording = record_in_parts(source, tmp_path / f"b.{ending}", apart)
    with FileSource(source) as whole, FileSource(recording, on_damage="stop") as parts:
        frames = list(parts)
        assert [each.planes[0].tobytes() for each in frames] == [each.planes[0].tobytes() for each in whole]
    times = [each.pts * each.time_base for each in frames]
    assert {round(float(after - before), 3) for before, after in itertools.pairwise(times)} == {0.04}
    assert copy_through(recording, tmp_path / "out.mkv").losses == []


@pytest.mark.parametrize(("ending", "apart"), [("mkv", 0), ("mp4", 1), ("ts", 1), ("ts", None)])
@pytest.mark.parametrize("start", [2.4, 2.4001, 2.42, 2.5])
def test_reading_such_a_recording_begins_with_a_whole_keyframe(
    tmp_path: Path, ending: str, apart: int | None, start: float
) -> None:
    options = {"g": "10", "bf": "0", "slices": "3", "sc_threshold": "0"}
    made = Clip(pts=range(0, 90 * 512, 512), size=(160, 96), options=options)
    recording = record_in_parts(made.write(tmp_path / "a.h264"), tmp_path / f"b.{ending}", apart)
    with FileSource(recording) as whole, FileSource(recording, start=start, on_damage="stop") as later:
        frames = [each.planes[0].tobytes() for each in later]
        assert 25 < len(frames) <= 31
        assert frames == [each.planes[0].tobytes() for each in whole][-len(frames) :]


def test_file_of_which_nothing_decodes(tmp_path: Path) -> None:
    source = Clip(options={"bf": "0"}).write(tmp_path / "a.mp4")
    content = bytearray(source.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = bytes(end - start)
    (tmp_path / "bad.mp4").write_bytes(content)
    assert "not one frame of its h264 video could be decoded" in refusal(tmp_path / "bad.mp4")


def test_headers_alone_are_refused(tmp_path: Path) -> None:
    source = Clip(time_base=Fraction(1, 1000), pts=range(0, 400, 40)).write(tmp_path / "a.mkv")
    (tmp_path / "head.mkv").write_bytes(source.read_bytes()[:700])
    refusal(tmp_path / "head.mkv")


def test_missing_cuda(tmp_path: Path) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("there may be a GPU here")
    source = Clip().write(tmp_path / "a.mp4")
    assert "--hwaccel cuda" in refusal(source, hwaccel="cuda")
    assert len(frames_of(source, hwaccel="auto")) == 24


def test_pictures_after_a_bad_one_keep_their_times_in_avi(tmp_path: Path) -> None:
    source = Clip(codec="mjpeg", pixel_format="yuvj420p", time_base=Fraction(1, 25), pts=range(24)).write(
        tmp_path / "in.avi"
    )
    whole = {frame.pts: frame.planes[0] for frame in frames_of(source)}
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    content = source.read_bytes()
    for number in (6, 12):
        content = content.replace(packets[number], bytes(len(packets[number])))
    source.write_bytes(content)
    frames = frames_of(source, on_damage="skip")
    assert [frame.pts for frame in frames] == [number for number in range(24) if number not in (6, 12)]
    assert all(np.array_equal(frame.planes[0], whole[frame.pts]) for frame in frames)


def test_source_is_closed_after_a_refusal_and_twice(tmp_path: Path) -> None:
    source = FileSource(Clip().write(tmp_path / "a.mp4"))
    frames = list(source)
    source.close()
    source.close()
    assert int(frames[0].planes[0].sum()) > 0  # frames outlive their source


def test_image_sequence_is_read_from_its_first_number(tmp_path: Path) -> None:
    coder = av.CodecContext.create("png", "w")
    coder.width, coder.height, coder.pix_fmt, coder.time_base = 32, 16, "rgb24", Fraction(1, 25)
    for number in range(7):
        picture = noise_picture((32, 16), "rgb24", number)
        picture.pts = number
        (tmp_path / f"fog_{number + 120:05d}.png").write_bytes(bytes(coder.encode(picture)[0]))
    frames = frames_of(tmp_path / "fog_%05d.png")
    assert len(frames) == 7
    assert bytes(frames[2].to_array()[:1, :, 0]) == bytes(noise_picture((32, 16), "rgb24", 2).to_ndarray()[:1, :, 0])
    assert "no file matches the image sequence" in refusal(tmp_path / "mist_%05d.png")


def test_binary_streams_are_read(tmp_path: Path) -> None:
    source = Clip(time_base=Fraction(1, 1000), pts=range(0, 400, 40)).write(tmp_path / "a.mkv")
    frames = frames_of(io.BytesIO(source.read_bytes()))
    assert [frame.pts for frame in frames] == video_ticks(source)[1]


def test_frames_whose_size_and_format_change_are_handed_out_as_they_come(tmp_path: Path) -> None:
    parts = [Clip(size=size, options={"bf": "0"}).write(tmp_path / f"{size[0]}.h264") for size in ((64, 48), (96, 64))]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    sizes = [(frame.width, frame.height) for frame in frames_of(joined)]
    assert sizes == [(64, 48)] * 24 + [(96, 64)] * 24

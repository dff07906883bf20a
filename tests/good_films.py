"""Small, good films and pictures of every kind that is read, to be damaged by tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from clips import Clip, noise_picture


def videos(folder: Path) -> list[Path]:
    """Containers and codecs."""
    millisecond, step = Fraction(1, 1000), 40
    base: dict[str, Any] = {
        "time_base": millisecond,
        "pts": range(0, 24 * step, step),
        "options": {"g": "8", "bf": "2"},
    }
    chapters = [{"id": 1, "start": 0, "end": 400, "time_base": millisecond, "metadata": {"title": "fog"}}]
    rich: dict[str, Any] = {
        "audio": "aac", "chapters": chapters, "metadata": {"title": "fog"}, "rotation": 90, "color": (1, 1, 1, 1),
        "aspect": Fraction(4, 3),
    }  # fmt: skip
    mpeg4 = {"codec": "mpeg4", "time_base": Fraction(1, 25), "pts": range(24), "options": {}}
    clips = {
        "rich.mp4": Clip(**{**base, **rich, "subtitles": "mov_text"}),
        "front.mp4": Clip(**{**base, "container_options": {"movflags": "+faststart"}}),
        "fragments.mp4": Clip(**{**base, "container_options": {"movflags": "+frag_keyframe+empty_moov"}}),
        "rich.mkv": Clip(**{**base, **rich, "subtitles": "subrip", "attachments": [("a.ttf", "font/ttf", b"font")]}),
        "hevc.mkv": Clip(**{**base, "codec": "libx265", "options": {"x265-params": "log-level=none:keyint=8"}}),
        "ten.mov": Clip(**{**base, "codec": "prores_ks", "pixel_format": "yuv422p10le", "options": {}}),
        "vp9.webm": Clip(**{**base, "codec": "libvpx-vp9", "options": {"g": "8", "cpu-used": "8"}, "audio": "libopus"}),
        "av1.mp4": Clip(**{**base, "codec": "libsvtav1", "options": {"preset": "12"}}),
        "stream.ts": Clip(
            time_base=Fraction(1, 90000), pts=range(0, 24 * 3600, 3600), options={"g": "8"}, audio="aac", data="klv"
        ),
        "old.avi": Clip(**mpeg4, audio="pcm_s16le"),
        "program.mpg": Clip(**{**mpeg4, "codec": "mpeg2video"}, format="mpeg"),
        "raw.h264": Clip(**{**base, "options": {"g": "8"}}),
        "plain.y4m": Clip(**{**base, "codec": "wrapped_avframe", "options": {}}),
        "small.gif": Clip(
            codec="gif", pixel_format="rgb8", time_base=Fraction(1, 100), pts=range(0, 96, 4), options={}
        ),
        "still.mkv": Clip(**{**base, "codec": "mjpeg", "pixel_format": "yuvj420p", "pts": [0], "options": {}}),
    }
    return [clip.write(folder / name) for name, clip in clips.items()]


def odd_videos(folder: Path) -> list[Path]:
    """Files whose packets say something wrong, or only unusual."""
    source = Clip(options={"g": "8"}, audio="aac").write(folder / "straight.mp4")
    old = Clip(codec="mpeg4", time_base=Fraction(1, 25), pts=range(24), options={}).write(folder / "old.mkv")
    small, large = (
        Clip(size=size, options={"bf": "0"}).write(folder / f"{size[0]}.h264") for size in [(64, 48), (96, 64)]
    )
    changing = folder / "changing.h264"
    changing.write_bytes(small.read_bytes() + large.read_bytes())
    deep = Clip(pixel_format="yuv420p10le", options={"bf": "0"}).write(folder / "deep.h264")
    deepening = folder / "deepening.h264"
    deepening.write_bytes(small.read_bytes() + deep.read_bytes())
    stream = Clip(time_base=Fraction(1, 90000), pts=range(0, 24 * 3600, 3600), audio="aac").write(folder / "one.ts")
    twice = folder / "twice.ts"
    twice.write_bytes(stream.read_bytes() * 2)

    def swap(packets: list[Any]) -> list[Any]:
        return [packets[i ^ 1] if i ^ 1 < len(packets) else packets[i] for i in range(len(packets))]

    def double(packets: list[Any]) -> list[Any]:
        return [packet for each in packets for packet in (each, each)]

    def jump_back(packet: Any, number: int) -> None:
        if number > 20:
            packet.pts, packet.dts = packet.pts - 9000, packet.dts - 9000

    def leap(packet: Any, number: int) -> None:
        if number > 20:
            packet.pts, packet.dts = packet.pts + (1 << 33), packet.dts + (1 << 33)

    def no_pts(packet: Any, number: int) -> None:
        packet.pts = None

    def long(packet: Any, number: int) -> None:
        packet.duration = 1 << 30

    def late(packet: Any, number: int) -> None:
        if packet.stream.type == "video":
            packet.pts, packet.dts = packet.pts + 128000, packet.dts + 128000

    def same(packet: Any, number: int) -> None:
        packet.pts = packet.dts = 0

    made = [changing, deepening, twice]
    for name, order, change in [
        ("swapped.mkv", swap, None), ("doubled.mkv", double, None), ("back.nut", None, jump_back),
        ("back.ts", None, jump_back), ("leap.ts", None, leap), ("leap.mkv", None, leap), ("untimed.avi", None, no_pts),
        ("long.mp4", None, long), ("late.mkv", None, late), ("late.ts", None, late), ("zero.mkv", None, same),
    ]:  # fmt: skip
        path = folder / name
        if _remux(old if name.endswith(".avi") else source, path, order, change):
            made.append(path)
    return made


def _remux(source: Path, target: Path, order: Any, change: Any) -> bool:
    """Copy packets in another order or with other times; False if the muxer refuses them."""
    try:
        with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
            copies = {stream.index: writer.add_stream_from_template(stream, opaque=True) for stream in reader.streams}
            packets = [packet for packet in reader.demux() if packet.size]
            for number, packet in enumerate(order(packets) if order else packets):
                if change:
                    change(packet, number)
                packet.stream = copies[packet.stream.index]
                try:
                    writer.mux_one(packet)
                except (av.error.FFmpegError, ValueError):
                    continue
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def no_frames(folder: Path) -> Path:
    """A video stream with a header, and not one picture."""
    path = folder / "empty.mkv"
    with av.open(str(path), "w") as output:
        output.add_stream("mpeg4", width=64, height=48, pix_fmt="yuv420p")
        sound: Any = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        output.mux(sound.encode(_silence()))
    return path


def _silence() -> av.AudioFrame:
    """A tenth of a second of it."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
    frame.sample_rate = 8000
    return frame


def huge_header(folder: Path) -> Path:
    """More tags, chapters and attachments than pictures."""
    tick = Fraction(1, 1000)
    return Clip(
        time_base=tick,
        pts=range(0, 960, 40),
        metadata={f"tag{number}": "fog" * 100 for number in range(500)},
        chapters=[{"id": n, "start": n, "end": n + 1, "time_base": tick, "metadata": {}} for n in range(900)],
        attachments=[("a.ttf", "font/ttf", bytes(200_000))],
    ).write(folder / "header.mkv")


def pictures(folder: Path) -> list[Path]:
    """Photos."""
    made = []
    for name, codec, pixel_format in [
        ("photo.png", "png", "rgb24"), ("deep.png", "png", "rgb48be"), ("photo.jpg", "mjpeg", "yuvj420p"),
        ("photo.tiff", "tiff", "rgb24"), ("photo.bmp", "bmp", "bgr24"), ("photo.webp", "libwebp", "yuv420p"),
    ]:  # fmt: skip
        coder: Any = av.CodecContext.create(codec, "w")
        coder.width, coder.height, coder.pix_fmt, coder.time_base = 48, 32, pixel_format, Fraction(1, 25)
        picture = noise_picture((48, 32), pixel_format, 0)
        picture.pts = 0
        path = folder / name
        path.write_bytes(b"".join(bytes(packet) for packet in [*coder.encode(picture), *coder.encode(None)]))
        made.append(path)
    return made

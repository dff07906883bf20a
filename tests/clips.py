"""Small video files for tests, made with PyAV: pictures, sound, subtitles, chapters, attachments, tags."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from streamdehaze.frame import Frame
from streamdehaze.video import FileSink, FileSource, PictureSink, PictureSource


@dataclass
class Clip:
    """What a test file holds; the defaults are a second of H.264 with B-frames and nothing else."""

    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    rate: int = 25
    time_base: Fraction = Fraction(1, 12800)
    pts: Sequence[int] = tuple(range(0, 24 * 512, 512))
    last_duration: int | None = None
    """Ticks that the last picture is shown."""
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    audio: str | None = None
    audio_start: int = 0
    subtitles: str | None = None
    data: str | None = None
    chapters: list[Any] = field(default_factory=list)
    attachments: list[tuple[str, str, bytes]] = field(default_factory=list)
    cover: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    video_metadata: dict[str, str] = field(default_factory=dict)
    aspect: Fraction | None = None
    rotation: int | None = None
    color: tuple[int, int, int, int] | None = None
    """Primaries, transfer, matrix, range as FFmpeg numbers them."""
    format: str | None = None
    still: bool = False
    """A camera at rest with a little noise; by default every picture is another one."""

    def write(self, path: Path) -> Path:
        """Make the file."""
        with av.open(str(path), "w", format=self.format, container_options=self.container_options) as output:
            self._fill(output)
        return path

    def _fill(self, output: Any) -> None:
        video = output.add_stream(self.codec, rate=self.rate, options=dict(self.options))
        video.width, video.height = self.size
        video.pix_fmt = self.pixel_format
        video.codec_context.time_base = video.time_base = self.time_base
        if self.aspect:
            video.codec_context.sample_aspect_ratio = self.aspect
        if self.color:
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = self.color
        if self.rotation is not None:
            video.set_display_rotation(self.rotation)
        video.metadata.update(self.video_metadata)
        output.metadata.update(self.metadata)
        others = [*self._audio(output), *self._texts(output), *self._cover(output)]
        if self.chapters:
            output.set_chapters(self.chapters)
        for name, kind, content in self.attachments:
            output.add_attachment(name, kind, content)
        for number, pts in enumerate(self.pts):
            picture = noise_picture(self.size, self.pixel_format, 0 if self.still else number)
            if self.still:
                for plane in picture.planes:
                    samples = np.frombuffer(plane, np.uint8)
                    samples += np.random.default_rng(number).integers(0, 3, samples.shape, dtype=np.uint8)
            if self.color:
                picture.color_primaries, picture.color_trc, picture.colorspace, picture.color_range = self.color
            picture.pts, picture.time_base = pts, self.time_base
            encoded = video.encode(picture)
            if self.last_duration is not None and number == len(self.pts) - 1:
                encoded += video.encode(None)
                encoded[-1].duration = self.last_duration
            output.mux(encoded)
            while others and others[0].pts * others[0].time_base <= pts * self.time_base:
                output.mux(others.pop(0))
        if self.last_duration is None:
            output.mux(video.encode(None))
        output.mux(others)

    def _audio(self, output: Any) -> list[Packet]:
        if self.audio is None:
            return []
        stream = output.add_stream(self.audio, rate=48000, layout="mono")
        stream.metadata["language"] = "fra"
        seconds = float((self.pts[-1] - self.pts[0]) * self.time_base)
        size = 1024 if self.audio == "aac" else 960
        packets: list[Packet] = []
        for start in range(0, int(48000 * seconds), size):
            tone = np.sin(np.arange(start, start + size) * 0.05).astype(np.float32) * 0.5
            if self.audio.startswith("pcm_"):
                frame = av.AudioFrame.from_ndarray((tone * 30000).astype(np.int16)[None], "s16", "mono")
            else:
                kind = "fltp" if self.audio == "aac" else "flt"
                frame = av.AudioFrame.from_ndarray(tone[None], kind, "mono")
            frame.sample_rate, frame.pts = 48000, self.audio_start + start
            frame.time_base = Fraction(1, 48000)
            packets += stream.encode(frame)
        return packets + list(stream.encode(None))

    def _texts(self, output: Any) -> list[Packet]:
        packets = []
        for codec, texts in ((self.subtitles, ("fog", "clear")), (self.data, ("\x01\x02", "\x03"))):
            if codec is None:
                continue
            stream = output.add_mux_stream(codec)
            stream.time_base = Fraction(1, 1000)
            stream.metadata["language"] = "deu"
            for number, text in enumerate(texts):
                content = text.encode()
                if codec == "mov_text":
                    content = len(content).to_bytes(2, "big") + content
                packet = Packet(content)
                packet.stream, packet.time_base = stream, Fraction(1, 1000)
                packet.pts = packet.dts = 100 + 300 * number
                packet.duration = 200
                packet.is_keyframe = True
                packets.append(packet)
        return packets

    def _cover(self, output: Any) -> list[Packet]:
        if not self.cover:
            return []
        coder = av.CodecContext.create("png", "w")
        coder.width, coder.height, coder.pix_fmt, coder.time_base = 16, 16, "rgb24", Fraction(1, 25)
        picture = noise_picture((16, 16), "rgb24", 0)
        picture.pts = 0
        content = bytes(coder.encode(picture)[0])
        if output.format.name == "matroska":
            output.add_attachment("cover.png", "image/png", content)
            return []
        stream = output.add_mux_stream("png", width=16, height=16)
        stream.disposition = av.stream.Disposition.attached_pic
        packet = Packet(content)
        packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), 0, 0
        packet.is_keyframe = True
        return [packet]


def noise_picture(size: tuple[int, int], pixel_format: str, seed: int) -> av.VideoFrame:
    """A picture of smooth random samples, the same for the same seed."""
    random = np.random.default_rng(seed)
    picture = av.VideoFrame(*size, pixel_format)
    for plane in picture.planes:
        row = abs(plane.line_size)
        samples = np.frombuffer(plane, np.uint8).reshape(-1, row)
        samples[:] = random.integers(16, 236, (len(samples), row), dtype=np.uint8)
    bits = max(component.bits for component in picture.format.components)
    if 8 < bits < 16:  # keep 16-bit words within the range of the samples
        for plane in picture.planes:
            words = np.frombuffer(plane, "<u2")
            if "p0" in pixel_format or "p2" in pixel_format or "p4" in pixel_format:
                words &= np.uint16(((1 << bits) - 1) << (16 - bits))
            words &= np.uint16((1 << bits) - 1) if not pixel_format.startswith("p") else np.uint16(0xFFFF)
    return picture


def frames_of(path: Any, **options: Any) -> list[Frame]:
    """All frames of a file source."""
    with contextlib.closing(FileSource(path, **options)) as source:
        return list(source)


def copy_through(source: Path, target: Path, *, window: dict[str, Any] | None = None, **options: Any) -> FileSink:
    """Every frame from a file source into a file sink, unchanged."""
    with contextlib.closing(FileSource(source, **(window or {}))) as reader:
        sink = FileSink(target, reader, **options)
        for frame in reader:
            sink.write(frame)
        sink.close()
        return sink


def copy_photo(source: Path, target: Path) -> list[str]:
    """Write a photo's picture, unchanged, into another file; what that lacks."""
    with PictureSource(source) as reader, PictureSink(target, reader) as sink:
        for frame in reader:
            sink.write(frame)
    return sink.losses


def video_times(path: Path) -> list[Fraction]:
    """Presentation times in seconds of all decoded frames of the first video, by plain PyAV."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(container.streams.video[0])]


def video_ticks(path: Path) -> tuple[Fraction, list[int]]:
    """Time base and integer presentation times of the first video, by plain PyAV."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.time_base, [frame.pts for frame in container.decode(stream)]


def other_packets(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Time, duration and hash of every packet of all streams but the first video."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with av.open(str(path)) as container:
        main = container.streams.video[0]
        for packet in container.demux():
            stream = packet.stream
            if stream is not main and packet.size:
                name = f"{stream.index} {stream.type} {stream.name}"
                time_base = packet.time_base
                start = None if packet.pts is None else packet.pts * time_base
                entry = (start, packet.duration * time_base, _digest(bytes(packet)))
                found.setdefault(name, []).append(entry)
    return found


def _digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

"""New videos from nothing: made-up pictures and sound as a source, and written into a file."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np

from streamdehaze.frame import ColorSpec, FloatArray, Frame, VideoInfo
from streamdehaze.video.planes import PictureWriter, frame_from_av
from streamdehaze.video.protocols import Reader
from streamdehaze.video.rgb import RgbArray
from streamdehaze.video.writing.containers import Output, holding_container
from streamdehaze.video.writing.encoding.encoding import EncodeOptions
from streamdehaze.video.writing.file import FileSink

SAMPLE_RATE = 48_000
"""Sound samples a second."""

_AUDIO_BLOCK = 1024
_CHAPTER_TICK = Fraction(1, 1000)
_BT709 = 1
"""As H.273 numbers primaries and transfers."""


class Clip(Reader):
    """Pictures with sound and chapters; `FileSink` writes all of it.

    Args:
        pictures: (height, width, 3) uint8 RGB each.
        size: their width and height, pixels.
        frame_rate: pictures a second.
        sound: (samples,) mono at `SAMPLE_RATE`, −1 to 1.
        chapters: (seconds, title) of each chapter's start, rising; the last one ends with the sound.
    """

    def __init__(
        self,
        pictures: Iterable[RgbArray],
        size: tuple[int, int],
        frame_rate: Fraction,
        *,
        sound: FloatArray | None = None,
        chapters: Sequence[tuple[float, str]] = (),
    ) -> None:
        self._pictures, self._size, self._tick = pictures, size, 1 / Fraction(frame_rate)
        self._sound = np.zeros(0, np.float32) if sound is None else sound
        self._chapters = chapters
        self._packets: deque[Any] = deque()
        self._encoder: Any = None
        self._output: Any = None
        if sound is not None:
            holder = holding_container(self, "matroska")
            self._encoder = holder.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            holder.start_encoding()
        halves = not (size[0] | size[1]) & 1
        self._info = VideoInfo(
            *size, "yuv420p" if halves else "yuv444p", 1 / self._tick, self._tick, None, None, "rawvideo"
        )

    def __iter__(self) -> Iterator[Frame]:
        """The pictures; the sound up to each waits for the sink by then."""
        writer, samples = PictureWriter(), 0
        for number, picture in enumerate(self._pictures):
            while samples < len(self._sound) and samples < (number + 1) * self._tick * SAMPLE_RATE:
                samples += self._encode(samples)
            made = writer.picture(replace(Frame.from_array(picture), color=ColorSpec(_BT709, _BT709)))
            converted = writer.convert(made, *self._size, self._info.pixel_format)
            yield frame_from_av(converted, pts=number, time_base=self._tick)
        if self._encoder is not None:
            self._packets.extend(self._encoder.encode(None))

    def add_to(self, output: Output, *, after_video: bool) -> None:
        """Add the sound's stream and the chapters to a container."""
        if after_video and self._encoder is not None:
            self._output = output.container.add_stream_from_template(self._encoder, opaque=True)
        if after_video and self._chapters:
            starts = [round(seconds / _CHAPTER_TICK) for seconds, _ in self._chapters]
            ends = [*starts[1:], len(self._sound) * 1000 // SAMPLE_RATE]
            output.container.set_chapters(
                [
                    {"id": number, "start": start, "end": end, "time_base": _CHAPTER_TICK, "metadata": {"title": title}}
                    for number, (start, end, (_, title)) in enumerate(zip(starts, ends, self._chapters, strict=True))
                ]
            )

    def drain(self, output: Output, delay: Fraction, *, last: bool = False) -> None:
        """Write the sound that waits."""
        while self._packets:
            packet = self._packets.popleft()
            packet.stream = self._output
            output.mux(packet)

    def _encode(self, start: int) -> int:
        """Encode the next samples of sound; how many."""
        block = self._sound[start : start + _AUDIO_BLOCK]
        samples = np.clip(np.rint(block * 32767), -32768, 32767).astype(np.int16)
        frame: Any = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        self._packets.extend(self._encoder.encode(frame))
        return len(block)


_VISUALLY_LOSSLESS = EncodeOptions("h264", crf=14)


def write_clip(
    path: str | os.PathLike[str], clip: Clip, *, encode: EncodeOptions = _VISUALLY_LOSSLESS, overwrite: bool = False
) -> None:
    """Write a clip into a file.

    Raises:
        SinkError: if the file cannot be written there.
    """
    with FileSink(path, clip, encode=encode, overwrite=overwrite) as sink:
        for frame in clip:
            sink.write(frame)

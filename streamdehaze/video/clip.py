"""New videos from nothing: made-up pictures and sound written into a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from types import TracebackType
from typing import Any

import av
import av.error
import numpy as np

from streamdehaze.errors import SinkError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.video.planes import PictureWriter
from streamdehaze.video.rgb import RgbArray
from streamdehaze.video.writing.nullfile import close_quietly
from streamdehaze.video.writing.target import Target

SAMPLE_RATE = 48_000
"""Sound samples a second."""

_AUDIO_BLOCK = 1024
_CHAPTER_TICK = Fraction(1, 1000)


class ClipWriter:
    """Writes RGB pictures as H.264 (or lossless FFV1) with AAC sound and chapters.

    The file has its final name only once `close` has succeeded.

    Args:
        path: the file to write; its ending chooses the container.
        width, height: of the pictures, pixels.
        frame_rate: pictures a second.
        lossless: FFV1 and FLAC, bit for bit, for .mkv; H.264 and AAC otherwise.
        sound: (samples,) mono at `SAMPLE_RATE`, −1 to 1.
        chapters: (seconds, title) of each chapter's start, rising.
        overwrite: replace an existing file.

    Raises:
        SinkError: if the file cannot be written there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        width: int,
        height: int,
        frame_rate: Fraction,
        *,
        lossless: bool = False,
        sound: FloatArray | None = None,
        chapters: Sequence[tuple[float, str]] = (),
        overwrite: bool = False,
    ) -> None:
        self._target = Target.of(path, None, overwrite, None)
        self._size = (width, height)
        self._rate = Fraction(frame_rate)
        self._sound = sound
        self._chapters = chapters
        self._writer = PictureWriter()
        halves = width % 2 == 0 and height % 2 == 0
        self._format = "bgr0" if lossless else "yuv420p" if halves else "yuv444p"
        self._frames = self._samples = 0
        self._finished = False
        self._output: Any = None
        with self._or_nothing():
            self._output = self._target.open()
            video: Any = self._output.add_stream("ffv1" if lossless else "libx264", rate=self._rate)
            video.width, video.height, video.pix_fmt = width, height, self._format
            video.codec_context.time_base = 1 / self._rate
            if not lossless:
                video.options = {"crf": "14", "preset": "veryfast"}
                context = video.codec_context
                context.color_primaries, context.color_trc = 1, 1
                context.colorspace, context.color_range = (1 if height > 576 else 6), 1
            self._video = video
            self._audio: Any = None
            if sound is not None:
                self._audio = self._output.add_stream("flac" if lossless else "aac", rate=SAMPLE_RATE, layout="mono")

    def write(self, picture: RgbArray) -> None:
        """Add a picture, (height, width, 3) uint8 RGB.

        Raises:
            SinkError: if the encoder or the file system refuses it; nothing is left of the file then.
        """
        with self._or_nothing():
            made = self._writer.picture(Frame.from_array(picture))
            frame = self._writer.convert(made, *self._size, self._format)
            frame.pts, frame.time_base = self._frames, 1 / self._rate
            self._frames += 1
            self._output.mux(self._video.encode(frame))
            self._write_sound(until=int(self._frames / self._rate * SAMPLE_RATE))

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises:
            SinkError: if that fails.
        """
        if self._finished:
            return
        with self._or_nothing():
            if self._chapters:  # their last end is known only now; MP4 and Matroska write them with the file's end
                self._output.set_chapters(self._timed_chapters())
            self._output.mux(self._video.encode(None))
            if self._audio is not None:
                self._output.mux(self._audio.encode(None))
            self._output.close()
            self._target.publish()
        self._finished = True

    def abort(self) -> None:
        """Give the file up and leave nothing of it."""
        if not self._finished:
            self._finished = True
            if self._output is not None:
                close_quietly(self._output)
            self._target.discard()

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _write_sound(self, until: int) -> None:
        if self._sound is None:
            return
        while self._samples < until:
            block = self._sound[self._samples : self._samples + _AUDIO_BLOCK]
            if not block.size:
                return
            samples = np.clip(np.rint(block * 32767), -32768, 32767).astype(np.int16)
            frame: Any = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self._samples, Fraction(1, SAMPLE_RATE)
            self._samples += block.size
            self._output.mux(self._audio.encode(frame))

    def _timed_chapters(self) -> list[Any]:
        starts = [round(seconds / _CHAPTER_TICK) for seconds, _ in self._chapters]
        ends = [*starts, int(self._frames / self._rate / _CHAPTER_TICK)][1:]
        return [
            {"id": number, "start": start, "end": end, "time_base": _CHAPTER_TICK, "metadata": {"title": title}}
            for number, (start, end, (_, title)) in enumerate(zip(starts, ends, self._chapters, strict=True))
        ]

    @contextlib.contextmanager
    def _or_nothing(self) -> Iterator[None]:
        if self._finished:
            raise SinkError(f"{self._target.name} is finished already")
        try:
            yield
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise SinkError(f"{self._target.name} cannot be written: {error}") from error

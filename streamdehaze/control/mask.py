"""Masks: how much of the strength applies where, the same throughout or frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamdehaze.durable import file_sha256
from streamdehaze.errors import ConfigError, StreamDehazeError
from streamdehaze.frame import FloatArray, Frame, VideoInfo

if TYPE_CHECKING:
    from streamdehaze.video import FileSource

_SAME_SHAPE = 0.02
"""Largest relative difference between the aspects of a mask and a video."""
_SAME_RATE = 0.001
"""Largest relative difference between their frame rates."""
_LEAP = 50
"""Frames ahead from which on it is faster to seek than to read."""
_LONG_SIDE = 512
"""Pixels of the long side of a video's masks; maps are smaller."""


class Mask(str):
    """How much of the strength applies where: 0 (black) to 1 (white).

    As text it is the file's name and a hash of its content, so that settings that hold a mask can be compared and
    kept as text.
    """

    weight: FloatArray
    """(rows, columns) in [0, 1]."""
    width: int
    """Pixels of the picture or video it was made from, as is `height`."""
    height: int

    @classmethod
    def read(cls, path: Path) -> Mask:
        """A picture or video as a mask; of a coloured one its luma.

        Raises:
            ConfigError: if it cannot be read.
        """
        try:
            content = file_sha256(path)[:16]
        except OSError as error:
            raise ConfigError(f"the mask '{path}' cannot be read: {error.strerror or error}") from error
        text = f"{path.name} {content}"
        from streamdehaze.video import Kind, what_is

        return MovingMask(text, path.absolute()) if what_is(path) is Kind.FILE else cls._of_picture(text, path)

    @classmethod
    def _of_picture(cls, text: str, path: Path) -> Mask:
        encoded = np.fromfile(path, np.uint8)
        samples = None
        if encoded.size:
            samples = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
        if samples is None or samples.dtype not in (np.uint8, np.uint16):
            raise ConfigError(f"the mask '{path}' is not a picture; use a PNG in black and white")
        mask = cls(text)
        mask.weight = (samples / np.float32(255 if samples.dtype == np.uint8 else 65535)).astype(np.float32)
        mask.height, mask.width = mask.weight.shape
        return mask

    def at(self, seconds: float | None) -> Mask:
        """The mask of a frame at this presentation time."""
        return self

    def check_shape(self, width: int, height: int) -> None:
        """Check that the mask fits a frame; it may be larger or smaller.

        Raises:
            ConfigError: if it has another shape.
        """
        if abs(self.width * height / (self.height * width) - 1) > _SAME_SHAPE:
            own = f"{self.width}x{self.height}"
            raise ConfigError(f"the mask '{self._name}' is {own} pixels, another shape than {width}x{height}")

    def check_rate(self, info: VideoInfo) -> None:
        """Check that the mask fits a video's frame rate.

        Raises:
            ConfigError: if it has another.
        """

    def close(self) -> None:
        """Close what is open; it is opened again when needed."""

    @property
    def _name(self) -> str:
        return self.rpartition(" ")[0]


class MovingMask(Mask):
    """A mask that is a video of the same frame rate: the frame at the same time counts.

    It is read along with the video, and sought only where that jumps.
    """

    def __new__(cls, text: str, path: Path) -> MovingMask:
        """A mask that reads `path`; `text`: see `Mask`."""
        mask = super().__new__(cls, text)
        mask._path, mask._source = path, None
        mask._info = mask._open(0.0)
        mask.width, mask.height = mask._info.width, mask._info.height
        mask.close()
        return mask

    def __reduce__(self) -> tuple[type[MovingMask], tuple[str, Path]]:
        """Another process opens the file itself."""
        return MovingMask, (str(self), self._path)

    _path: Path
    _info: VideoInfo
    _source: FileSource | None
    _frames: Iterator[Frame]
    _now: tuple[float, Mask] | None
    _next: Frame | None
    _offset: float

    def at(self, seconds: float | None) -> Mask:
        """The mask of a frame at this presentation time.

        Raises:
            ConfigError: if the mask ends before.
            StreamDehazeError: if it cannot be read.
        """
        moment = seconds or 0.0
        step = float(1 / self._info.average_rate) if self._info.average_rate else 0.04
        if self._now is None or not self._now[0] - step / 2 < moment < self._now[0] + _LEAP * step:
            self._open(max(0.0, moment - 2 * step))
        latest = None
        while self._next is not None and self._time_of(self._next) < moment + step / 4:
            latest, self._next = self._next, next(self._frames, None)
        if latest is not None:
            self._now = self._time_of(latest), self._still(latest)
        if self._now is None or (self._next is None and moment > self._now[0] + 1.5 * step):
            end = self._info.duration_seconds or 0.0
            raise ConfigError(f"the mask '{self._name}' ends at {end:.2f} seconds, before the video does")
        return self._now[1]

    def check_rate(self, info: VideoInfo) -> None:
        """See `Mask`."""
        own, other = self._info.average_rate, info.average_rate
        if own and other and abs(float(own / other) - 1) > _SAME_RATE:
            rates = f"{float(own):.6g} frames a second, and the video {float(other):.6g}"
            raise ConfigError(f"the mask '{self._name}' has {rates}; give it the same rate")

    def close(self) -> None:
        """See `Mask`."""
        if self._source is not None:
            self._source.close()
        self._source, self._frames, self._now, self._next = None, iter(()), None, None

    def _open(self, start: float) -> VideoInfo:
        from streamdehaze.video import FileSource

        self.close()
        try:
            self._source = FileSource(self._path, start=start or None)
            self._offset, self._frames = start, iter(self._source)
            first, self._next = next(self._frames, None), next(self._frames, None)
        except StreamDehazeError as error:
            raise ConfigError(f"the mask '{self._path}' is not a picture or video: {error}") from error
        if first is not None:
            self._now = self._time_of(first), self._still(first)
        return self._source.info

    def _time_of(self, frame: Frame) -> float:
        return self._offset + (frame.seconds or 0.0)

    def _still(self, frame: Frame) -> Mask:
        from streamdehaze.dehaze import affine
        from streamdehaze.dehaze.format import FrameFormat

        frame_format = FrameFormat.of(frame, _LONG_SIDE)
        rgb = affine.to_rgb(affine.shrink_components(frame, frame_format), frame_format)
        still = Mask(self)
        still.weight = np.clip(rgb.mean(axis=0), 0, 1).astype(np.float32)
        return still

"""The clear stream of a camera, encoded once for all its sinks, every picture out as soon as it is in."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import av.error

from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.live.encoded import Encoded, container_of
from streamdehaze.video.planes import PictureWriter, color_of
from streamdehaze.video.reading.timeline import TICK
from streamdehaze.video.writing.choose import Encoding
from streamdehaze.video.writing.opening import opening_encoder

_KEYFRAME_SECONDS = 2.0
_INTRA = 1
"""FFmpeg's picture type of a keyframe."""


class PictureFormat:
    """An open encoder and the parameters muxers ask for.

    Raises:
        SinkError: if there is no such encoder here, or it refuses the pictures.
    """

    def __init__(self, codec: str, frame: Frame, rate: Fraction, bitrate: int | None) -> None:
        self.layout = layout_of(frame)
        self.width, self.height = max(2, frame.width & ~1), max(2, frame.height & ~1)  # 4:2:0 has even sides
        self._writer = PictureWriter()
        # PyAV gives the parameters of an encoder to muxers only as a container's stream.
        holder = container_of(self, "matroska")
        encoding = Encoding.for_viewers(codec, "live", bitrate)
        try:
            self.stream: Any = holder.add_stream(codec, rate=rate)
        except (ValueError, av.error.FFmpegError) as error:
            raise SinkError(f"there is no encoder '{codec}' here; choose another codec, libx264 say") from error
        context: Any = self.stream.codec_context
        encoding.apply(context, self.width, self.height)
        context.time_base = self.stream.time_base = TICK
        converted = self._converted(frame)
        color = color_of(converted)
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        context.colorspace = color.matrix
        if color.full_range is not None:
            context.color_range = 2 if color.full_range else 1
        try:
            with opening_encoder():
                holder.start_encoding()
        except (ValueError, av.error.FFmpegError) as error:
            size = f"{self.width}x{self.height}"
            raise SinkError(f"the encoder {codec} cannot be opened for {size} pictures: {error}") from error
        self._key_due = 0

    def encode(self, frame: Frame, arrival: float, *, keyframe: bool) -> list[Encoded]:
        """The packets of a frame; with `keyframe`, one that a player can begin with."""
        picture = self._converted(frame)
        picture.pts, picture.time_base = frame.pts, TICK
        pts = frame.pts or 0
        if keyframe or pts >= self._key_due:
            picture.pict_type = _INTRA
            self._key_due = pts + round(_KEYFRAME_SECONDS / TICK)
        return [Encoded.of(packet, self, arrival) for packet in self.stream.encode(picture)]

    def flush(self) -> list[Encoded]:
        """The packets of frames an encoder with a look-ahead still holds; it takes no more afterwards."""
        return [Encoded.of(packet, self, None) for packet in self.stream.encode(None)]

    def _converted(self, frame: Frame) -> av.VideoFrame:
        return self._writer.convert(self._writer.picture(frame), self.width, self.height, "yuv420p")


def layout_of(frame: Frame) -> tuple[Any, ...]:
    """What an encoder is opened for; another layout needs another encoder."""
    return frame.width, frame.height, frame.pixel_format.name, frame.color

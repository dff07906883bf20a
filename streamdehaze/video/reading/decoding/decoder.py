"""Decoding one video stream, of a file or a camera."""

from __future__ import annotations

import errno
import logging
from typing import Any

import av
import av.error
from av.codec.context import Flags
from av.packet import Packet
from av.video.stream import VideoStream

log = logging.getLogger("streamdehaze")


class Decoder:
    """Decodes packets and recognizes damage; what to do with damaged pictures is the caller's choice.

    Args:
        video: the stream.
        strict: an error is better than a picture with damage that the decoder conceals without flagging it.
        live: hold no picture back longer than the codec itself does.
        max_pixels: larger pictures are not decoded, so that no camera can use up the memory.
    """

    def __init__(
        self, video: VideoStream, *, strict: bool = False, live: bool = False, max_pixels: int | None = None
    ) -> None:
        self._context, self._time_base = video.codec_context, video.time_base
        self._expects_damage = False
        self.refused = 0
        """Packets in a row that FFmpeg refused, as it does those of pictures above `max_pixels`."""
        context = self._context
        if max_pixels is not None:
            context.options = {"max_pixels": str(max_pixels)}
        self.has_one_thread = context.name == "h264" and not context.is_hwaccel
        """Whether it decodes H.264 in software, where several may decode groups of pictures in turn (see `groups`)."""
        if self.has_one_thread:
            # It flags what it conceals, but its slice threads flag nothing where a picture has several slices, and a
            # frame thread copies the flags when it hands a picture out, while another may still be concealing it: one
            # damaged picture in twenty goes out unflagged. `err_detect` does not help: where slices are missing nothing
            # is refused.
            video.thread_type = "NONE"
        elif live:
            video.thread_type = "SLICE"  # frame threads would hold back as many pictures as there are threads
        else:
            video.thread_type = "AUTO"
            if strict:
                context.options = {"err_detect": "crccheck+explode"}

    def start_without_keyframe(self) -> None:
        """Hand out everything from here on: a stream of rolling intra refresh has no keyframe to wait for."""
        self._context.flags |= Flags.output_corrupt
        self._expects_damage = True

    def decode(self, packet: Any) -> list[av.VideoFrame] | None:
        """The pictures a packet completes, damaged or not; None if it cannot be decoded."""
        try:
            pictures = self._context.decode(packet)
            self.refused = 0
            return pictures
        except av.error.FFmpegError as error:
            self.refused = self.refused + 1 if error.errno == errno.EINVAL else 0
            log.debug("%s", error)
            return None

    def drain(self) -> list[av.VideoFrame]:
        """The pictures still inside; what comes next must begin with an IDR picture."""
        end: Packet[Any] = Packet()
        if self._time_base is not None:
            end.time_base = self._time_base
        pictures = self.decode(end) or []
        self._context.flush_buffers()
        return pictures

    def is_damaged(self, picture: av.VideoFrame) -> bool:
        """Whether the decoder concealed damage in it."""
        return picture.is_corrupt and not self._expects_damage

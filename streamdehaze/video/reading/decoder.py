"""Decoding one video stream, of a file or a camera."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator
from typing import Any

import av
import av.error
from av.codec.context import Flags
from av.packet import Packet
from av.video.stream import VideoStream

log = logging.getLogger("streamdehaze")

_SLICE_OF_KEYFRAME = re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65](.)", re.DOTALL)
"""Up to the first bit of its first macroblock's number, which is 1 for the number 0 (H.264, 7.3.3)."""


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
        self._video = video
        self._expects_damage = False
        self.refused = 0
        """Packets in a row that FFmpeg refused, as it does those of pictures above `max_pixels`."""
        context = video.codec_context
        if max_pixels is not None:
            context.options = {"max_pixels": str(max_pixels)}
        if context.name == "h264" and not context.is_hwaccel:
            # It flags what it conceals, but its slice threads flag nothing where a picture has several slices, and a
            # frame thread copies the flags when it hands a picture out, while another may still be concealing it: one
            # damaged picture in twenty goes out unflagged. `err_detect` does not help: where slices are missing nothing
            # is refused. Decoders in turn, each on groups of pictures of its own, run side by side only if whole groups
            # are kept decoded, 3 GB for ten seconds of 4K.
            # One thread is seldom the bottleneck: at 4K it takes a seventh of the processor time of a run.
            video.thread_type = "NONE"
        elif live:
            video.thread_type = "SLICE"  # frame threads would hold back as many pictures as there are threads
        else:
            video.thread_type = "AUTO"
            if strict:
                context.options = {"err_detect": "crccheck+explode"}

    def start_without_keyframe(self) -> None:
        """Hand out everything from here on: a stream of rolling intra refresh has no keyframe to wait for."""
        self._video.codec_context.flags |= Flags.output_corrupt
        self._expects_damage = True

    def decode(self, packet: Any) -> list[av.VideoFrame] | None:
        """The pictures a packet completes, damaged or not; None if it cannot be decoded."""
        try:
            pictures = self._video.decode(packet)
            self.refused = 0
            return pictures
        except av.error.FFmpegError as error:
            self.refused = self.refused + 1 if error.errno == errno.EINVAL else 0
            log.debug("%s", error)
            return None

    def is_damaged(self, picture: av.VideoFrame) -> bool:
        """Whether the decoder concealed damage in it."""
        return picture.is_corrupt and not self._expects_damage


def whole_pictures(packets: Iterator[Packet[Any]], video: VideoStream) -> Iterator[Packet[Any]]:
    """Join the packets of keyframes of H.264 that came in parts.

    GStreamer repeats the parameter sets before each slice of a keyframe, and encoders that hurry make several slices
    of a picture. FFmpeg begins a packet at each parameter set, and half a picture decodes as a damaged one. A keyframe
    is held back until the packet after it shows whether it is whole: the first of a stream, and all while they are not.
    """
    context = video.codec_context
    if context.name != "h264" or bytes(context.extradata or b"")[:1] == b"\x01":  # 1: in MP4's form, of whole pictures
        yield from packets
        return
    held: Packet[Any] | None = None
    come_in_parts, is_joined = True, False
    for packet in packets:
        if packet.stream_index == video.index:
            if held is not None and _continues(packet, held):
                held, is_joined = _joined(held, packet), True
                continue
            if held is not None:
                yield held
                held, come_in_parts, is_joined = None, is_joined, False
            if come_in_parts and packet.is_keyframe and packet.size:
                held = packet
                continue
        yield packet
    if held is not None:
        yield held


def _continues(packet: Packet[Any], before: Packet[Any]) -> bool:
    """Whether a packet begins within the keyframe before it."""
    first = _SLICE_OF_KEYFRAME.search(bytes(packet))
    same_time = packet.pts == before.pts or before.pts is None
    return same_time and first is not None and first[1][0] < 0x80


def _joined(first: Packet[Any], second: Packet[Any]) -> Packet[Any]:
    whole: Packet[Any] = Packet(bytes(first) + bytes(second))
    whole.stream = first.stream
    whole.pts, whole.dts, whole.time_base = second.pts, second.dts, second.time_base
    whole.is_keyframe = True
    if first.has_sidedata("prft"):
        whole.set_sidedata(first.get_sidedata("prft"))
    return whole

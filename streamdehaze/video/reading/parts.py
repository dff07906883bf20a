"""Pictures of cameras that FFmpeg hands out in two or more packets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

_SLICE_OF_KEYFRAME = re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65](.)", re.DOTALL)
"""Up to the first bit of its first macroblock's number, which is 1 for the number 0 (H.264, 7.3.3)."""


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

"""Where pictures and closed groups of them begin in packets of H.264 (ITU-T H.264)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

from streamdehaze.video.syntax.sei import length_bytes_of, units_of

_SLICES, _KEY_SLICE, _MESSAGES, _PARAMETERS = range(1, 6), 5, 6, (7, 8)
"""Types of units of H.264, in the last five bits of their first byte (table 7-1)."""
_X264 = b"x264 - core"
"""What old versions of it wrote, FFmpeg decodes as they meant it."""
_KEPT_SIDE_DATA: tuple[Any, ...] = ("new_extradata", "prft")


class GroupFinder:
    """Tells where closed groups of pictures of H.264 begin, and where something changes how others are decoded.

    Args:
        header: the stream's; in MP4's form, where each unit comes after its length, it begins with 1.
    """

    def __init__(self, header: bytes) -> None:
        self._length_bytes = length_bytes_of(header, "h264")
        self._known = set() if self._length_bytes else set(units_of(header, 0))
        self._has_begun = False

    def look(self, packet: Packet[Any]) -> tuple[bool, bool]:
        """Whether a packet begins with an IDR picture, and whether it has parameters unlike those at the beginning."""
        units = [unit for unit in units_of(bytes(packet), self._length_bytes) if len(unit) > 1]
        kept = {unit for unit in units if _kind(unit) in _PARAMETERS or (_kind(unit) == _MESSAGES and _X264 in unit)}
        if not self._has_begun:
            self._known |= kept
            self._has_begun = True
        is_odd = self._length_bytes > 0 and any(b"\0\0\1" in unit for unit in units)  # where FFmpeg begins another one
        first = next((unit for unit in units if _kind(unit) in _SLICES), None)
        begins = first is not None and _kind(first) == _KEY_SLICE and _begins_picture(first)
        return begins, not kept <= self._known or is_odd or packet.has_sidedata("new_extradata")


def whole_pictures(
    packets: Iterator[Packet[Any]], video: VideoStream, *, sought: bool = False
) -> Iterator[Packet[Any]]:
    """Join the packets of keyframes of H.264 that came in parts.

    GStreamer's RTSP server repeats the parameter sets before each slice of a keyframe, and encoders that hurry make
    several slices of a picture. FFmpeg begins a packet at each parameter set, writes it like that into recordings, and
    half a picture decodes as a damaged one. A keyframe is held back until the packet after it shows whether it is
    whole: the first of a stream, and all while they are not.

    Args:
        packets: of the video and other streams.
        video: what is decoded.
        sought: the packets begin where the file was searched; if that is within a keyframe, leave out what needs it.
    """
    if video.codec_context.name != "h264":
        yield from packets
        return
    held: list[Packet[Any]] = []
    come_in_parts, lacks_keyframe = True, False
    for packet in packets:
        if packet.stream_index != video.index:
            yield packet
            continue
        is_later_part = come_in_parts and packet.is_keyframe and _begins_within_keyframe(packet, video)
        if sought and packet.size:
            lacks_keyframe = is_later_part or (lacks_keyframe and not packet.is_keyframe)
            if lacks_keyframe:
                continue
            sought = False
        if held and is_later_part and _apart(packet, held[-1]) in (0, 1):
            held.append(packet)
            continue
        if held:
            yield _joined(held)
            come_in_parts, held = len(held) > 1, []
        if come_in_parts and packet.is_keyframe and packet.size and not is_later_part:
            held.append(packet)
        else:
            yield packet
    if held:
        yield _joined(held)


def _begins_within_keyframe(packet: Packet[Any], video: VideoStream) -> bool:
    """Whether a packet of H.264 begins with a later slice of a keyframe."""
    length_bytes = length_bytes_of(bytes(video.codec_context.extradata or b""), "h264")
    slices = (unit for unit in units_of(bytes(packet), length_bytes) if len(unit) > 1 and _kind(unit) == _KEY_SLICE)
    first = next(slices, None)
    return first is not None and not _begins_picture(first)


def _kind(unit: bytes) -> int:
    return unit[0] & 31


def _begins_picture(unit: bytes) -> bool:
    return unit[1] >= 0x80  # 1, as the first bit, is the number of macroblock 0 (7.3.3)


def _apart(packet: Packet[Any], before: Packet[Any]) -> int:
    """Ticks between two packets; 0 if one has no time. FFmpeg's program puts a tick between equal times."""
    return 0 if packet.pts is None or before.pts is None else packet.pts - before.pts


def _joined(parts: list[Packet[Any]]) -> Packet[Any]:
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return first
    whole: Packet[Any] = Packet(b"".join(bytes(part) for part in parts))
    whole.stream, whole.time_base = first.stream, first.time_base
    timed = next((part for part in parts if part.pts is not None), first)
    whole.pts, whole.dts, whole.duration = timed.pts, timed.dts, _apart(last, first) + (last.duration or 0)
    whole.is_keyframe = True
    for kind in _KEPT_SIDE_DATA:
        if first.has_sidedata(kind):
            whole.set_sidedata(first.get_sidedata(kind))
    return whole

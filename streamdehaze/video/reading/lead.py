"""Reading up to an instant without decoding, in files where time says nothing about place."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av.packet import Packet

from streamdehaze.video.pyav import fraction

_MOST_BYTES = 256 << 20
"""Limit for the packets kept while no keyframe comes."""


def from_keyframe_before(packets: Iterator[Packet[Any]], video: int, instant: Fraction) -> Iterator[Packet[Any]]:
    """The packets from the last keyframe but one at or before an instant; the video's earlier ones are left out.

    Args:
        packets: of the whole file, on one clock.
        video: number of the stream that is decoded.
        instant: seconds on that clock.
    """
    groups: list[list[Packet[Any]]] = [[]]
    size = 0
    for packet in packets:
        if packet.stream_index != video:
            yield packet
            continue
        stamp = packet.pts if packet.pts is not None else packet.dts
        if packet.is_keyframe:
            groups = [*groups[-1:], []]
            size = sum(each.size for group in groups for each in group)
        groups[-1].append(packet)
        size += packet.size
        arrived = stamp is not None and stamp * fraction(packet.time_base) >= instant
        if arrived or not packet.size or size > _MOST_BYTES:
            break
    for group in groups:
        yield from group
    yield from packets

"""Packets of the streams that go with a video, in the part of the file that is wanted."""

from __future__ import annotations

from collections import deque

import av
from av.stream import Disposition, Stream

from streamdehaze.video.pyav import fraction
from streamdehaze.video.reading.times.window import Window


class CompanionPackets:
    """Packets in a window, on the clock of the result, that wait for a sink.

    Args:
        window: which part of the file.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self.waiting: deque[av.Packet[Stream]] = deque()
        self.wanted: frozenset[int] = frozenset()
        """Numbers of the streams."""
        self.led_in: frozenset[int] = frozenset()
        """Those of them that are videos and begin with the keyframe before the window."""

    def take(self, packet: av.Packet[Stream]) -> bool:
        """Keep a packet, if it is wanted and lies in the window; True once its stream is past the end."""
        if packet.stream_index not in self.wanted:
            return False
        time_base = fraction(packet.time_base)
        instant = packet.pts if packet.pts is not None else packet.dts
        if Disposition.attached_pic in packet.stream.disposition:
            packet.pts = packet.dts = 0  # a cover belongs to the whole file
        elif not time_base:
            return False
        else:
            assert instant is not None  # see `Demuxer`
            if self._window.after(instant, time_base):
                return True
            if packet.stream.type == "subtitle" and packet.pts is not None and packet.duration:
                packet.pts, packet.duration = self._window.cut(packet.pts, packet.duration, time_base)
                packet.dts = instant = packet.pts
            if self._window.before(instant, time_base):
                if packet.stream_index not in self.led_in:
                    return False
                if packet.is_keyframe:
                    others = [each for each in self.waiting if each.stream_index != packet.stream_index]
                    self.waiting = deque(others)
            if packet.pts is not None:
                packet.pts = self._window.shift(packet.pts, time_base)
            if packet.dts is not None:
                packet.dts = self._window.shift(packet.dts, time_base)
        self.waiting.append(packet)
        return False

"""One clock for transport and program streams that were joined byte by byte, or whose recorder reset its own."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.format import Flags
from av.packet import Packet

from streamdehaze.video.pyav import fraction, has_flag

_BACK = Fraction(1, 10)
"""Seconds that decoding times may go back in a stream without the clock having been reset (FFmpeg's own limit)."""
_FORWARD = Fraction(10)
"""Seconds of a gap from which on a warning is given (FFmpeg's own limit)."""
_REMEMBERED = 4
"""Offsets that a packet may go by: streams meet a reset one after the other, and single time stamps may be wrong."""


class Continuity:
    """Shifts the times of all streams by one common offset where the clock of a file goes back.

    What follows a reset then begins where what came before has ended, sound and pictures in step.

    Args:
        container: the file.
        warn_once: gets the key of a warning, "reset" or "gap", and what to log.
    """

    def __init__(self, container: InputContainer, warn_once: Callable[..., None]) -> None:
        self.applies = has_flag(container.format, Flags.ts_discont)
        """Whether the format is one whose clock may be reset in the middle."""
        self._warn_once = warn_once
        self._offsets: list[Fraction] = [Fraction(0)]
        self._current: dict[int, Fraction] = {}
        self._last: dict[int, Fraction] = {}
        self._next: dict[int, Fraction] = {}

    def place(self, packet: Packet[Any]) -> None:
        """Put a packet's times on the common clock."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if not self.applies or stamp is None or not packet.time_base:
            return
        index, tick = packet.stream_index, fraction(packet.time_base)
        timed = packet.stream.type in ("video", "audio")
        raw = stamp * tick
        offset = self._offset(index, raw) if timed else self._offsets[-1]
        if offset:
            ticks = round(offset / tick)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        if timed:
            self._last[index] = raw + offset
            self._next[index] = raw + offset + (packet.duration or 0) * tick

    def _offset(self, index: int, raw: Fraction) -> Fraction:
        current = self._current.get(index, self._offsets[-1])
        if index not in self._last:
            self._current[index] = current
            return current
        expected = self._next[index]
        nearest = min(self._offsets[-_REMEMBERED:], key=lambda known: (abs(raw + known - expected), known != current))
        if self._fits(index, raw + current) and abs(raw + current - expected) <= abs(raw + nearest - expected) + _BACK:
            nearest = current
        if not self._fits(index, raw + nearest):
            nearest = max(self._next.values()) - raw
            self._offsets.append(nearest)
            self._warn_once(
                "reset", "its clock goes back by %.3f s at %.3f s; the rest continues where the part before it ends",
                float(expected - raw - current), float(expected),
            )  # fmt: skip
        elif raw + nearest > expected + _FORWARD:
            self._warn_once(
                "gap", "its clock jumps from %.3f s to %.3f s; the gap is kept", float(expected), float(raw + nearest)
            )
        self._current[index] = nearest
        return nearest

    def _fits(self, index: int, time: Fraction) -> bool:
        return time >= self._last[index] - _BACK

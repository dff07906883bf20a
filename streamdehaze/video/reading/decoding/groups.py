"""Decoding closed groups of pictures (GOP) of H.264 side by side, on decoders of one thread each."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from streamdehaze.errors import Cancelled, StreamDehazeError
from streamdehaze.process import free_memory
from streamdehaze.video.reading.decoding.decoder import Decoder
from streamdehaze.video.reading.decoding.h264 import GroupFinder

log = logging.getLogger("streamdehaze")

_LEAST_PACKETS = 24
"""In a group: more than a decoder holds back (16), so that each shows how it begins before it ends."""
_READ_BYTES = 256 << 20
"""Packets read ahead; where a group is longer, one decoder continues alone."""
_AHEAD_BYTES, _FREE_SHARE = 1 << 30, 16
"""Pictures decoded ahead hold at most this much, and this part of the memory that is free."""
_SHORT = 2
"""Pictures ready for the one who waits for them, and packets read ahead where one decoder works alone."""
_LESS = 1 / 16
"""This many fewer pictures may wait after one that was ready when it was wanted; one more after one that was not."""
_POLL_SECONDS = 0.1

Pictures = list[av.VideoFrame] | None
"""What a packet completes; None if it cannot be decoded."""


@dataclass(eq=False)
class _Step:
    """A packet, and what becomes of it."""

    packet: Packet[Any]
    group: _Group | None = None
    """None for a packet of another stream."""
    rest: list[av.VideoFrame] | None = field(default_factory=list)
    """Pictures that another decoder held back at the end of the group before; None until that is known."""
    pictures: Pictures = None
    is_done: bool = False


@dataclass(eq=False)
class _Group:
    """Packets from an IDR picture to the next one, or to a later one where those follow soon."""

    number: int
    is_sound: bool = False
    """Whether it is known to begin with a picture that owes nothing to what came before it."""
    packets: int = 0
    delay: int = 0
    """Packets decoded before the first picture came out."""
    ready: int = 0
    """Pictures that were not handed out yet."""
    waiting: deque[_Step] = field(default_factory=deque)
    """Those that its decoder has still to take."""


class GroupDecoder:
    """Hands out the pictures that one decoder would, packet by packet, with several at work on groups in turn.

    All that passes from one group to the next are parameter sets and the depth of reordering. A decoder is emptied at
    the end of a group only where the next one was begun by another without an error, with an undamaged progressive IDR
    picture and as deep a reordering; otherwise that group and all after it are joined to this one, and its decoder goes
    on alone. So it does after new parameter sets. What is handed out and reported is therefore what one decoder gives,
    damage or not.

    Pictures may wait for those before them, up to a share of the free memory. Their number grows only while pictures
    are waited for, so that a film whose pictures are not takes no more memory than with one decoder.

    Args:
        first: the decoder of the film.
        another: opens one more.
        video: the stream that they decode.
        decoders: how many, 2 or more.
        stop: once set, waiting ends with `Cancelled`.
    """

    def __init__(
        self,
        first: Decoder,
        another: Callable[[], Decoder],
        video: VideoStream,
        decoders: int,
        stop: threading.Event | None = None,
    ) -> None:
        self.decoders = decoders
        self._first, self._another, self._video, self._stop = first, another, video.index, stop
        self._finder = GroupFinder(bytes(video.codec_context.extradata or b""))
        self._most_ahead = _most_ahead(video, decoders)
        self._ahead: float = 1
        """Pictures that may wait now."""
        self._changed = threading.Condition()
        self._steps: deque[_Step] = deque()
        """What was read and not handed out, in the order of the file."""
        self._bytes = 0
        """Of their packets."""
        self._groups: deque[_Group] = deque()
        """From that whose pictures are handed out to that which is read. Who decodes one that is not here any more has
        lost it to the decoder of the one before."""
        self._late: deque[av.VideoFrame] = deque()
        """Pictures that one decoder would still hold back."""
        self._beginning: Packet[Any] | None = None
        """The first of the video."""
        self._is_alone = self._is_over = False
        """Whether no further group begins, and whether no further packet comes."""
        self._error: BaseException | None = None

    def pictures(self, packets: Iterator[Packet[Any]]) -> Generator[tuple[Packet[Any], Pictures], None, None]:
        """Every packet, and the pictures that come out with it; the last packet of the video is an empty one.

        Raises:
            Cancelled: if the stop event is set meanwhile.
        """
        workers = [
            threading.Thread(target=self._work, args=(number,), name=f"streamdehaze-decode-{number}", daemon=True)
            for number in range(self.decoders)
        ]
        failure = None
        try:
            for worker in workers:
                worker.start()
            while True:
                try:
                    packet = next(packets, None)
                except Exception as error:  # comes after what was read before it
                    failure, packet = error, None
                if packet is None:
                    break
                self._append(packet)
                while self._is_full():
                    yield self._take()
            with self._changed:
                self._is_over = True
                self._changed.notify_all()
            while self._steps:
                yield self._take()
            if failure is not None:
                raise failure
        finally:
            if not sys.is_finalizing():  # the threads are gone by then
                self._end(workers)

    def _end(self, workers: list[threading.Thread]) -> None:
        with self._changed:
            self._is_over = True
            self._groups.clear()
            self._changed.notify_all()
        for worker in workers:
            if worker.ident is not None:
                worker.join()

    def _append(self, packet: Packet[Any]) -> None:
        """Put a packet in its place: another decoder may begin with it, or that of the packet before it continues."""
        step, is_video = _Step(packet), packet.stream_index == self._video
        may_begin, is_news = self._finder.look(packet) if is_video else (False, False)
        with self._changed:
            self._steps.append(step)
            self._bytes += packet.size
            if not is_video:
                return
            if not self._groups:
                self._beginning = packet
                self._groups.append(_Group(0, is_sound=True))
            elif may_begin and not self._is_alone and self._groups[-1].packets >= _LEAST_PACKETS:
                step.rest = None
                self._groups.append(_Group(self._groups[-1].number + 1))
            step.group = self._groups[-1]
            step.group.packets += 1
            step.group.waiting.append(step)
            self._is_alone |= is_news
            self._changed.notify_all()

    def _is_full(self) -> bool:
        """Whether enough was read, so that something is to be handed out first."""
        with self._changed:
            if not self._groups:
                return bool(self._steps)
            front, last, is_much = self._groups[0], self._groups[-1], self._bytes > _READ_BYTES
            if last is not front and last.packets < _LEAST_PACKETS:  # does not show how it begins
                if not is_much:
                    return False
                self._join(last)
            self._is_alone |= is_much and last is front
            if self._is_alone:
                return len(self._steps) > _SHORT
            return is_much or len(self._groups) > self.decoders

    def _take(self) -> tuple[Packet[Any], Pictures]:
        """The next packet and its pictures, waiting for them."""
        step = self._steps[0]
        with self._changed:
            if step.group is not None:
                self._await(lambda: step.rest is not None)
                self._late.extend(step.rest or ())
                if step.group is not self._groups[0]:
                    self._groups.popleft()
                self._ahead = max(1, min(self._ahead + (-_LESS if step.is_done else 1), self._most_ahead))
                self._changed.notify_all()
                self._await(lambda: step.is_done)
                step.group.ready -= len(step.pictures or ())
                self._changed.notify_all()
            self._steps.popleft()
            self._bytes -= step.packet.size
        if step.pictures is None:
            return step.packet, None
        # One decoder, which is not emptied between groups, gives each later picture with a later packet.
        self._late.extend(step.pictures)
        count = max(1, len(step.pictures)) if step.packet.size else len(self._late)
        return step.packet, [self._late.popleft() for _ in range(min(count, len(self._late)))]

    def _await(self, come: Callable[[], bool]) -> None:
        while not come():
            if self._error is not None:
                raise self._error
            if self._stop is not None and self._stop.is_set():
                raise Cancelled("stopped")
            self._changed.wait(_POLL_SECONDS)

    def _work(self, number: int) -> None:
        """Decode every group whose turn it is, until there are no more of them."""
        try:
            decoder = self._first if number == 0 else None
            for turn in itertools.count(number, self.decoders):
                if (group := self._begun(turn)) is None:
                    return
                try:
                    decoder = decoder or self._opened()
                except (StreamDehazeError, av.error.FFmpegError, OSError) as error:
                    log.debug("one decoder does all: %s", error)
                    with self._changed:
                        self._join(group)
                    return
                self._decode(group, decoder)
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _opened(self) -> Decoder:
        """One more decoder, which was given what the first one was at the beginning."""
        decoder = self._another()
        decoder.decode(self._beginning)
        decoder.drain()
        return decoder

    def _begun(self, turn: int) -> _Group | None:
        """The group with a number, once enough of it was read to show how it begins; None if there is none."""
        with self._changed:
            while True:
                group = self._numbered(turn)
                if group is None and (self._is_over or self._is_alone):
                    return None
                if group is not None and (turn == 0 or group.packets >= _LEAST_PACKETS or self._is_over):
                    return group
                self._changed.wait()

    def _decode(self, group: _Group, decoder: Decoder) -> None:
        """Decode a group, and what is joined to it."""
        while True:
            while (step := self._next(group)) is not None:
                pictures = decoder.decode(step.packet)
                with self._changed:
                    if group in self._groups:
                        step.pictures, step.is_done = pictures, True
                        group.ready += len(pictures or ())
                        self._judge(group, pictures)
                        self._changed.notify_all()
            if not self._goes_on(group, decoder):
                return

    def _next(self, group: _Group) -> _Step | None:
        """The packet to decode next, once there is room; None at the end of a group, or where its decoder lost it."""
        with self._changed:
            while group in self._groups:
                if group.waiting:
                    if self._has_room(group):
                        return group.waiting.popleft()
                elif (after := self._numbered(group.number + 1)) is not None:
                    if after.is_sound:
                        return None
                elif self._is_over:
                    if not group.is_sound:
                        self._join(group)
                    return None
                self._changed.wait()
            return None

    def _has_room(self, group: _Group) -> bool:
        is_awaited = group is self._groups[0] and group.ready < _SHORT
        return not group.is_sound or self._ready < self._ahead or is_awaited

    @property
    def _ready(self) -> int:
        """Pictures that were not handed out yet."""
        return sum(group.ready for group in self._groups)

    def _judge(self, group: _Group, pictures: Pictures) -> None:
        """Find out how a group begins."""
        if group.is_sound:
            return
        if pictures:
            # Whether an interlaced picture is shown as one may depend on the picture before it.
            first = pictures[0]
            group.is_sound = first.key_frame and not first.is_corrupt and not first.interlaced_frame
        elif pictures is not None and group.delay + 1 < _LEAST_PACKETS:
            group.delay += 1
            return
        if not group.is_sound:
            self._join(group)

    def _goes_on(self, group: _Group, decoder: Decoder) -> bool:
        """Empty the decoder of a group for the next one; whether that had to be joined to this one instead."""
        with self._changed:
            after = self._numbered(group.number + 1)
        if after is None:
            return False
        rest = decoder.drain()
        with self._changed:
            if after not in self._groups:  # reading has ended
                return False
            is_as_deep = len(rest) == after.delay
            first = next(step for step in self._steps if step.group is after)
            if not is_as_deep:
                self._join(after)
            first.rest = rest
            self._changed.notify_all()
            return not is_as_deep

    def _join(self, group: _Group) -> None:
        """Leave all from a group on to the decoder of the one before it; what others made of it is forgotten."""
        if group not in self._groups:
            return
        while self._groups.pop() is not group:
            pass
        self._is_alone, last = True, self._groups[-1]
        for step in self._steps:
            if step.group is not None and step.group.number > last.number:
                step.group, step.rest, step.pictures, step.is_done = last, [], None, False
                last.waiting.append(step)
        self._changed.notify_all()

    def _numbered(self, number: int) -> _Group | None:
        return next((group for group in self._groups if group.number == number), None)


def _most_ahead(video: VideoStream, decoders: int) -> int:
    """Pictures that may be decoded ahead: each decoder keeps the memory of the most that ever waited for it."""
    context = video.codec_context
    bits = context.format.padded_bits_per_pixel if context.format is not None else 12
    free = min(_AHEAD_BYTES, free_memory() // _FREE_SHARE)
    return max(1, free // decoders * 8 // max(context.width * context.height * bits, 1))

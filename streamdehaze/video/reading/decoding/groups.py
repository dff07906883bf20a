"""Decoding closed groups of pictures (GOP) of H.264 side by side, on decoders of one thread each."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import av.error
from av.packet import Packet

from streamdehaze.errors import Cancelled, StreamDehazeError
from streamdehaze.video.reading.decoding.decoder import Decoder
from streamdehaze.video.reading.decoding.h264 import GroupFinder

log = logging.getLogger("streamdehaze")

_LEAST_PACKETS = 24
"""In a group: more than a decoder holds back (16), so that each shows how it begins before it ends."""
_READ_BYTES = 256 << 20
"""Packets read ahead; where a group is longer, one decoder goes on alone."""
_SHORT = 2
"""Pictures ready for the one who waits for them, and packets read ahead where one decoder works alone."""
_LESS = 1 / 16
"""So many fewer pictures may wait after one that was ready when it was wanted; one more after one that was not."""
_POLL_SECONDS = 0.1

Pictures = list[av.VideoFrame] | None
"""What a packet completes; None if it cannot be decoded."""


@dataclass(eq=False)
class _Step:
    """A packet, and what becomes of it."""

    packet: Packet[Any]
    group: _Group | None = None
    """None for a packet of another stream."""
    next: _Step | None = None
    pictures: Pictures = None
    is_done: bool = False


@dataclass(eq=False)
class _Group:
    """Packets from an IDR picture to the next one, or to a later one where those follow soon."""

    number: int
    first: _Step | None
    packets: int = 0
    is_whole: bool = False
    """Whether all its packets were read."""
    owner: int | None = None
    """Number of its decoder."""
    is_sound: bool | None = None
    """Whether it begins with a picture that owes nothing to what came before it; None until that is known."""
    decoded: int = 0
    delay: int = 0
    """Packets decoded, and before the first picture came out."""
    ready: int = 0
    """Pictures that were not handed out yet."""
    rest: list[av.VideoFrame] | None = None
    """The pictures that come out after its last packet, once it is known whether they do."""


@dataclass(eq=False)
class GroupDecoder:
    """Hands out the pictures that one decoder would, packet by packet, with several at work on groups in turn.

    All that passes from one group to the next are parameter sets and the depth of reordering. A decoder is emptied at
    the end of a group only where the next one was begun by another without an error, with an undamaged progressive IDR
    picture and as deep a reordering; otherwise it goes on into the next group, as one decoder does, and from there on
    alone. So do new parameter sets. What is handed out and reported is therefore what one decoder gives, damage or not.

    Args:
        first: the decoder of the film.
        another: opens one more.
        video: index of its stream.
        finder: tells where its groups begin.
        decoders: how many, 2 or more.
        most_ahead: pictures that may wait for those before them. It grows up to that only while pictures are waited
            for, so that a film whose pictures are not takes no more memory than with one decoder.
        stop: once set, waiting ends with `Cancelled`.
    """

    first: Decoder
    another: Callable[[], Decoder]
    video: int
    finder: GroupFinder
    decoders: int
    most_ahead: int
    stop: threading.Event | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _steps: deque[_Step] = field(default_factory=deque)
    """In the order of the file."""
    _groups: deque[_Group] = field(default_factory=deque)
    _last: _Step | None = None
    """Of the video."""
    _front: _Group | None = None
    """That whose pictures are handed out."""
    _late: deque[av.VideoFrame] = field(default_factory=deque)
    """Pictures that one decoder would still hold back."""
    _beginning: Packet[Any] | None = None
    """The first of the video."""
    _alone_from: float = float("inf")
    """Number of the group from which on one decoder works alone."""
    _bytes: int = 0
    _ready: int = 0
    _ahead: float = 1
    """Pictures that may wait now."""
    _ended: bool = False
    _over: bool = False
    _error: BaseException | None = None

    def pictures(self, packets: Iterator[Packet[Any]]) -> Iterator[tuple[Packet[Any], Pictures]]:
        """Every packet, and the pictures that come out with it; the last packet of the video is an empty one.

        Raises:
            Cancelled: if the stop event is set meanwhile.
        """
        openers = [lambda: self.first] + [self._another] * (self.decoders - 1)
        workers = [
            threading.Thread(target=self._work, args=each, name=f"streamdehaze-decode-{each[0]}", daemon=True)
            for each in enumerate(openers)
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
                self._ended = True
                if self._last is not None and self._last.group is not None:
                    self._last.group.is_whole = True
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
            self._over = True
            self._changed.notify_all()
        for worker in workers:
            if worker.ident is not None:
                worker.join()

    def _append(self, packet: Packet[Any]) -> None:
        """Put a packet in its place: other decoders may begin with it, or the one before them goes on."""
        step = _Step(packet)
        if packet.stream_index == self.video:
            may_begin, is_news = self.finder.look(packet)
            with self._changed:
                before = self._last
                self._beginning = self._beginning or packet
                group = None if before is None else before.group
                if group is None or (may_begin and group.packets >= _LEAST_PACKETS):
                    if group is not None:
                        group.is_whole = True
                    group = _Group(0 if group is None else group.number + 1, step)
                    group.is_sound = True if before is None else None
                    self._groups.append(group)
                step.group, self._last = group, step
                group.packets += 1
                if is_news:
                    self._go_alone(group.number + 1)
                if before is not None:
                    before.next = step
                self._changed.notify_all()
        self._steps.append(step)
        self._bytes += packet.size

    def _is_full(self) -> bool:
        """Whether enough was read, so that something is to be handed out first."""
        if self._last is None or self._last.group is None:
            return bool(self._steps)
        last, front = self._last.group, self._front.number if self._front is not None else 0
        is_short = front < last.number < self._alone_from and last.packets < _LEAST_PACKETS
        if self._bytes > _READ_BYTES and (is_short or last.number == front):
            with self._changed:
                self._go_alone(last.number + (not is_short))
        if last.number + 1 >= self._alone_from and not is_short:
            return len(self._steps) > _SHORT
        enough = last.number - front >= self.decoders and not is_short
        return bool(self._steps) and (self._bytes > _READ_BYTES or enough)

    def _take(self) -> tuple[Packet[Any], Pictures]:
        """The next packet and its pictures, waiting for them."""
        step = self._steps.popleft()
        packet, group = step.packet, step.group
        self._bytes -= packet.size
        if group is None:
            return packet, None
        with self._changed:
            if group is not self._front:
                if (front := self._front) is not None:
                    self._await(lambda: front.rest is not None)
                    self._late.extend(front.rest or ())
                    self._groups.popleft()
                self._front = group
                self._changed.notify_all()
            self._ahead = max(1, min(self._ahead + (-_LESS if step.is_done else 1), self.most_ahead))
            self._changed.notify_all()
            self._await(lambda: step.is_done)
            pictures, step.pictures, group.first = step.pictures, None, None  # which would keep them all
            group.ready -= len(pictures or ())
            self._ready -= len(pictures or ())
            self._changed.notify_all()
        if pictures is None:
            return packet, None
        # One decoder, which is not emptied between groups, gives each later picture with a later packet.
        self._late.extend(pictures)
        count = max(1, len(pictures)) if packet.size else len(self._late)
        return packet, [self._late.popleft() for _ in range(min(count, len(self._late)))]

    def _await(self, come: Callable[[], bool]) -> None:
        while not come():
            if self._error is not None:
                raise self._error
            if self.stop is not None and self.stop.is_set():
                raise Cancelled("stopped")
            self._changed.wait(_POLL_SECONDS)

    def _another(self) -> Decoder:
        """One more decoder, which was given what the first one was at the beginning."""
        decoder = self.another()
        decoder.decode(self._beginning)
        decoder.drain()
        return decoder

    def _work(self, number: int, opened: Callable[[], Decoder]) -> None:
        """Decode every group whose turn it is, until there are no more of them."""
        try:
            decoder = None
            for turn in itertools.count(number, self.decoders):
                if (group := self._begun(turn, number)) is None:
                    return
                try:
                    decoder = decoder or opened()
                except (StreamDehazeError, av.error.FFmpegError, OSError) as error:
                    log.debug("one decoder does all: %s", error)
                    with self._changed:
                        self._go_alone(turn)
                    return
                self._decode(group, decoder, number)
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _begun(self, turn: int, number: int) -> _Group | None:
        """The group with a number, once it shows how it begins; None if there is none to be decoded apart."""
        with self._changed:
            while not self._over and turn < self._alone_from:
                group = next((each for each in self._groups if each.number == turn), None)
                if group is None and self._ended:
                    break
                if group is not None and (turn == 0 or group.is_whole or group.packets >= _LEAST_PACKETS):
                    group.owner = number
                    return group
                self._changed.wait()
            return None

    def _decode(self, group: _Group, decoder: Decoder, number: int) -> None:
        """Decode a group, and what follows as far as only this decoder can."""
        step = group.first
        while step is not None:
            assert step.group is not None
            if step.group is not group:
                if not self._goes_on(group, step.group, decoder, number):
                    return
                group = step.group
            with self._changed:
                while self._is_owner(group, number) and not self._has_room(group):
                    self._changed.wait()
                if not self._is_owner(group, number):
                    return
            pictures = decoder.decode(step.packet)
            with self._changed:
                if not self._is_owner(group, number):
                    return
                step.pictures, step.is_done = pictures, True
                group.ready += len(pictures or ())
                self._ready += len(pictures or ())
                self._judge(group, pictures)
                self._changed.notify_all()
                while step.next is None and not self._ended and not self._over:
                    self._changed.wait()
                step = step.next

    def _is_owner(self, group: _Group, number: int) -> bool:
        return group.owner == number and not self._over

    def _has_room(self, group: _Group) -> bool:
        is_awaited = group is self._front and group.ready < _SHORT
        return group.is_sound is None or self._ready < self._ahead or is_awaited

    def _judge(self, group: _Group, pictures: Pictures) -> None:
        """Find out how a group begins."""
        group.decoded += 1
        if group.is_sound is not None:
            return
        if pictures:
            # Whether an interlaced picture is shown as one may depend on the picture before it.
            first, group.delay = pictures[0], group.decoded - 1
            group.is_sound = first.key_frame and not first.is_corrupt and not first.interlaced_frame
        elif pictures is None or group.decoded >= _LEAST_PACKETS:
            group.is_sound = False
        if group.is_sound is False:
            self._go_alone(group.number)

    def _goes_on(self, group: _Group, after: _Group, decoder: Decoder, number: int) -> bool:
        """Whether the decoder of a group has to decode the next one too; if not, it is empty."""
        with self._changed:
            while self._is_owner(group, number) and after.is_sound is None and after.number < self._alone_from:
                self._changed.wait()
            if not self._is_owner(group, number):
                return False
            if after.number >= self._alone_from:
                after.owner, after.is_sound, group.rest = number, True, []
                self._changed.notify_all()
                return True
        rest = decoder.drain()
        with self._changed:
            if not self._is_owner(group, number):
                return False
            group.rest = rest
            is_as_deep = len(rest) == after.delay
            if not is_as_deep:
                self._go_alone(after.number)
                after.owner, after.is_sound = number, True
            self._changed.notify_all()
            return not is_as_deep

    def _go_alone(self, number: int) -> None:
        """Leave all from a group on to the decoder of the group before it; what others made of them is forgotten."""
        self._alone_from = min(self._alone_from, number)
        for group in self._groups:
            if group.number >= number and group.owner is not None:
                self._ready -= group.ready
                group.owner, group.ready = None, 0
                step = group.first
                while step is not None and step.group is group:
                    step.pictures, step.is_done = None, False
                    step = step.next
        self._changed.notify_all()

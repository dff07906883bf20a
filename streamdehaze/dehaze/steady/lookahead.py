"""Maps of a frame from the frames after it too: possible for a file, not for a live stream.

`TemporalFilter` uses the frames up to the current one. Where things come nearer, its maps lag; and where the network
runs on every k-th frame only, the maps in between are old. So some frames are held back, and from the last to the first
their estimates are corrected by those that follow (the smoother of Rauch, Tung and Striebel, AIAA Journal 1965):
``x ← x + C (x′ − x)``, where x′ is the corrected estimate of the frame after, carried back along the motion, and
``C = P / (P + Q)`` with the variance P of x and the process noise Q between the two.

Where every frame has an answer that is taken as it is, P is 0 and nothing changes; between two such frames, k apart,
P grows by Q with each frame, and C is j/(j + 1) after j of them: a linear blend along the motion.

Frames leave together, and those that stay are corrected again by others: the first of them would not begin where the
last of the others ended. While the camera is at rest, what that one has missed is therefore subtracted, and fades.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from streamdehaze.dehaze.kernels import carry, carry_over, correct, process_noise
from streamdehaze.dehaze.steady.filter import Estimate, Observation, carried
from streamdehaze.dehaze.steady.motion import find_flow
from streamdehaze.frame import FloatArray

LOOK_AHEAD_FRAMES, _BYTES = 36, 96 << 20
"""Held back at most; fewer of 1080p and more."""
_DENSE = LOOK_AHEAD_FRAMES, 11, 1 / 3
"""Held back at most where the network runs on every frame, how many of them stay when the others leave, and at most
which share of all: looking farther ahead makes no difference."""
_SPARSE = 30, 22, 3 / 4
"""The same where it does not: with fewer answers ahead, the place where frames leave would be seen. Those that leave at
once fit into the queue to the encoder; with more, this stage and the encoder would wait in turn."""
_NOTHING = np.empty((0, 0), np.float32)
_FADING = np.float32(0.95)
"""What is left from frame to frame of what those that left have missed."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Held(Generic[Item]):
    """A frame that waits for those after it."""

    item: Item
    """Whatever the caller needs to make it clear; handed back as it is."""
    nbytes: int
    """Bytes of memory that the frame takes."""
    components: FloatArray
    """Components of its small hazy picture, (n, rows, columns)."""
    observation: Observation
    estimate: Estimate


@dataclass(frozen=True)
class _Link:
    """How a frame is connected with the one after it, of the same scene."""

    flow: FloatArray | None
    """From the frame to that one, (rows, columns, 2); None if the camera stands."""
    share: FloatArray
    """C, of that one's corrected estimate in this one's, (rows, columns)."""


@dataclass(frozen=True)
class _Left:
    """What is known of the frame that left last, if the camera is at rest."""

    estimate: FloatArray
    """Gain and offset of each component, before they were corrected."""
    planes: FloatArray
    """The same as it left."""
    share: FloatArray
    """See `_Link.share`."""


class LookAhead(Generic[Item]):
    """Holds frames back and corrects their estimates.

    Example:
        >>> look_ahead.add(Held(item, nbytes, components, observation, temporal.follow(observation, components, fresh)))
        >>> for held in look_ahead.take():
        ...     maps = temporal.level(held.estimate, held.components, family)
    """

    def __init__(self) -> None:
        self._held: list[Held[Item]] = []
        self._links: list[_Link | None] = []  # from each to the one after; None if a scene begins with that
        self._left: _Left | None = None

    def add(self, held: Held[Item]) -> None:
        """Take the next frame."""
        if self._held:
            before = self._held[-1]
            self._links.append(_link(before, held))
            # All that is left to know of the one before.
            estimate = replace(before.estimate, variance=_NOTHING)
            observation = before.observation.without_pictures()
            self._held[-1] = replace(before, estimate=estimate, observation=observation)
        self._held.append(held)

    @property
    def last(self) -> Held[Item] | None:
        """The frame taken last; None if none is held."""
        return self._held[-1] if self._held else None

    def replace_last(self, held: Held[Item]) -> None:
        """Put a better estimate in the place of the last frame's."""
        self._held[-1] = held

    def take(self, *, everything: bool = False) -> Sequence[Held[Item]]:
        """The frames to pass on, in order, with corrected estimates; none while too few are held."""
        if not self._held:
            return []
        count = len(self._held)
        if not everything:
            dense = all(held.observation.network for held in self._held)
            most, stay, share = _DENSE if dense else _SPARSE
            most = min(most, max(2, _BYTES // max(held.nbytes for held in self._held)))
            if count < most:
                return []
            count -= min(stay, int(share * most))
        self._correct_first(count)
        released = self._held[:count]
        del self._held[:count], self._links[:count]
        return released

    def drop(self) -> None:
        """Forget the frames that are held."""
        self._held.clear()
        self._links.clear()
        self._left = None

    def _correct_first(self, count: int) -> None:
        """Correct the first frames, going back from the last; the others keep the estimates that more will correct."""
        known = self._held[count - 1].estimate.planes
        after = self._held[-1].estimate.planes
        rooms: list[FloatArray] = [np.empty(0, np.float32)] * 2  # reused alternately for those that are not kept
        share: FloatArray | None = None
        for index in range(len(self._held) - 2, -1, -1):
            held, link, room = self._held[index], self._links[index], rooms[index % 2]
            planes = held.estimate.planes
            if link is None:
                after = planes
                continue
            share = link.share if share is None else share * link.share
            if index > count and link.flow is None and self._has_same_planes(index - 1):
                continue  # the one before is corrected by the share of both at once
            if index < count or room.shape != planes.shape:
                room = rooms[index % 2] = np.empty_like(planes)
            if link.flow is not None:
                seen, trust = self._held[index + 1].components, self._held[index + 1].estimate.trust
                after = carried(np.concatenate([after, seen]), link.flow, held.components, trust)[: len(planes)]
            correct(planes, share, after, room)
            after, share = room, None
            if index < count:
                self._held[index] = replace(held, estimate=replace(held.estimate, planes=room))
        if self._left is not None:
            better = np.empty_like(self._left.planes)
            correct(self._left.estimate, self._left.share, after, better)
            self._continue(self._left.planes - better, self._left.share, count)
        link = self._links[count - 1] if count < len(self._held) else None
        at_rest = link is not None and link.flow is None
        self._left = _Left(known, self._held[count - 1].estimate.planes, link.share) if link and at_rest else None

    def _has_same_planes(self, index: int) -> bool:
        """Whether the camera stands from a frame to the one after, and no answer came between them."""
        link = self._links[index]
        same = self._held[index].estimate.planes is self._held[index + 1].estimate.planes
        return same and link is not None and link.flow is None

    def _continue(self, missed: FloatArray, share: FloatArray, count: int) -> None:
        """Begin where the frames that left ended, so that the place where frames leave is not seen.

        The first of those held now would have corrected the frame that left last by `missed`; the first of them are off
        by as much, and less from frame to frame. What has passed since is not.

        Args:
            missed: (2n, rows, columns); changed in place.
            share: of the first frame's estimate in that of the one that left last.
            count: how many are about to leave.
        """
        for index in range(count):
            held = self._held[index]
            link = self._links[index] if index < len(self._links) else None
            planes = held.estimate.planes
            if link is None:  # nothing corrected them: they may be shared
                planes = planes.copy()
                self._held[index] = replace(held, estimate=replace(held.estimate, planes=planes))
            carry_over(missed, share * _FADING, planes)
            if link is None or link.flow is not None:
                return
            share = link.share


def _link(held: Held[Item], after: Held[Item]) -> _Link | None:
    motion = after.observation.motion
    if after.estimate.new_scene or motion is None:
        return None
    flow, seen = None, after.components
    if motion.flow is not None:
        flow = find_flow(held.observation.grey, after.observation.grey)
        seen = np.empty_like(seen)
        carry(after.components, flow, seen)
    noise = process_noise(seen, held.components, motion.floor, after.estimate.trust.spread, after.estimate.trust.drift)
    return _Link(flow, held.estimate.variance / (held.estimate.variance + noise))

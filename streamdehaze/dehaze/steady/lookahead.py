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

from streamdehaze.dehaze.kernels import carry_over, correct, process_noise
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
_FADING = np.float32(0.8)
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
class _Left:
    """What is known of the frame that left last, if the camera is at rest."""

    estimate: Estimate
    """Before it was corrected."""
    components: FloatArray
    planes: FloatArray
    """Gain and offset of each component, as it left."""


class LookAhead(Generic[Item]):
    """Holds frames back and corrects their estimates.

    Example:
        >>> look_ahead.add(Held(item, nbytes, components, observation, temporal.follow(observation, components, fresh)))
        >>> for held in look_ahead.take():
        ...     maps = temporal.level(held.estimate, held.components, family)
    """

    def __init__(self) -> None:
        self._held: list[Held[Item]] = []
        self._flows: list[FloatArray | None] = []  # from each to the one after; None if the camera stands
        self._left: _Left | None = None

    def add(self, held: Held[Item]) -> None:
        """Take the next frame."""
        motion = held.observation.motion
        if self._held:
            moves = motion is not None and not motion.cut and motion.flow is not None
            before = self._held[-1].observation
            self._flows.append(find_flow(before.grey, held.observation.grey) if moves else None)
            self._held[-1] = replace(self._held[-1], observation=before.without_pictures())
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
        del self._held[:count], self._flows[:count]
        return released

    def drop(self) -> None:
        """Forget the frames that are held."""
        self._held.clear()
        self._flows.clear()
        self._left = None

    def _correct_first(self, count: int) -> None:
        """Correct the first frames, going back from the last; the others keep the estimates that more will correct."""
        shares: list[FloatArray | None] = [None] * count  # of each frame's estimate in that of the one before, at rest
        last, after = self._held[count - 1], self._held[-1]
        rooms: list[FloatArray] = [np.empty(0, np.float32)] * 2  # reused alternately for those that are not kept
        for index in range(len(self._held) - 2, -1, -1):
            held, flow, room = self._held[index], self._flows[index], rooms[index % 2]
            if index < count or room.shape != held.estimate.planes.shape:
                room = rooms[index % 2] = np.empty_like(held.estimate.planes)
            estimate, share = _corrected(held.estimate, held.components, after, flow, room)
            after = replace(held, estimate=estimate)
            if index < count:
                self._held[index] = after
            if index + 1 < count and flow is None:
                shares[index + 1] = share
        if self._left is not None:
            room = np.empty_like(self._left.planes)
            better, shares[0] = _corrected(self._left.estimate, self._left.components, after, None, room)
            self._continue(self._left.planes - better.planes, shares)
        self._left = None
        if count < len(self._held) and self._flows[count - 1] is None:
            self._left = _Left(last.estimate, last.components, self._held[count - 1].estimate.planes)

    def _continue(self, missed: FloatArray, shares: Sequence[FloatArray | None]) -> None:
        """Begin where the frames that left ended, so that the place where frames leave is not seen.

        Those held now would have corrected the frame that left last by `missed`; the first of them are off by as much,
        and less from frame to frame. What has passed since is not.
        """
        for index, share in enumerate(shares):
            if share is None:
                return
            held = self._held[index]
            planes = held.estimate.planes
            after = self._held[index + 1 : index + 2]
            if not after or after[0].estimate.new_scene:  # nothing corrected them: they may be shared
                planes = planes.copy()
                self._held[index] = replace(held, estimate=replace(held.estimate, planes=planes))
            carry_over(missed, share * _FADING, planes)


def _corrected(
    estimate: Estimate, components: FloatArray, after: Held[Item], flow: FloatArray | None, room: FloatArray
) -> tuple[Estimate, FloatArray | None]:
    """The estimate of a frame corrected by that of the frame after it, and by what share; None if they show different
    scenes.

    Args:
        estimate: as `TemporalFilter.follow` gave it.
        components: of that frame, (n, rows, columns).
        after: the frame after it, its estimate corrected.
        flow: from the frame to that one; None if the camera stands.
        room: holds the new planes.
    """
    motion = after.observation.motion
    if after.estimate.new_scene or motion is None:
        return estimate, None
    trust, ahead, seen = after.estimate.trust, after.estimate.planes, after.components
    if flow is not None:
        moved = carried(np.concatenate([ahead, seen]), flow, components, trust)
        ahead, seen = np.split(moved, [len(ahead)])
    noise = process_noise(seen, components, motion.floor, trust.spread, trust.drift)
    share = estimate.variance / (estimate.variance + noise)
    correct(estimate.planes, share, ahead, room)
    return replace(estimate, planes=room), share

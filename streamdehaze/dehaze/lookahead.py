"""Maps of a frame from the frames after it too: what a file allows, and a live stream does not.

`TemporalFilter` believes what it saw up to a frame. Where things come nearer, that lags behind; and where the network
sees every k-th frame only, the maps in between are old. So some frames are held back, and from the last of them to the
first the estimates are mended by those that follow (the smoother of Rauch, Tung and Striebel, AIAA Journal 1965):
``x ← x + C (x′ − x)``, where x′ is the mended estimate of the frame after, carried back along the motion, and
``C = P / (P + Q)`` with the variance P of x and the process noise Q between the two.

Where every frame has an answer that is taken as it is, P is 0 and nothing changes; between two such frames that lie k
apart, P grows by Q with each frame, and C is j/(j + 1) behind j of them: a linear blend along the motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamdehaze.dehaze.kernels import mend, process_noise
from streamdehaze.dehaze.look import Look
from streamdehaze.dehaze.motion import find_flow
from streamdehaze.dehaze.temporal import Estimate, Observation, carried
from streamdehaze.frame import FloatArray

_FRAMES, _BYTES = 48, 96 << 20
"""Held back at most. Of 720p it is 48 frames, of 1080p 32, of 4K 8."""
_STAY = 11
"""So many frames stay when the others leave, or a third of all; looking farther ahead makes no difference."""


@dataclass(frozen=True)
class Held:
    """A frame that waits for those after it."""

    look: Look
    """Handed back as it is."""
    components: FloatArray
    """Of its small hazy picture, (n, rows, columns)."""
    observation: Observation
    estimate: Estimate


class LookAhead:
    """Holds frames back and mends their estimates.

    Example:
        >>> look_ahead.add(Held(look, components, observation, temporal.follow(observation, components, fresh)))
        >>> for held in look_ahead.take():
        ...     maps = temporal.level(held.estimate, held.components, family)
    """

    def __init__(self) -> None:
        self._held: list[Held] = []
        self._flows: list[FloatArray | None] = []  # from each to the one after; None if the camera stands

    def add(self, held: Held) -> None:
        """Take the next frame."""
        motion = held.observation.motion
        if self._held:
            moves = motion is not None and not motion.cut and motion.flow is not None
            self._flows.append(find_flow(self._held[-1].observation.grey, held.observation.grey) if moves else None)
        self._held.append(held)

    def take(self, *, everything: bool = False) -> Sequence[Held]:
        """The frames whose time has come, in order, with their mended estimates; none while too few are held."""
        most = max(2, min(_FRAMES, _BYTES // max(held.look.frame.nbytes for held in self._held))) if self._held else 0
        if not everything and len(self._held) < most:
            return []
        count = len(self._held) if everything else most - min(_STAY, most // 3)
        mended = self._mended()[:count]
        del self._held[:count], self._flows[:count]
        return mended

    def drop(self) -> None:
        """Forget the frames that are held."""
        self._held.clear()
        self._flows.clear()

    def _mended(self) -> list[Held]:
        """All that is held, from the last to the first."""
        mended = self._held[-1:]
        for held, flow in zip(self._held[-2::-1], self._flows[::-1], strict=True):
            mended.append(self._mend(held, mended[-1], flow))
        return mended[::-1]

    @staticmethod
    def _mend(held: Held, after: Held, flow: FloatArray | None) -> Held:
        estimate, motion = held.estimate, after.observation.motion
        if after.estimate.anew or motion is None:
            return held
        trust = after.estimate.trust
        ahead = np.concatenate([after.estimate.planes, after.components])
        if flow is not None:
            ahead = carried(ahead, flow, held.components, trust)
        n = len(held.components)
        noise = process_noise(ahead[2 * n :], held.components, motion.floor, trust.spread, trust.drift)
        planes = np.empty_like(estimate.planes)
        mend(estimate.planes, estimate.variance, noise, ahead, planes)
        better = Estimate(planes, estimate.variance, estimate.trust, estimate.still, anew=estimate.anew)
        return Held(held.look, held.components, held.observation, better)

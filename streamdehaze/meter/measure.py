"""`measure`: the haze of every frame of a source, without making anything clear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from streamdehaze.dehaze import Dehazer
from streamdehaze.dehaze.atmosphere import Balanced
from streamdehaze.dehaze.look import Look
from streamdehaze.errors import ConfigError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.meter import density
from streamdehaze.meter.reading import Reading

_BATCH = 4
"""Pictures of one run of the network."""


@dataclass(frozen=True)
class Measured:
    """One frame and its haze."""

    frame: Frame
    index: int
    """Number of the frame in its source, from 0."""
    reading: Reading
    balanced: Balanced
    """What the network saw of it."""
    answer: FloatArray
    """The network's answer, (3, rows, columns)."""
    starts: bool
    """Whether it shows another scene than the frame measured before."""

    @property
    def transmission(self) -> FloatArray:
        """(rows, columns) of the small picture, see `density.transmission`."""
        return density.transmission(self.balanced, self.answer)


def measure(source: Iterable[Frame], dehazer: Dehazer, *, every: int = 1) -> Iterator[Measured]:
    """The haze of every k-th frame, in order.

    Args:
        source: the frames, such as a `Source`; it stays the caller's to close.
        dehazer: whose network is asked; its settings but the network's size do not matter.
        every: k.

    Raises:
        ConfigError: if `every` is not positive.
        StreamDehazeError: if the source cannot be read, or the network fails.
    """
    if every < 1:
        raise ConfigError(f"every must be at least 1, not {every}")
    stream = dehazer.stream(strength=1.0, mode="on", exact=False, steady="low", every=1, look_ahead=False)
    waiting: list[tuple[int, Look]] = []
    for index, frame in enumerate(source):
        if index % every == 0:
            waiting.append((index, stream.look(frame, dehazer.gpu)))
        if len(waiting) == _BATCH:
            yield from _read(dehazer, waiting)
            waiting = []
    yield from _read(dehazer, waiting)


def _read(dehazer: Dehazer, looks: list[tuple[int, Look]]) -> Iterator[Measured]:
    answers = dehazer.infer([look for _, look in looks])
    for (index, look), answer in zip(looks, answers, strict=True):
        if look.balanced is not None and answer is not None:  # as on every frame of such a stream
            motion = None if look.observation is None else look.observation.motion
            starts = motion is None or motion.cut
            yield Measured(look.frame, index, density.read(look.balanced, answer), look.balanced, answer, starts)

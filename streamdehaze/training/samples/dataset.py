"""Samples by position: sample number n of a run is always the same, whichever process asks for it.

Everything random about a sample follows from the run's seed and n. So a run that is resumed, or spread over more
workers or GPUs, sees what an uninterrupted one would have seen, and no generator's state needs to be kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from streamdehaze.datasets.haze import Haze, leave_unseen
from streamdehaze.datasets.layouts import Layout, Pair, Scene
from streamdehaze.datasets.look import Picture, vary_look
from streamdehaze.datasets.pairs import matching_clear, matching_depth
from streamdehaze.datasets.picture import RELATIVE_DEPTH_SCALE, read_depth, read_picture, to_float
from streamdehaze.datasets.teacher import clear_picture
from streamdehaze.dehaze.atmosphere.airlight import estimate_airlight
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.training.samples.foreground import cover
from streamdehaze.training.samples.views import Augmentation

if TYPE_CHECKING:
    from streamdehaze.training.config import StageConfig, TrainingConfig

log = logging.getLogger(__name__)


_Item = Pair | Scene | Path
"""A pair, a picture to make hazy, or a really hazy picture."""


class Sample(NamedTuple):
    """One training sample: both (3, H, W) float32 RGB in [0, 1]."""

    hazy: Tensor
    clear: Tensor


class Position(NamedTuple):
    """Which sample, and how large."""

    number: int
    height: int
    width: int


@dataclass(frozen=True)
class WeightedSet:
    """A data set and how often it is drawn from, relative to its size and to the other sets."""

    layout: Layout
    weight: float = 1.0


class HazeSamples(Dataset[Sample]):
    """Samples of pairs as they are, and of pictures with depth that are made hazy on the fly.

    Args:
        sources: where the pictures come from.
        config: what varies (`view`, `look`, `haze`, `foreground`), and `balance`, `seed`, `in_memory` and `damaged`.

    Raises:
        SourceError: from `__getitem__`, naming the file that is damaged or whose size differs from its partner's.
    """

    def __init__(self, sources: Sequence[WeightedSet], config: TrainingConfig) -> None:
        self._items: list[_Item] = []
        weights: list[float] = []
        for source in sources:
            items: list[_Item] = [*source.layout.pairs, *source.layout.scenes, *source.layout.real]
            self._items += items
            weights += [source.weight] * len(items)
        self._cumulative = np.cumsum(weights) / np.sum(weights)
        self._config = config
        self._memory: dict[Path, npt.NDArray[np.uint8]] | None = {} if config.in_memory else None
        self._damaged: set[Path] = set()

    def __len__(self) -> int:
        return len(self._items)

    def load(self) -> None:
        """Read everything into memory now, so that workers started later share it."""
        for item in self._items if self._memory is not None else ():
            try:
                self._read(item)
            except SourceError as error:
                self._report(item, error)

    def __getitem__(self, position: Position) -> Sample:
        rng = np.random.default_rng((self._config.seed, position.number))
        while True:
            index = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
            item = self._items[min(index, len(self._items) - 1)]
            if _own_file(item) in self._damaged and len(self._damaged) < len(self._items):
                continue
            try:
                first, clear = self._read(item)
            except SourceError as error:
                self._report(item, error)
                continue
            return self._sample(item, first, clear, position, rng)

    def _report(self, item: _Item, error: SourceError) -> None:
        self._damaged.add(_own_file(item))
        if self._config.damaged == "stop" or len(self._damaged) == len(self._items):
            raise error
        log.warning("skipped: %s", error)

    def _sample(
        self,
        item: _Item,
        first: npt.NDArray[np.uint8],
        clear: npt.NDArray[np.uint8],
        position: Position,
        rng: np.random.Generator,
    ) -> Sample:
        try:
            view = Augmentation.draw(self._config.view, clear.shape[:2], (position.height, position.width), rng)
        except ConfigError as error:
            raise ConfigError(f"{_own_file(item)}: {error}") from error
        if isinstance(item, Path):
            return self._real_sample(to_float(view.of(first)), rng)
        J = to_float(view.of(clear))
        if isinstance(item, Pair):
            return self._finished(to_float(view.of(first)), J, rng)
        weather = Haze.draw(self._config.haze, rng)
        # Half of the pictures without haze stay as they were taken: such a one is to be left alone, veil and all.
        if weather.scattering > 0 or rng.random() < 0.5:
            J = vary_look(J, self._config.look, rng)
        depth = view.of(first).astype(np.float32) * np.float32(RELATIVE_DEPTH_SCALE)
        t = weather.transmission(depth)
        hazy = weather.through_air(J, t)
        wanted = leave_unseen(J, hazy, depth, t, self._config.haze.unseen)
        return self._finished(weather.photograph(hazy, rng), wanted, rng)

    def _finished(self, hazy: Picture, clear: Picture, rng: np.random.Generator) -> Sample:
        """A pair behind its foreground, balanced."""
        hazy, clear = cover(hazy, clear, self._config.foreground, rng)
        if not self._config.balance:
            return Sample(_tensor(hazy), _tensor(clear))
        balance = estimate_airlight(np.ascontiguousarray(hazy.transpose(2, 0, 1))).balance
        return Sample(_tensor(np.clip(hazy * balance, 0, 1)), _tensor(np.clip(clear * balance, 0, 1)))

    def _real_sample(self, hazy: Picture, rng: np.random.Generator) -> Sample:
        """Real haze, with the teacher's clear picture; both balanced, and then behind their foreground."""
        airlight = estimate_airlight(np.ascontiguousarray(hazy.transpose(2, 0, 1)))
        balanced = np.clip(hazy * airlight.balance, 0, 1)
        clear = clear_picture(balanced, airlight.brightness)
        hazy, clear = cover(balanced, clear, self._config.foreground, rng)
        return Sample(_tensor(hazy), _tensor(clear))

    def _read(self, item: _Item) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """(hazy or depth, clear) as bytes; real haze twice."""
        if isinstance(item, Path):
            hazy = self._remember(item, read_picture)
            return hazy, hazy
        clear = self._remember(item.clear, read_picture)
        if isinstance(item, Scene):
            return matching_depth(item, self._remember(item.depth, _read_depth_bytes), clear), clear
        first = self._remember(item.hazy, read_picture)
        return first, matching_clear(item, first, clear)

    def _remember(self, path: Path, read: object) -> npt.NDArray[np.uint8]:
        if self._memory is None:
            return read(path)  # type: ignore[operator, no-any-return]
        if path not in self._memory:
            self._memory[path] = read(path)  # type: ignore[operator]
        return self._memory[path]


class PositionBatches(Sampler[list[Position]]):
    """Batches of positions from a step on, sizes and batch sizes following the stages; in DDP each rank its part.

    Args:
        stages: sizes over the run; each counts its optimizer steps.
        start_step: optimizer steps that are done already.
        accumulate: batches that make one step.
        rank, world_size: which part of each batch, of how many.
    """

    def __init__(
        self,
        stages: Sequence[StageConfig],
        *,
        start_step: int = 0,
        accumulate: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._stages, self._start, self._accumulate = stages, start_step, accumulate
        self._rank, self._world_size = rank, world_size

    # No length: Lightning counts the batches of an interrupted run on, and would take what is left for the whole.
    def __iter__(self) -> Iterator[list[Position]]:
        step = number = 0
        for stage in self._stages:
            height, width = stage.size
            for _ in range(stage.steps):
                for _ in range(self._accumulate):
                    if step >= self._start:
                        first = number + self._rank * stage.batch
                        yield [Position(first + i, height, width) for i in range(stage.batch)]
                    number += stage.batch * self._world_size
                step += 1


def _own_file(item: _Item) -> Path:
    """The file that no other item has: several hazy pictures may share a clear one."""
    if isinstance(item, Path):
        return item
    return item.hazy if isinstance(item, Pair) else item.depth


def _read_depth_bytes(path: Path) -> npt.NDArray[np.uint8]:
    steps: npt.NDArray[np.uint8] = np.clip(read_depth(path) / RELATIVE_DEPTH_SCALE + 0.5, 0, 255).astype(np.uint8)
    return steps


def _tensor(picture: npt.NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))

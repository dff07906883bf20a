"""`ClearDays`: a camera's clear view learned by itself, from the frames of the last days."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from streamdehaze.arrays import pack_arrays, read_arrays
from streamdehaze.durable import write_output
from streamdehaze.errors import ConfigError
from streamdehaze.frame import FloatArray
from streamdehaze.meter.visibility import DARK, Contrast, Reference

EVERY = timedelta(minutes=10)
"""Time between the pictures that are kept."""


class ClearDays:
    """A camera's pictures of the last days, for a `Reference` that keeps up with the season.

    Each picture kept takes 2 KB: two weeks of daylight are 2 MB.

    Args:
        distance: metres, (rows, columns), see `streamdehaze.meter.distances`.
        days: how long a picture counts.

    Example:
        >>> days = ClearDays(distance)
        >>> days.add(Contrast.of(frame), datetime.now())
        >>> reference = days.reference()
    """

    def __init__(self, distance: FloatArray, *, days: float = 14) -> None:
        self.distance = distance
        self._lasting = timedelta(days=days)
        self._kept: deque[tuple[datetime, Contrast]] = deque()

    @property
    def span(self) -> timedelta:
        """Time between the first and the last picture kept."""
        return self._kept[-1][0] - self._kept[0][0] if self._kept else timedelta()

    def add(self, contrast: Contrast, when: datetime) -> bool:
        """Take a picture, unless it is dark or the last one is less than ten minutes ago; whether it was taken.

        Args:
            contrast: of the picture.
            when: it was taken, in the camera's local time; times rise.
        """
        if contrast.airlight < DARK or (self._kept and when - self._kept[-1][0] < EVERY):
            return False
        self._kept.append((when, contrast))
        while when - self._kept[0][0] > self._lasting:
            self._kept.popleft()
        return True

    def reference(self) -> Reference | None:
        """The reference made from the clearest of the pictures; None before the first."""
        if not self._kept:
            return None
        return Reference.learn(
            [contrast for _, contrast in self._kept], [when for when, _ in self._kept], self.distance
        )

    def save(self, path: Path) -> None:
        """Write it as .npz.

        Raises:
            SinkError: if it cannot be written.
        """
        content = pack_arrays(
            distance=self.distance,
            when=[when.isoformat() for when, _ in self._kept],
            blocks=np.array([contrast.blocks for _, contrast in self._kept], np.float32),
            others=np.array([(contrast.noise, contrast.airlight) for _, contrast in self._kept]),
        )
        write_output(path, content)

    @classmethod
    def load(cls, path: Path, *, days: float = 14) -> ClearDays:
        """Continue with what `save` wrote.

        Raises:
            ConfigError: if it is not that.
        """
        try:
            content = read_arrays(path)
            found = cls(np.asarray(content["distance"], np.float32), days=days)
            columns = (content[name] for name in ("when", "blocks", "others"))
            for when, blocks, (noise, airlight) in zip(*columns, strict=True):
                contrast = Contrast(np.asarray(blocks, np.float32), float(noise), float(airlight))
                found._kept.append((datetime.fromisoformat(str(when)), contrast))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"'{path}' does not hold what a camera showed; delete it to start over") from error
        return found

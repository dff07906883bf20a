"""Frames that wait until the network has enough pictures to run on."""

from __future__ import annotations

import sys

from streamdehaze.dehaze.look import Look

DEFAULT_BATCH_SIZE, BATCH_BYTES = 4, 48 << 20
"""A batch has this many pictures if no size is asked for, and fewer if their frames take more than these bytes."""
_BATCH_FRAMES = 7
"""Nor does it have more frames than this then, which at rest have two pictures: the others only take memory."""


class Batch:
    """The looks that one run of the network serves: up to `size` pictures, with all the frames between them.

    With `every`, most frames need no run of the network; they come along without being counted. Where the batch ends
    depends on the frames alone, not on which thread is faster, so that the same file gives the same batches.

    Args:
        size: pictures; None for `DEFAULT_BATCH_SIZE`, or fewer of large frames, or where most need no network.
    """

    def __init__(self, size: int | None) -> None:
        self._size, self._at_least = size or DEFAULT_BATCH_SIZE, size or 1
        self._most_frames = _BATCH_FRAMES if size is None else sys.maxsize
        self._looks: list[Look] = []
        self._pictures = self._frames = self._bytes = 0  # the last two from the first picture on

    def add(self, look: Look) -> None:
        """Take the next frame of the video."""
        self._looks.append(look)
        if look.picture is not None:
            self._pictures += 1
            if self._pictures == 1:
                self._frames = self._bytes = 0  # frames before it may have waited here, or not
        self._frames += 1
        self._bytes += look.frame.nbytes

    @property
    def is_idle(self) -> bool:
        """Whether no frame needs the network: they only have to wait for frames before them."""
        return self._pictures == 0

    @property
    def is_due(self) -> bool:
        """Whether no frame may wait any longer."""
        if self._pictures == self._size or self._frames >= self._most_frames:
            return True
        if self._looks and self._looks[-1].exact:  # whole frames go one by one: more cost memory and gain nothing
            return True
        return self._bytes >= BATCH_BYTES and self._frames >= self._at_least

    def take(self) -> list[Look]:
        """The looks so far, in order; the batch is empty then."""
        looks, self._looks = self._looks, []
        self._pictures = self._frames = self._bytes = 0
        return looks

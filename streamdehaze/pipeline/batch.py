"""Frames that wait until the network has enough pictures to run on."""

from __future__ import annotations

from streamdehaze.dehaze.look import Look

DEFAULT_BATCH_SIZE, BATCH_BYTES = 4, 48 << 20
"""A batch has this many pictures if no size is asked for, and fewer if their frames take more than these bytes."""


class Batch:
    """The looks that one run of the network serves: up to `size` pictures, with all the frames between them.

    With `every`, most frames need no run of the network; they come along without being counted. Where the batch ends
    depends on the frames alone, not on which thread is faster, so that the same file gives the same batches.

    Args:
        size: pictures; None for `DEFAULT_BATCH_SIZE`, or fewer of large frames.
    """

    def __init__(self, size: int | None) -> None:
        self._size, self._at_least = size or DEFAULT_BATCH_SIZE, size or 1
        self._looks: list[Look] = []
        self._pictures = self._bytes = 0

    def add(self, look: Look) -> None:
        """Take the next frame of the video."""
        self._looks.append(look)
        self._bytes += look.frame.nbytes
        self._pictures += look.picture is not None

    @property
    def is_full(self) -> bool:
        """Whether no frame has to wait any longer: the pictures are enough, or no frame needs the network."""
        if self._pictures in (0, self._size):
            return True
        if self._looks[-1].exact:  # whole frames go one by one: a batch of them costs memory and gains nothing
            return True
        return self._bytes >= BATCH_BYTES and len(self._looks) >= self._at_least

    def take(self) -> list[Look]:
        """The looks so far, in order; the batch is empty then."""
        looks, self._looks, self._pictures, self._bytes = self._looks, [], 0, 0
        return looks

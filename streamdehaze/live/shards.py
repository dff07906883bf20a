"""Which of several processes, on as many machines, serves which cameras; and who takes over from one that is dead.

A camera goes to the living shard with the highest hash of its name and the shard's number (rendezvous hashing): when a
shard dies, its cameras alone move, and they move back when it returns. Shards show that they live by counting in files
of a folder that they share. Each times the counting of the others by its own clock, so the clocks need not agree.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from streamdehaze.durable import write_whole
from streamdehaze.live.config import CameraConfig

log = logging.getLogger("streamdehaze.live")

BEAT_SECONDS = 1.0
"""Between two signs of life."""
LOST_SECONDS = 5.0
"""Without one, after which a shard counts as dead."""


class Shards:
    """One shard of several.

    Args:
        number, count: which of how many it is, from 1.
        folder: where the shards show that they live; without it, none takes over from another.
        clock: seconds that never go back.
    """

    def __init__(
        self, number: int, count: int, folder: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.number, self.count, self._folder, self._clock = number, count, folder, clock
        self.living = frozenset(range(1, count + 1))
        """Shards that serve; until `LOST_SECONDS` have passed, all are believed to."""
        self._beats = 0
        self._next = clock()
        self._seen: dict[int, tuple[bytes, float]] = {other: (b"", clock()) for other in self.living}

    def mine(self, cameras: Sequence[CameraConfig]) -> list[CameraConfig]:
        """The cameras that this shard serves now."""
        return [camera for camera in cameras if self._server(camera) == self.number]

    def _server(self, camera: CameraConfig) -> int:
        return max(self.living, key=lambda shard: _weight(camera, shard))

    def beat(self) -> bool:
        """Give a sign of life and look for those of the others, once a second; whether `living` changed."""
        if self._folder is None or self._clock() < self._next:
            return False
        self._next = self._clock() + BEAT_SECONDS
        self._beats += 1
        try:
            write_whole(self._file(self.number), str(self._beats).encode())
        except OSError as error:
            log.error("'%s' cannot be written, and other shards may take over: %s", self._folder, error.strerror)
            return False
        before = self.living
        self.living = frozenset(shard for shard in range(1, self.count + 1) if self._lives(shard))
        for shard in sorted(before - self.living):
            log.warning("shard %d gives no sign of life: the others take its cameras", shard)
        for shard in sorted(self.living - before):
            log.warning("shard %d is back and takes its cameras", shard)
        return self.living != before

    def leave(self) -> None:
        """Let the others take over at once."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                write_whole(self._file(self.number), b"left")

    def _lives(self, shard: int) -> bool:
        if shard == self.number:
            return True
        content, _ = self._seen[shard]
        with contextlib.suppress(OSError):
            if (found := self._file(shard).read_bytes()) != content:
                since = self._clock() - LOST_SECONDS if found == b"left" else self._clock()
                self._seen[shard] = found, since
        return self._clock() - self._seen[shard][1] < LOST_SECONDS  # also of a file from a run long past, for a while

    def _file(self, shard: int) -> Path:
        assert self._folder is not None
        return self._folder / f"shard-{shard}.alive"


def _weight(camera: CameraConfig, shard: int) -> bytes:
    return hashlib.blake2b(f"{shard} {camera.name}".encode(), digest_size=8).digest()

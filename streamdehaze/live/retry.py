"""When to try a lost camera or sink again, and what to report of it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from streamdehaze.video.fault import Fault

log = logging.getLogger("streamdehaze.live")

_REPEAT_SECONDS = 600.0
_LINES = 3
"""Times that a fault is reported as it comes; after that it is counted."""


class Backoff:
    """Waits that double up to a cap, each shortened at random so that cameras do not come back in step."""

    def __init__(self, first: float, cap: float, seed: str) -> None:
        self._first, self.cap = min(first, cap), cap
        self._random = random.Random(seed)
        self._wait = self._first

    def next(self) -> float:
        """Seconds until the next try: between half the wait and all of it."""
        wait = self._wait
        self._wait = min(self.cap, 2 * wait)
        return wait * self._random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked: begin with short waits again."""
        self._wait = self._first


class Recurrence:
    """Tells whether what comes again and again is worth a line: thrice; then it is counted, and one every ten minutes.

    Args:
        clock: seconds; a test may bring its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._message = ""
        self._times: list[float] = []
        self._line_at = float("-inf")
        self.is_quiet = False
        """Whether the newest was not worth a line, so that its end is not worth one either."""

    def note(self, message: str) -> bool:
        """It has come again, or something else has; whether to report it."""
        now = self._clock()
        if message != self._message:
            self._message, self._times, self._line_at = message, [], float("-inf")
        self._times = [*(moment for moment in self._times if now - moment < _REPEAT_SECONDS), now]
        self.is_quiet = len(self._times) > _LINES and now - self._line_at < _REPEAT_SECONDS
        if not self.is_quiet:
            self._line_at = now
        return not self.is_quiet

    @property
    def how_often(self) -> str:
        """For a line: " (7 times in ten minutes)"; empty at first."""
        return f" ({len(self._times)} times in ten minutes)" if len(self._times) > _LINES else ""


class Retry:
    """Quick tries for faults that may pass, slow ones for those that must be fixed first; each fault is reported once.

    Args:
        camera: whose faults they are.
        quick, slow: the first and longest wait, seconds.
        seed: of the random part of the waits.
        clock: seconds; a test may bring its own.
    """

    def __init__(
        self,
        camera: str,
        quick: tuple[float, float],
        slow: tuple[float, float],
        seed: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._camera = camera
        self._quick, self._slow = Backoff(*quick, seed), Backoff(*slow, seed)
        self.reported = ""
        """The fault that is the case now; empty once it is over."""
        self._recurrence = Recurrence(clock)

    def after(self, fault: Fault) -> float:
        """Report a fault, unless it was the last one, too; the seconds until the next try."""
        if fault.message != self.reported:
            again = f"tried again every {self._slow.cap:g} s or sooner" if fault.permanent else "trying again"
            if self._recurrence.note(fault.message):
                often = self._recurrence.how_often
                text, extra = "%s: %s%s; %s", {"camera": self._camera, "fault": fault.kind}
                level = logging.ERROR if fault.permanent else logging.WARNING  # the first needs an operator
                log.log(level, text, self._camera, fault.message, often, again, extra=extra)
            self.reported = fault.message
        return self._slow.next() if fault.permanent else self._quick.next()

    def back(self, name: str) -> None:
        """Report that `name` works again."""
        if not self._recurrence.is_quiet:
            log.warning("%s: %s is back", self._camera, name, extra={"camera": self._camera})
        self.reported = ""
        self._slow.reset()

    def settled(self) -> None:
        """It has worked for a while: the next fault gets quick tries again."""
        self._quick.reset()
        self._slow.reset()

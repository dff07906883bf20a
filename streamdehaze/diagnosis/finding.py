"""One thing the doctor looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingState = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    section: str
    name: str
    state: FindingState
    """"missing" is something optional that is not there; "broken" something that should work and does not."""
    detail: str
    fix: str | None = None
    """The command, or else the sentence, that helps."""
    core: bool = False
    """Whether nothing works without it."""
    useful: bool = False
    """Whether this very machine would gain by what is missing."""


def one_line(error: BaseException) -> str:
    """Kind and text of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

"""How one input is worked on, apart from how it is read and how it is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from streamdehaze.video import SEGMENT_SECONDS


class RunKeywords(TypedDict, total=False):
    """The fields of `RunOptions` as keywords."""

    batch_size: int | None
    container: str | None
    overwrite: bool
    segment_seconds: float
    resume: bool
    memory_limit: int | None


@dataclass(frozen=True)
class RunOptions:
    """How a video is worked on; `ReadOptions` and `EncodeOptions` are about its two ends."""

    batch_size: int | None = None
    """Pictures per run of the network; by default 4, or fewer of large frames."""
    container: str | None = None
    """FFmpeg's name of the output container, if the target's extension does not tell."""
    overwrite: bool = False
    """Replace an existing target."""
    segment_seconds: float = SEGMENT_SECONDS
    """A file longer than this is worked on in segments of this length, kept in ``TARGET.part`` until the last one is
    there, so that a crash costs one segment; 0 for none."""
    resume: bool = True
    """Continue with the segments an earlier run left; otherwise they are removed."""
    memory_limit: int | None = None
    """Bytes this process may hold; the work ends with `ResourceError` before it takes more."""

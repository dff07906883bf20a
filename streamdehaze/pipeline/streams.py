"""Every video stream of a file made clear: one after the other, each pass working on what the one before it wrote."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from streamdehaze.errors import ConfigError
from streamdehaze.video import ReadOptions, unfinished_work, what_is
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.open import Kind, videos_of
from streamdehaze.video.resume.manifest import FileIdentity
from streamdehaze.video.writing.target import refuse_unwritable

log = logging.getLogger("streamdehaze")

_KEY_BYTES = 4
_NANOSECONDS = 10**9


@dataclass(frozen=True)
class Pass:
    """One video stream of a file, and where the file with this one made clear goes."""

    source: str
    target: str
    read: ReadOptions
    keep_clock: bool = False
    """Whether times stay, as streams that wait for their turn are cut at their keyframes only."""


def passes(
    source: str, target: str, read: ReadOptions, settings: dict[str, Any], *, overwrite: bool, resume: bool
) -> Iterator[Pass]:
    """The passes that make every video stream of `source` clear; each is to be done before the next is asked for.

    What a pass wrote lies next to `target` until the last one is done; a later run with the same input and settings
    continues after it.

    Args:
        source, target: files.
        read: how the file is read; each pass cuts the video that it works on, and the last one moves all times.
        settings: all that decides what comes out, as plain values.
        overwrite: replace an existing target.
        resume: continue with what an earlier run wrote; otherwise that is removed.

    Raises:
        ConfigError: if one of the two is a pipe.
        SinkError: if `target` cannot be written.
        SourceError: if `source` has no video.
    """
    if what_is(source) is not Kind.FILE or what_is(target) is not Kind.FILE:
        raise ConfigError("--video-stream all needs a video file to read, and one to write; a pipe is neither")
    count = len(video_numbers(source))
    last = Path(target)
    if count > 1:
        refuse_unwritable(last, overwrite, source)
    key = _key(source, {**settings, "read": str(read)})
    for earlier in _written_for(last):
        if not (resume and f"-{key}." in earlier.name):
            earlier.unlink(missing_ok=True)
    before, begin, shift = Path(source), Fraction(0), Fraction(0)
    for index in range(count):
        with FileSource(before) as opened:
            numbers = [stream.index for stream in videos_of(opened.container)]
            origin, is_free = opened.origin, opened.has_free_clock
        if index >= len(numbers):  # the container took fewer, and that was reported
            os.replace(before, last)
            return
        is_last = index == count - 1
        after = last if is_last else last.with_name(f"{last.stem}.stream{index}-{key}.part{last.suffix}")
        log.info("%s: video stream %d of %d", source, index + 1, count)
        window = read if index == 0 else replace(read, end=None)
        if read.start is not None:  # the same instant in each file
            begin = origin + Fraction(str(read.start)) if index == 0 else begin if is_free else begin - shift
            shift = origin if is_free else Fraction(0)  # by which a file without a free clock will differ
            window = replace(window, start=math.floor(max(begin - origin, Fraction(0)) * _NANOSECONDS) / _NANOSECONDS)
        if is_last or not after.exists():  # or an earlier run did it
            yield Pass(str(before), str(after), replace(window, video_stream=numbers[index]), keep_clock=not is_last)
        if before != Path(source):
            with contextlib.suppress(OSError):
                before.unlink()
        before = after


def kept_of_passes(target: str) -> list[str]:
    """What is left of passes before the last one, as text, where the work did not get to its end."""
    begun = (unfinished_work(folder.with_suffix("")) for folder in _written_for(Path(target), after=".part"))
    whole = _written_for(Path(target), key="?" * 2 * _KEY_BYTES)
    return [f"the video streams done so far are kept in '{file}'" for file in whole] + [
        str(work) for work in begun if work
    ]


def video_numbers(path: str) -> list[int]:
    """The numbers of the video streams of a file, in its order, without covers.

    Raises:
        SourceError: if it has no video.
    """
    with FileSource(path) as source:
        return [stream.index for stream in videos_of(source.container)]


def _written_for(target: Path, key: str = "*", after: str = "") -> list[Path]:
    """What passes before the last one wrote, in their order."""
    names = f"{glob.escape(target.stem)}.stream*-{key}.part{glob.escape(target.suffix)}{after}"
    return sorted(target.parent.glob(names))


def _key(path: str, settings: dict[str, Any]) -> str:
    facts = {"input": FileIdentity.of(path).model_dump(), **settings}
    return hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=_KEY_BYTES).hexdigest()

"""Every video stream of a file made clear: one after the other, each pass working on what the one before it wrote."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamdehaze.errors import ConfigError
from streamdehaze.video import ReadOptions, unfinished_work, what_is
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.reading.open import Kind, videos_of
from streamdehaze.video.resume.manifest import Identity
from streamdehaze.video.writing.target import refuse_unwritable

log = logging.getLogger("streamdehaze")

_KEY_BYTES = 4


@dataclass(frozen=True)
class Pass:
    """One video stream of a file, and where the file with this one made clear goes."""

    source: str
    target: str
    read: ReadOptions
    is_done: bool = False
    """An earlier run did it."""


def passes(
    source: str, target: str, read: ReadOptions, settings: dict[str, Any], *, overwrite: bool, resume: bool
) -> Iterator[Pass]:
    """The passes that make every video stream of `source` clear; each is to be done before the next is asked for.

    What a pass wrote lies next to `target` until the last one is done; a later run with the same input and settings
    continues with it.

    Args:
        source, target: files.
        read: how the file is read, of which a window is cut by the first pass.
        settings: all that decides what comes out, as plain values.
        overwrite: replace an existing target.
        resume: continue with what an earlier run wrote; otherwise that is removed.

    Raises:
        ConfigError: if one of the two is a pipe, or the beginning is cut off.
        SinkError: if `target` cannot be written.
        SourceError: if `source` has no video.
    """
    if what_is(source) is not Kind.FILE or what_is(target) is not Kind.FILE:
        raise ConfigError("--video-stream all needs a video file to read, and one to write; a pipe is neither")
    if read.start is not None:
        raise ConfigError(
            "--start cannot go with --video-stream all: streams that wait for their turn are copied, and could only "
            "begin at a keyframe; give the number of one stream"
        )
    count = len(video_numbers(source))
    last = Path(target)
    if count > 1:
        refuse_unwritable(last, overwrite, source)
    key = _key(source, {**settings, "read": str(read)})
    for earlier in _written_for(last):
        if not (resume and f"-{key}." in earlier.name):
            earlier.unlink(missing_ok=True)
    before = Path(source)
    for index in range(count):
        numbers = video_numbers(str(before))
        if index >= len(numbers):  # the container took fewer, and that was reported
            os.replace(before, last)
            return
        is_last = index == count - 1
        after = last if is_last else last.with_name(f"{last.stem}.stream{index}-{key}.part{last.suffix}")
        log.info("%s: video stream %d of %d", source, index + 1, count)
        window = read if index == 0 else replace(read, end=None)
        yield Pass(
            str(before), str(after), replace(window, video_stream=numbers[index]), not is_last and after.exists()
        )
        if before != Path(source):
            with contextlib.suppress(OSError):
                before.unlink()
        before = after


def kept_of_passes(target: str) -> list[str]:
    """What is left of passes before the last one, in words, where the work did not get to its end."""
    begun = (unfinished_work(folder.with_suffix("")) for folder in _written_for(Path(target), after=".part"))
    whole = _written_for(Path(target), key="?" * 2 * _KEY_BYTES)
    return [f"the video streams done so far are kept in '{file}'" for file in whole] + [
        str(work) for work in begun if work
    ]


def video_numbers(path: str) -> list[int]:
    """The numbers of the video streams of a file, in its order; covers are none.

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
    facts = {"input": Identity.of(path).model_dump(), **settings}
    return hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=_KEY_BYTES).hexdigest()

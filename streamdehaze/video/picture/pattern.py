"""Image sequences: one video whose frames are numbered picture files, named "%05d.png" or "####.png"."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath

_NUMBER = re.compile(r"%(0?\d*)d|(#{3,})")
"""As FFmpeg writes it, "%04d", or as compositing programs do, "####"."""
_LAST_DIGITS = re.compile(r"\d{3,}(?=\D*$)")


def is_sequence(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an image sequence; a file of just that name is not."""
    return bool(_NUMBER.search(PurePath(path).name)) and not os.path.exists(path)


def numbered(pattern: Path, number: int) -> Path:
    """The file of one frame."""
    return pattern.with_name(_NUMBER.sub(lambda match: f"{number:{_width(match)}d}", pattern.name, count=1))


def _width(match: re.Match[str]) -> str:
    return f"0{len(match[2])}" if match[2] else match[1]


def numbered_files(pattern: Path) -> dict[int, Path]:
    """The files there are of a sequence by their numbers, in order; numbers may be missing."""
    match = _NUMBER.search(pattern.name)
    if match is None or not pattern.parent.is_dir():
        return {}
    before, after = re.escape(pattern.name[: match.start()]), re.escape(pattern.name[match.end() :])
    found = (re.fullmatch(rf"{before}(\d+){after}", name) for name in os.listdir(pattern.parent))
    numbers = sorted(int(hit[1]) for hit in found if hit)
    files = {number: numbered(pattern, number) for number in numbers}
    return {number: file for number, file in files.items() if file.exists()}


def sequences_of(paths: Iterable[Path]) -> dict[Path, int]:
    """The sequences that some files are of, such as "shot.####.exr", and how many of each there are, two or more."""
    patterns = Counter(
        path.with_stem(_LAST_DIGITS.sub(lambda digits: "#" * len(digits[0]), path.stem))
        for path in paths
        if _LAST_DIGITS.search(path.stem)
    )
    return {pattern: count for pattern, count in patterns.items() if count > 1}


def natural_order(path: Path) -> list[tuple[bool, int, str]]:
    """A sort key by which frame 10 comes after frame 9."""
    tokens = re.split(r"(\d+)", path.as_posix())
    return [(not token.isdecimal(), int(token) if token.isdecimal() else 0, token.casefold()) for token in tokens]

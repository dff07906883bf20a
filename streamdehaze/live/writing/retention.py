"""Old recordings make room for new ones: by age, and by the size of all that one target has written."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("streamdehaze.live")

_CODES = {
    "Y": r"\d{4}", "y": r"\d\d", "m": r"\d\d", "d": r"\d\d", "j": r"\d{3}", "H": r"\d\d", "I": r"\d\d", "M": r"\d\d",
    "S": r"\d\d", "s": r"\d+", "z": r"[+-]\d{4}", "F": r"\d{4}-\d\d-\d\d", "T": r"\d\d:\d\d:\d\d",
    "u": r"\d", "w": r"\d", "V": r"\d\d", "U": r"\d\d", "W": r"\d\d", "G": r"\d{4}", "%": "%",
}  # fmt: skip
"""strftime's codes, and what stands for them in a name; any other may stand for anything but a slash."""


@dataclass
class Retention:
    """Deletes the oldest files that one target has written; files of other names are never touched.

    Args:
        pattern: of the files' names, with strftime's codes.
        keep_hours: files that ended longer ago than this are deleted; None keeps them.
        keep_bytes: all files together may be this large; None for any size.
    """

    pattern: str
    keep_hours: float | None = None
    keep_bytes: int | None = None
    deleted_files: int = field(default=0, init=False)

    @property
    def has_limits(self) -> bool:
        """Whether anything is ever deleted."""
        return self.keep_hours is not None or self.keep_bytes is not None

    def enforce(self, current: Path | None = None) -> None:
        """Delete what is too old or too much, the oldest first; never `current`, which is being written."""
        if not self.has_limits:
            return
        files = sorted(self.files())
        total = sum(size for _, size, _ in files)
        oldest_kept = time.time() - 3600 * (math.inf if self.keep_hours is None else self.keep_hours)
        for ended, size, path in files:
            too_much = self.keep_bytes is not None and total > self.keep_bytes
            if path == current or not (too_much or ended < oldest_kept):
                continue
            try:
                path.unlink()
            except OSError as error:
                log.error("the old recording '%s' cannot be deleted: %s", path, error.strerror)
                continue
            total -= size
            self.deleted_files += 1
            log.info("deleted the recording '%s' (%d MB)", path, size >> 20)
            self._remove_empty(path.parent)

    def files(self) -> list[tuple[float, int, Path]]:
        """(time of the last write, bytes, path) of each."""
        name, root = re.compile(_expression(self.pattern)), self.root
        depth = len(Path(self.pattern).parent.parts) - len(root.parts)
        found = []
        for folder, folders, names in os.walk(root):
            if len(Path(folder).parts) - len(root.parts) >= depth:
                folders.clear()  # the pattern reaches no deeper
            for each in names:
                path = Path(folder, each)
                if name.fullmatch(str(path)):
                    with contextlib.suppress(OSError):  # already deleted by another program
                        facts = path.lstat()
                        found.append((facts.st_mtime, facts.st_size, path))
        return found

    @property
    def root(self) -> Path:
        """The deepest folder whose name is fixed."""
        parts = Path(self.pattern).parent.parts
        fixed = next((index for index, part in enumerate(parts) if "%" in part), len(parts))
        return Path(*parts[:fixed])

    def _remove_empty(self, folder: Path) -> None:
        """Folders named by date do not outlive their files."""
        with contextlib.suppress(OSError):  # not empty
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent


def _expression(pattern: str) -> str:
    """A regular expression for the paths that a pattern makes, numbered ones included."""
    path = Path(pattern)
    parts = re.split(r"%(.)", str(path.with_suffix("")))
    texts = [re.escape(part) if index % 2 == 0 else _CODES.get(part, r"[^/\\]+") for index, part in enumerate(parts)]
    return "".join(texts) + r"(-\d+)?" + re.escape(path.suffix)

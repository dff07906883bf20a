"""A file on a disk or a network share, whose failure is never taken for the file's end."""

from __future__ import annotations

import errno
import os

from streamdehaze.errors import SourceError


class StoredFile:
    """What FFmpeg reads a file through.

    FFmpeg's own file protocol tells a demuxer that reading failed, and most of them then do as if the file ended
    there: the result of a share that went away would look whole.
    """

    def __init__(self, path: str) -> None:
        """Open a file.

        Raises:
            OSError: if that fails.
        """
        self.name = f"file:{path}"
        """As FFmpeg is told: playlists name their files relative to it."""
        self._path = path
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (FFmpeg buffers; `close` closes it)
        self._failed = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b"" at the end, and after a failure.

        Raises:
            SourceError: if reading fails, the first time; PyAV carries it past FFmpeg.
        """
        if self._failed:
            return b""
        try:
            return self._file.read(size)
        except OSError as error:
            self._failed = True
            raise SourceError(f"'{self._path}' cannot be read any further: {error.strerror}") from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; where that is, or an error of FFmpeg's if a damaged file names a place that cannot be."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, OverflowError):
            return -errno.EINVAL

    def tell(self) -> int:
        """The place in the file."""
        return self._file.tell()

    def close(self) -> None:
        """Give the file back; PyAV leaves that to whom it belongs."""
        self._file.close()

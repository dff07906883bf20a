"""A single picture as a sink of one frame."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from streamdehaze.durable import rename_durably, sync_file
from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.video.picture.encoding import encode_picture, picture_format
from streamdehaze.video.picture.metadata import PictureMetadata
from streamdehaze.video.picture.source import PictureSource
from streamdehaze.video.protocols import Source
from streamdehaze.video.writing.target import refuse_unwritable

log = logging.getLogger("streamdehaze")


class PictureSink:
    """Writes one frame as a picture of the kind that the file name says.

    EXIF, ICC profile, XMP, resolution and texts of a `PictureSource` are kept where the format can hold
    them; what it cannot is named in one warning. The file gets its name only when it is whole.

    Args:
        path: the picture to write.
        source: where the frame comes from.
        quality: 1 to 100 for JPEG, WebP and AVIF; by default 95, or the input's own if that was finer, and
            lossless WebP for a lossless input.
        overwrite: replace a file of that name.

    Raises:
        SinkError: if the file exists, is the input, cannot be written there, or is no picture's name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: Source,
        *,
        quality: int | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        picture_format(self.path)
        self._metadata = source.metadata if isinstance(source, PictureSource) else PictureMetadata()
        self._quality = quality
        self._overwrite = overwrite
        self._part = self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")
        self._written = False
        if (source.info.frame_count or 1) > 1:
            raise SinkError(
                f"'{self.path}' holds one picture, not a video; use a name like '{self.path.stem}.%05d.png'"
            )
        refuse_unwritable(self.path, overwrite, source.path if isinstance(source, PictureSource) else None)

    def write(self, frame: Frame) -> None:
        """Encode the frame beside the final name.

        Raises:
            SinkError: on a second frame, or if the format cannot hold it or the disk is full.
        """
        if self._written:
            raise SinkError(f"'{self.path}' holds one picture; use a name like '{self.path.stem}.%05d.png' for more")
        data, lost = encode_picture(self.path, frame, self._metadata, self._quality)
        if lost:
            log.warning("'%s' does not keep from the input: %s", self.path, ", ".join(lost))
        self._written = True
        try:
            self._part.write_bytes(data)
        except OSError as error:
            self.abort()
            raise SinkError(f"'{self.path}' cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Give the picture its final name.

        Raises:
            SinkError: if no frame came, or a file of that name appeared meanwhile.
        """
        if not self._part.exists():
            if not self._written:
                raise SinkError(f"no frame reached '{self.path}', so it was not written")
            return
        try:
            if not self._overwrite and self.path.exists():
                raise SinkError(f"'{self.path}' exists already; use --overwrite to replace it")
            sync_file(self._part)
            rename_durably(self._part, self.path)
        except OSError as error:
            raise SinkError(f"'{self.path}' cannot be written: {error.strerror or error}") from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove what was written so far; a finished picture stays."""
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)

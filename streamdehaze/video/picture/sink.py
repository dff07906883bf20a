"""A single picture as a sink of one frame."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.video.picture.formats import FORMATS, PictureFormat, format_for
from streamdehaze.video.picture.metadata import PictureMetadata
from streamdehaze.video.picture.source import PictureSource
from streamdehaze.video.protocols import Source

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
        self._format = _format_of(self.path)
        self._metadata = source.metadata if isinstance(source, PictureSource) else PictureMetadata()
        self._quality = quality
        self._overwrite = overwrite
        self._part = self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")
        self._written = False
        if quality is not None and not 1 <= quality <= 100:
            raise SinkError(f"quality {quality} is outside 1 to 100")
        if (source.info.frame_count or 1) > 1:
            raise SinkError(
                f"'{self.path}' holds one picture, not a video; use a name like '{self.path.stem}.%05d.png'"
            )
        self._refuse_target(source)

    def write(self, frame: Frame) -> None:
        """Encode the frame beside the final name.

        Raises:
            SinkError: on a second frame, a frame that is neither gray nor packed RGB, or a full disk.
        """
        if self._written:
            raise SinkError(f"'{self.path}' holds one picture; use a name like '{self.path.stem}.%05d.png' for more")
        pixels = self._fitted(_pixels(frame, self.path))
        try:
            data = self._format.encode(pixels, self._metadata, self._quality)
        except Exception as error:  # OSError, ValueError, struct.error: what a format cannot hold
            raise SinkError(f"cannot encode '{self.path}' as {self._format.name}: {error}") from error
        self._written = True
        try:
            self._part.write_bytes(data)
        except OSError as error:
            self.abort()
            raise SinkError(f"cannot write '{self.path}': {error.strerror or error}") from error

    def close(self) -> None:
        """Give the picture its final name.

        Raises:
            SinkError: if no frame came, or a file of that name appeared meanwhile.
        """
        if not self._part.exists():
            if not self._written:
                raise SinkError(f"no picture came for '{self.path}'")
            return
        try:
            if not self._overwrite and self.path.exists():
                raise SinkError(f"'{self.path}' exists already; use --overwrite to replace it")
            os.replace(self._part, self.path)
        except OSError as error:
            raise SinkError(f"cannot write '{self.path}': {error.strerror or error}") from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove what was written so far; a finished picture stays."""
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)

    def _refuse_target(self, source: Source) -> None:
        folder = self.path.parent
        if isinstance(source, PictureSource) and self.path.exists() and self.path.samefile(source.path):
            raise SinkError(f"'{self.path}' is the input itself; choose another output")
        if self.path.is_dir():
            raise SinkError(f"'{self.path}' is a folder; give a file name in it")
        if self.path.exists() and not self._overwrite:
            raise SinkError(f"'{self.path}' exists already; use --overwrite to replace it")
        if not folder.is_dir():
            raise SinkError(f"cannot write '{self.path}': the folder '{folder}' does not exist")
        if not os.access(folder, os.W_OK):
            raise SinkError(f"cannot write '{self.path}': no permission to write in '{folder}'")

    def _fitted(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The pixels as the format can hold them; everything given up on the way is said in one warning."""
        lost = [*self._metadata.left_out, *self._format.lost(self._metadata)]
        if pixels.dtype == np.uint16 and not self._format.deep:
            pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
            lost.insert(0, "16 bits a sample (rounded to 8)")
        if pixels.shape[2] in (2, 4) and not self._format.alpha:
            pixels = pixels[:, :, :-1]
            lost.insert(0, "transparency")
        if lost:
            log.warning("'%s' does not keep from the input: %s", self.path, ", ".join(lost))
        return pixels


def _format_of(path: Path) -> PictureFormat:
    found = format_for(path.suffix)
    if found is None:
        known = ", ".join(suffix for entry in FORMATS for suffix in entry.suffixes)
        raise SinkError(f"'{path}' is not the name of a picture; its ending can be {known}")
    return found


def _pixels(frame: Frame, path: Path) -> npt.NDArray[Any]:
    """(height, width, channels) of a gray or packed RGB frame, in the order gray or RGB, then alpha."""
    pixel_format = frame.pixel_format
    if len(frame.planes) != 1 or pixel_format.depth not in (8, 16):
        raise SinkError(f"'{path}' is written from gray or packed RGB frames, not {pixel_format.name}")
    array = frame.to_array().reshape(frame.height, frame.width, -1)
    order = [component.offset for component in pixel_format.components]
    if "a" in pixel_format.name.removeprefix("gray"):
        order += sorted(set(range(array.shape[2])) - set(order))
    return array if order == list(range(array.shape[2])) else array[:, :, order]

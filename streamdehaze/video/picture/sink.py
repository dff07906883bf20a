"""A single picture as a sink of one frame."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.video.picture.encoding import encode_picture, picture_format
from streamdehaze.video.picture.metadata import PictureMetadata
from streamdehaze.video.picture.source import PictureSource
from streamdehaze.video.protocols import Source
from streamdehaze.video.writing.publish import OutputPlan, Writer
from streamdehaze.video.writing.target import refuse_unwritable

log = logging.getLogger("streamdehaze")


class PictureSink(Writer):
    """Writes one frame as a picture of the kind that the file name says.

    EXIF, ICC profile, XMP, resolution and texts of a `PictureSource` are kept where the format can hold
    them; what it cannot is named in one warning. The file gets its name only when it is whole.

    JPEG, WebP, AVIF and HEIC have quality 95, JPEG the input's own if that was finer, and WebP of a lossless input is
    lossless.

    Args:
        path: the picture to write.
        source: where the frame comes from.
        overwrite: replace a file of that name.

    Raises:
        SinkError: if the file exists, is the input, cannot be written there, or is not a picture's name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: Source,
        *,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        super().__init__(f"'{self.path}'")
        picture_format(self.path)
        self._metadata = source.metadata if isinstance(source, PictureSource) else PictureMetadata()
        self._overwrite = overwrite
        self._numbered = f"{self.path.stem}.%05d.png"
        if (source.info.frame_count or 1) > 1:
            raise SinkError(f"{self._name} holds one picture, not a video; use a name like '{self._numbered}'")
        refuse_unwritable(self.path, overwrite, source.path if isinstance(source, PictureSource) else None)

    def plan(self, frame: Frame) -> OutputPlan:
        """How the picture would be written; nothing is."""
        _, lost = encode_picture(self.path, frame, self._metadata)
        return OutputPlan(picture_format(self.path).name, frame.pixel_format.name, losses=tuple(lost))

    def _write(self, frame: Frame) -> None:
        if self._partials:
            raise SinkError(f"{self._name} holds one picture; use a name like '{self._numbered}' for more")
        data, lost = encode_picture(self.path, frame, self._metadata)
        self.losses = list(lost)
        if lost:
            log.warning("not kept in %s: %s", self._name, ", ".join(lost))
        self._partial(self.path).write_bytes(data)

    def _finish(self) -> None:
        if not self._partials:
            raise SinkError(f"no frame reached {self._name}, so it was not written")
        if not self._overwrite:
            self._refuse_existing(self.path)

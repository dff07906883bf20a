"""Boxes that make an MP4 or MOV film stereo, spherical (Google's spatial-media, version 2) or Dolby Vision.

FFmpeg reads them, but does not write them. They lie at the end of the video's sample entry: st3d says how the eyes are
packed, sv3d how the sphere is projected; dvcC and dvvC which kind of Dolby Vision it is.
"""

from __future__ import annotations

import os

from streamdehaze.video.reading.hdr import DOLBY_VISION, ONE_LAYER
from streamdehaze.video.syntax.mp4 import video_boxes

_SPHERICAL = (b"st3d", b"sv3d")


def carried_boxes(path: str | os.PathLike[str], *, hevc: bool) -> bytes:
    """The boxes of a file's first video that its output gets too; b"" for none, and for any other kind of file.

    Args:
        path: of the input.
        hevc: the output is HEVC, and can be Dolby Vision: of one layer, not of any other profile.

    Raises:
        OSError: if it cannot be read.
    """
    found = video_boxes(path, (*_SPHERICAL, *DOLBY_VISION) if hevc else _SPHERICAL)
    return b"".join(box for box in found if box[4:8] in _SPHERICAL or (len(box) > 10 and box[10] >> 1 == ONE_LAYER))

"""One frame as the bytes of a picture file."""

from __future__ import annotations

import struct
from pathlib import Path

import av.error
import numpy as np

from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame
from streamdehaze.video.picture.film import said_by
from streamdehaze.video.picture.formats import FORMATS, PictureFormat, format_for
from streamdehaze.video.picture.metadata import PictureMetadata, Pixels
from streamdehaze.video.planes import PictureWriter

_EXR = b"\x76\x2f\x31\x01"


def picture_format(path: Path) -> PictureFormat:
    """The format that the file name asks for.

    Raises:
        SinkError: if it is not a picture's name.
    """
    found = format_for(path.suffix)
    if found is None:
        known = ", ".join(suffix for entry in FORMATS for suffix in entry.suffixes)
        raise SinkError(f"'{path}' is not the name of a picture; its extension can be {known}")
    return found


def encode_picture(path: Path, frame: Frame, metadata: PictureMetadata) -> tuple[bytes, list[str]]:
    """The whole file that `path` is to hold, and what it does not keep of the input, as text.

    Raises:
        SinkError: if the format cannot hold such a picture.
    """
    target = picture_format(path)
    lost = [*metadata.left_out, *target.lost(metadata)]
    other = "EXR" if metadata.film.startswith(_EXR) else "DPX"
    if metadata.film and target.name != other and (said := said_by(metadata.film)):
        lost.append(said)
    if target.encode_frame is not None:
        try:
            return target.encode_frame(frame, metadata), lost
        except (av.error.FFmpegError, ValueError, struct.error) as error:
            raise SinkError(f"'{path}' cannot be written as {target.name}: {error}") from error
    assert target.encode is not None
    pixels = _pixels(frame)
    if pixels.dtype == np.uint16 and not target.deep:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        lost.insert(0, "16 bits a sample (rounded to 8)")
    if pixels.shape[2] in (2, 4) and not target.alpha:
        pixels = pixels[:, :, :-1]
        lost.insert(0, "transparency")
    try:
        return target.encode(pixels, metadata), lost
    except Exception as error:  # OSError, ValueError, struct.error or FFmpeg's, by format
        raise SinkError(f"'{path}' cannot be written as {target.name}: {error}") from error


def _pixels(frame: Frame) -> Pixels:
    """(height, width, channels) in the order gray or RGB, then alpha; 8 bits a sample if the frame has 8, else 16."""
    layout = frame.pixel_format
    alpha = "a" in layout.name.removeprefix("gray")
    if layout.plane_count > 1 or layout.depth not in (8, 16):
        names = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}
        name = "gray16le" if layout.family == "gray" else names[layout.depth > 8, alpha]
        writer = PictureWriter()
        picture = writer.convert(writer.picture(frame), frame.width, frame.height, name)
        return picture.to_ndarray().reshape(frame.height, frame.width, -1)
    array = frame.to_array().reshape(frame.height, frame.width, -1)
    order = [component.offset for component in layout.components]
    if alpha:
        order += sorted(set(range(array.shape[2])) - set(order))
    return array if order == list(range(array.shape[2])) else array[:, :, order]

"""HEIC photos, 8 and 10 bits a sample, where pillow-heif is installed (extra `heif`)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HEIF_SUFFIXES = (".heic", ".heif", ".hif")
_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def is_installed() -> bool:
    """Whether such photos can be read and written here."""
    return importlib.util.find_spec("pillow_heif") is not None


def is_such(path: Path) -> bool:
    """Whether a file begins as such photos do (ISO/IEC 23008-12, annex B)."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[4:8] == b"ftyp" and head[8:] in _BRANDS


def register() -> None:
    """Let Pillow open such photos."""
    from pillow_heif import register_heif_opener

    register_heif_opener()


def is_deep(info: Mapping[str, Any]) -> bool:
    """Whether a photo has more than 8 bits a sample, from what Pillow knows of it."""
    return int(info.get("bit_depth", 8)) > 8


def decode_deep(path: Path) -> npt.NDArray[Any]:
    """(height, width, channels) of uint16, the shorter samples of the file in the upper bits."""
    from pillow_heif import open_heif

    with path.open("rb") as file:
        pixels = np.asarray(open_heif(file, convert_hdr_to_8bit=False))
    return pixels.reshape(*pixels.shape[:2], -1)


def encode(pixels: npt.NDArray[Any], blocks: Mapping[str, bytes], quality: int) -> bytes:
    """A whole file.

    Args:
        pixels: (height, width, channels) of uint8, or of uint16 for 10 bits a sample.
        blocks: "exif" (with its signature), "icc_profile" and "xmp", those there are.
        quality: 1 to 100.
    """
    import pillow_heif

    if pixels.shape[2] == 2:  # gray with alpha, which it does not know
        pixels = pixels[:, :, [0, 0, 0, 1]]
    mode = _MODES[pixels.shape[2]] + (";16" if pixels.itemsize > 1 else "")
    size = pixels.shape[1], pixels.shape[0]
    file = io.BytesIO()
    pillow_heif.encode(mode, size, np.ascontiguousarray(pixels).tobytes(), file, quality=quality, chroma=444, **blocks)
    return file.getvalue()


def lost(info: Mapping[str, Any]) -> list[str]:
    """The parts of a photo that no output carries, as text."""
    words = ["the depth map"] if info.get("depth_images") else []
    return words + (["gain map and other auxiliary pictures"] if info.get("aux") else [])

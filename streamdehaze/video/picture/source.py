"""A single picture as a source of one frame."""

from __future__ import annotations

import contextlib
import os
import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from streamdehaze.errors import SourceError
from streamdehaze.frame import Frame, PixelFormat, VideoInfo
from streamdehaze.video.picture import heif, png, tiff
from streamdehaze.video.picture.film import FILM_SUFFIXES, FilmFile
from streamdehaze.video.picture.formats import FORMATS
from streamdehaze.video.picture.metadata import Chunk, PictureMetadata, Pixels
from streamdehaze.video.protocols import Reader

MAX_PIXELS = 250_000_000
"""Pixels a picture may have; a file that claims more is taken for a decompression bomb."""

_NAMES = {  # pixel format by (channels, bytes a sample)
    (1, 1): "gray", (2, 1): "ya8", (3, 1): "rgb24", (4, 1): "rgba",
    (1, 2): "gray16le", (2, 2): "ya16le", (3, 2): "rgb48le", (4, 2): "rgba64le",
}  # fmt: skip
_MODES = {
    "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA",
    "1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "La": "LA", "RGBa": "RGBA",
}  # fmt: skip
"""Pillow's modes, and the ones that hold them without loss."""


class PictureSource(Reader):
    """A still picture: one frame of gray or packed RGB, alpha included.

    Pixels come as they are stored, at 8 or 16 bits: an EXIF orientation is kept as a tag and not carried out. DPX and
    EXR come planar; the light of an EXR as 16 bits on the PQ curve, see `streamdehaze.video.light`.

    Raises:
        SourceError: if the file is missing, empty, damaged, animated, or not a picture we can keep whole.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        _refuse_missing(self.path)
        self._film: FilmFile | None = None
        if self.path.suffix.lower() in FILM_SUFFIXES:
            self._film = FilmFile(self.path)
            self._info, self.metadata = self._film.info, self._film.metadata
            return
        self._image = _open(self.path)
        try:
            chunks = self._check()
            self.metadata = PictureMetadata.of(self._image, self.path)
            if self._image.format == "PNG":
                self.metadata = replace(self.metadata, png_chunks=chunks)
            elif self._image.format == "WEBP":
                self.metadata = replace(self.metadata, lossless=_webp_is_lossless(self.path))
        except SourceError:
            self._image.close()
            raise
        except Exception as error:  # Pillow raises many kinds for metadata that is not what it claims to be
            self._image.close()
            raise _refusal(self.path, error) from error
        width, height = tiff.stored_size(self._image) if self._image.format == "TIFF" else self._image.size
        self._info = VideoInfo(
            width=width,
            height=height,
            pixel_format=_NAMES[self._channels(), 2 if self._deep else 1],
            average_rate=None,
            time_base=Fraction(1),
            frame_count=1,
            duration_seconds=None,
            codec=_codec(self._image),
        )

    def __iter__(self) -> Iterator[Frame]:
        """The one frame, its PTS 0; once, as the pixels are not kept.

        Raises:
            SourceError: if the pixels are damaged or cut off.
        """
        if self._film is not None:
            yield from self._film.frames()
            return
        try:
            pixels = self._decode()
        except SourceError:
            raise
        except Exception as error:  # as above
            raise _refusal(self.path, error) from error
        finally:
            self._image.close()  # its own copy of the pixels is large and of no more use
        height, width, channels = pixels.shape
        pixel_format = PixelFormat.parse(_NAMES[channels, pixels.itemsize])
        plane = np.ascontiguousarray(pixels, pixel_format.dtype).reshape(height, width * channels)
        yield Frame((plane,), width, height, pixel_format, pts=0)

    def close(self) -> None:
        """Close the file."""
        if self._film is None:
            self._image.close()

    def _check(self) -> tuple[Chunk, ...]:
        """Refuse what cannot be kept whole; a PNG's chunks, which are read on the way."""
        image, path = self._image, self.path
        chunks: tuple[Chunk, ...] = ()
        animated = False
        self._deep = False
        if image.format == "PNG":
            chunks, animated = png.read_chunks(path)
            self._deep = image.mode == "I;16" or ";16" in str(image.tile[0].args)
        elif image.format == "TIFF":
            tiff.refuse_unreadable(image, path)
            self._deep = tiff.is_deep(image)
        elif image.format == "HEIF":
            self._deep = heif.is_deep(image.info)
        elif image.format in ("WEBP", "AVIF"):
            animated = getattr(image, "n_frames", 1) > 1
        if animated:
            how = "make a video or a folder of PNGs of it first, ImageMagick's convert does"
            if image.format != "WEBP":  # which FFmpeg cannot read either
                how = f"convert it to a video first: ffmpeg -i '{path}' video.mkv"
            raise SourceError(f"'{path}' is animated; {how}")
        if image.format == "AVIF" and _avif_is_deep(path):
            raise SourceError(f"'{path}' has more than 8 bits a sample; convert it to a 16-bit PNG first")
        if not self._deep and image.mode not in _MODES:
            what = {"F": "floating-point", "I": "32-bit"}.get(image.mode, image.mode)
            raise SourceError(f"'{path}' is a {what} picture; convert it to RGB or gray of 8 or 16 bits first")
        return chunks

    def _decode(self) -> Pixels:
        """(height, width, channels) as stored."""
        image = self._image
        if self._deep and image.format == "PNG":
            return png.decode_deep(self.path)
        if self._deep and image.format == "HEIF":
            return heif.decode_deep(self.path)
        orientation = tiff.orientation(image) if image.format == "TIFF" else 1
        if self._deep:
            pixels = tiff.decode_deep(image, self.path)
        else:
            mode = self._mode()
            pixels = np.asarray(image if mode == image.mode else image.convert(mode))
            pixels = pixels.reshape(*pixels.shape[:2], -1)
        return tiff.as_stored(pixels, orientation)

    def _mode(self) -> str:
        """Pillow's mode that holds the picture, a PNG's transparent colour turned into alpha."""
        mode = _MODES[self._image.mode]
        if "transparency" in self._image.info:
            mode = {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
        return mode

    def _channels(self) -> int:
        if not self._deep:
            return len(self._mode())
        if self._image.format == "TIFF":
            return int(self._image.tag_v2.get(277, 1))
        if self._image.format == "HEIF":
            return len(self._mode())
        return png.channels(self.path)


def _refuse_missing(path: Path) -> None:
    try:
        if path.is_dir():
            raise SourceError(f"'{path}' is a folder, not a picture")
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError as error:
        raise SourceError(f"'{path}' does not exist") from error
    except OSError as error:
        raise SourceError(f"'{path}' cannot be read: {error.strerror or error}") from error
    if empty:
        raise SourceError(f"'{path}' is empty (0 bytes)")


def _open(path: Path) -> Any:
    """Pillow's image object, header read, with our own bound on its size in place of Pillow's."""
    from PIL import UnidentifiedImageError

    names = [entry.name.upper() for entry in FORMATS if entry.encode_frame is None]
    if "HEIF" in names:
        if heif.is_such(path):  # whatever it is called
            heif.register()
        else:
            names.remove("HEIF")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _identified(path, names)
    except UnidentifiedImageError as error:
        known = ", ".join(entry.name for entry in FORMATS if entry.encode_frame is None)
        with path.open("rb") as file:
            if file.read(4) in (b"II*\0", b"MM\0*"):
                known = "TIFF of 8 or 16 bits, gray or RGB"
        raise SourceError(f"'{path}' is damaged, or not a picture of a kind that can be read ({known})") from error
    except Exception as error:  # a damaged header raises ValueError, SyntaxError, struct.error, …
        raise _refusal(path, error) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise SourceError(f"'{path}' is {width}x{height}: pictures of up to {MAX_PIXELS // 10**6} megapixels are taken")
    return image


def _identified(path: Path, names: Sequence[str]) -> Any:
    """What `Image.open` returns, without Pillow's bound on the size, which only the whole process can change."""
    from PIL import Image, UnidentifiedImageError

    Image.preinit()
    with path.open("rb") as file:
        head = file.read(16)
    for name in names:
        if name not in Image.OPEN:
            Image.init()
        factory, accepts = Image.OPEN[name]
        opens: Any = factory
        if accepts is None or accepts(head) is True:
            with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):  # another format, or damaged
                return opens(os.fspath(path), "")
    raise UnidentifiedImageError


def _codec(image: Any) -> str:
    name = "JPEG" if image.format == "MPO" else image.format  # a JPEG with further pictures after the first
    return next(entry.codec for entry in FORMATS if entry.name.upper() == name)


def _webp_is_lossless(path: Path) -> bool:
    """Whether the pixels are in a VP8L chunk (WebP container specification)."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8L"
            length = int.from_bytes(head[4:], "little")
            file.seek(length + length % 2, os.SEEK_CUR)
    return False


def _avif_is_deep(path: Path) -> bool:
    """Whether an AV1 configuration box (AV1-ISOBMFF section 2.3.3) announces more than 8 bits."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    at = head.find(b"av1C")
    return at >= 0 and bool(head[at + 6] & 0x40)


def _refusal(path: Path, error: Exception) -> SourceError:
    if isinstance(error, OSError) and error.errno:  # the disk's; Pillow's own have no number
        return SourceError(f"'{path}' cannot be read: {error.strerror}")
    return SourceError(f"'{path}' is damaged: {' '.join(str(error).split()) or type(error).__name__}")

"""`Frame`, pixel format and colour types: a frame with its native planes, the layout of those planes, and colour."""

from __future__ import annotations

import functools
import re
import sys
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from streamdehaze.errors import UnsupportedFormatError

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
FloatArray = npt.NDArray[np.float32]
Family = Literal["yuv", "gray", "rgb"]
_Plane = TypeVar("_Plane")


@dataclass(frozen=True)
class Component:
    """Where one colour component lies inside the planes.

    Sample ``x`` of row ``y`` is ``planes[plane][y, x * step + offset] >> shift``.
    """

    plane: int
    """Index of the plane."""
    offset: int = 0
    """Samples before the first one."""
    step: int = 1
    """Samples from one to the next (2 in the chroma plane of nv12, 3 in rgb24)."""


@dataclass(frozen=True)
class PixelFormat:
    """Memory layout of a pixel format, under FFmpeg's name for it.

    Only formats whose samples are whole 8- or 16-bit words are described; `PixelFormat.parse` refuses the rest.
    """

    name: str
    family: Family
    depth: int
    """Bits a sample, 8 to 16."""
    components: tuple[Component, ...]
    """Colour components in the order Y, U, V or R, G, B, or the single Y of gray; alpha is not among them."""
    plane_count: int
    """Planes, an alpha plane included."""
    chroma_shift: tuple[int, int] = (0, 0)
    """log2 of the chroma subsampling, (horizontal, vertical)."""
    shift: int = 0
    """Unused low bits below each sample (6 in p010)."""
    big_endian: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a stored sample: uint8, or uint16 in the format's byte order."""
        if self.depth <= 8:
            return np.dtype(np.uint8)
        return np.dtype(">u2" if self.big_endian else "<u2")

    @property
    def max_value(self) -> int:
        """The largest sample value, ``2**depth - 1``."""
        return (1 << self.depth) - 1

    def component_size(self, index: int, width: int, height: int) -> tuple[int, int]:
        """(width, height) in samples of colour component `index` of a picture of `width` × `height` pixels."""
        if self.family == "yuv" and index > 0:
            horizontal, vertical = self.chroma_shift
            return -(-width >> horizontal), -(-height >> vertical)
        return width, height

    def samples(self, plane: _Plane, index: int, width: int, height: int) -> _Plane:
        """The samples of colour component `index` in its plane, NumPy's or PyTorch's: a view of (rows, columns)."""
        component, (columns, rows) = self.components[index], self.component_size(index, width, height)
        view: Any = plane
        part: _Plane = view[:rows, component.offset :: component.step][:, :columns]
        return part

    def plane_size(self, plane: int, width: int, height: int) -> tuple[int, int]:
        """(samples a row, rows) of plane `plane`, row padding not counted."""
        for index, component in enumerate(self.components):
            if component.plane == plane:
                w, h = self.component_size(index, width, height)
                return w * component.step, h
        return width, height  # an alpha plane

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def parse(name: str) -> PixelFormat:
        """Describe FFmpeg's pixel format `name`.

        Raises:
            UnsupportedFormatError: if its samples are not whole 8- to 16-bit words of YUV, gray or RGB.
        """
        for parse in (_parse_planar_yuv, _parse_semi_planar, _parse_gray, _parse_rgb):
            found = parse(name)
            if found is not None:
                return found
        raise UnsupportedFormatError(f"pixel format '{name}' is not supported; convert the input to yuv420p first")


_ENDIAN = {"be": True, "le": False, "": sys.byteorder == "big", None: sys.byteorder == "big"}
_SUBSAMPLING = {"410": (2, 2), "411": (2, 0), "420": (1, 1), "422": (1, 0), "440": (0, 1), "444": (0, 0)}


def _parse_planar_yuv(name: str) -> PixelFormat | None:
    match = re.fullmatch(r"yuv([aj]?)(410|411|420|422|440|444)p(9|10|12|14|16)?(le|be)?", name)
    if not match:
        return None
    kind, sampling, depth, endian = match.groups()
    return PixelFormat(
        name, "yuv", int(depth or 8), tuple(Component(i) for i in range(3)),
        plane_count=4 if kind == "a" else 3, chroma_shift=_SUBSAMPLING[sampling], big_endian=_ENDIAN[endian],
    )  # fmt: skip


def _parse_semi_planar(name: str) -> PixelFormat | None:
    eight_bit = {
        "nv12": ("420", 0), "nv21": ("420", 1), "nv16": ("422", 0), "nv24": ("444", 0), "nv42": ("444", 1),
    }  # fmt: skip
    match = re.fullmatch(r"p([024])(10|12|16)(le|be)?|nv20(le|be)?", name)
    if name in eight_bit:
        sampling, v_first = eight_bit[name]
        depth, shift, endian = 8, 0, ""
    elif match and name.startswith("nv20"):
        sampling, v_first, depth, shift, endian = "422", 0, 10, 0, match[4] or ""
    elif match:
        sampling, v_first = {"0": "420", "2": "422", "4": "444"}[match[1]], 0
        depth, endian = int(match[2]), match[3] or ""
        shift = 16 - depth
    else:
        return None
    components = (Component(0), Component(1, v_first, 2), Component(1, 1 - v_first, 2))
    return PixelFormat(
        name, "yuv", depth, components, 2, _SUBSAMPLING[sampling], shift=shift, big_endian=_ENDIAN[endian]
    )


def _parse_gray(name: str) -> PixelFormat | None:
    match = re.fullmatch(r"(gray|ya)(8|9|10|12|14|16)?(le|be)?", name)
    if not match:
        return None
    kind, depth, endian = match.groups()
    step = 2 if kind == "ya" else 1
    return PixelFormat(name, "gray", int(depth or 8), (Component(0, 0, step),), 1, big_endian=_ENDIAN[endian])


def _parse_rgb(name: str) -> PixelFormat | None:
    planar = re.fullmatch(r"gbr(a?)p(9|10|12|14|16)?(le|be)?", name)
    if planar:
        planes = 4 if planar[1] else 3
        order = (Component(2), Component(0), Component(1))  # stored G, B, R
        return PixelFormat(name, "rgb", int(planar[2] or 8), order, planes, big_endian=_ENDIAN[planar[3]])
    packed = re.fullmatch(r"([rgba0]{3,4})(48|64|24)?(le|be)?", name)
    if not packed or not {"r", "g", "b"} <= set(packed[1]):
        return None
    letters, bits = packed[1], packed[2]
    depth = 16 if bits in ("48", "64") else 8
    components = tuple(Component(0, letters.index(c), len(letters)) for c in "rgb")
    return PixelFormat(name, "rgb", depth, components, 1, big_endian=_ENDIAN[packed[3]])


_LUMA_WEIGHTS = {  # (Kr, Kb) by matrix coefficients, ITU-T H.273 table 4
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),  # constant luminance, taken as the non-constant kind
}
UNSPECIFIED = 2


@dataclass(frozen=True)
class ColorSpec:
    """Colour description of a stream or frame: the code points of ITU-T H.273 (FFmpeg uses the same)."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    full_range: bool | None = None
    """True for 0…max, False for the narrow "video" range, None where the stream does not say."""
    log: str = field(default="", compare=False)
    """The log curve that the camera's metadata names, see `streamdehaze.control.curves`; H.273 has no code for it."""

    def resolved(self, pixel_format: PixelFormat, height: int) -> ColorSpec:
        """The same with matrix and range filled in where the stream does not say.

        An unspecified matrix is BT.709 above 576 lines and BT.601 below, as players assume; an unspecified
        range is narrow for YUV and full for gray, RGB and FFmpeg's "yuvj" formats.
        """
        matrix = self.matrix
        if matrix not in _LUMA_WEIGHTS and matrix not in (0, 8):
            matrix = 1 if height > 576 else 6
        full = self.full_range
        if pixel_format.family != "yuv" or pixel_format.name.startswith("yuvj"):
            full = True
        return replace(self, matrix=matrix, full_range=bool(full))

    def rgb_from_planes(self, pixel_format: PixelFormat) -> tuple[FloatArray, FloatArray]:
        """Matrix M (3, n) and offset c (3,) with ``rgb = M @ planes + c``; all values in [0, 1] of full scale.

        n is the number of colour components. Call it on a `resolved` description.
        """
        if pixel_format.family == "rgb":
            return np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
        if pixel_format.family == "gray":
            return np.ones((3, 1), np.float32), np.zeros(3, np.float32)
        planes_from_rgb, offset = self._yuv_from_rgb(pixel_format)
        inverse = np.linalg.inv(planes_from_rgb)
        return inverse.astype(np.float32), (-inverse @ offset).astype(np.float32)

    def planes_from_rgb(self, pixel_format: PixelFormat) -> tuple[FloatArray, FloatArray]:
        """Matrix M (n, 3) and offset c (n,) with ``planes = M @ rgb + c``: the inverse of `rgb_from_planes`."""
        if pixel_format.family == "rgb":
            return np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
        if pixel_format.family == "gray":
            kr, kb = _LUMA_WEIGHTS[1]
            return np.array([[kr, 1 - kr - kb, kb]], np.float32), np.zeros(1, np.float32)
        matrix, offset = self._yuv_from_rgb(pixel_format)
        return matrix.astype(np.float32), offset.astype(np.float32)

    def _yuv_from_rgb(self, pixel_format: PixelFormat) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """H.273 equations 20-28 (quantisation) around the matrix of equations 38-40, or YCgCo or GBR."""
        if self.matrix == 0:  # the "matrix" of RGB carried in YUV planes: G, B, R
            matrix = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
            centred = False
        elif self.matrix == 8:  # YCgCo
            matrix = np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
            centred = True
        else:
            kr, kb = _LUMA_WEIGHTS[self.matrix]
            luma = np.array([kr, 1 - kr - kb, kb])
            blue, red = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
            matrix = np.stack([luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))])
            centred = True
        scale = 1 << (pixel_format.depth - 8)
        top = pixel_format.max_value
        if self.full_range:
            gains = np.ones(3)
            offset = np.zeros(3)
        else:
            gains = np.array([219.0, 224.0 if centred else 219.0, 224.0 if centred else 219.0]) * scale / top
            offset = np.full(3, 16.0 * scale / top)
        if centred:
            offset[1:] = 128.0 * scale / top
        return matrix * gains[:, None], offset


@dataclass(frozen=True)
class Frame:
    """One picture in its native pixel format, with its time and colour."""

    planes: tuple[Plane, ...]
    """One C-contiguous (rows, row length in samples) array a plane, in the format's dtype; rows may be padded."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    pixel_format: PixelFormat
    color: ColorSpec = field(default_factory=ColorSpec)
    pts: int | None = None
    """Presentation time in units of `time_base`; None where the source has none."""
    time_base: Fraction = Fraction(1, 1)
    """Seconds a tick."""
    duration: int = 0
    """In units of `time_base`; 0 if unknown."""
    opaque: Any = field(default=None, repr=False, compare=False)
    """The source's own frame object: carries side data and flags to a sink of the same kind."""

    def __post_init__(self) -> None:
        if len(self.planes) != self.pixel_format.plane_count:
            raise ValueError(
                f"{self.pixel_format.name} has {self.pixel_format.plane_count} planes, got {len(self.planes)}"
            )
        for index, plane in enumerate(self.planes):
            row, rows = self.pixel_format.plane_size(index, self.width, self.height)
            if plane.ndim != 2 or plane.shape[0] < rows or plane.shape[1] < row:
                raise ValueError(f"plane {index} has shape {plane.shape}, needs at least ({rows}, {row})")
            if plane.dtype != self.pixel_format.dtype:
                raise ValueError(f"plane {index} is {plane.dtype}, needs {self.pixel_format.dtype}")

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height} {self.pixel_format.name}"
        return f"Frame({size}, pts={self.pts}, time_base={self.time_base})"

    @property
    def nbytes(self) -> int:
        """Bytes of the planes, for queues bounded in bytes."""
        return sum(plane.nbytes for plane in self.planes)

    @property
    def seconds(self) -> float | None:
        """Presentation time in seconds, for display only."""
        return None if self.pts is None else float(self.pts * self.time_base)

    def with_planes(self, planes: tuple[Plane, ...]) -> Frame:
        """The same frame (time, colour, side data) with other pixels in the same layout."""
        return replace(self, planes=planes)

    @classmethod
    def from_array(
        cls, array: npt.NDArray[Any], *, pts: int | None = None, time_base: Fraction = Fraction(1, 1)
    ) -> Frame:
        """A frame around an array of shape (height, width), (height, width, 3) RGB or (height, width, 4) RGBA.

        Raises:
            TypeError: if it is not an array.
            ValueError: if the array is not uint8 or uint16, has another shape, or is empty.
        """
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"array must be a NumPy array, not {type(array).__name__}; for tensors there is from_tensor"
            )
        if array.dtype not in (np.uint8, np.uint16):
            scaled = "; turn 0…1 into 0…65535 for uint16" if array.dtype.kind == "f" else ""
            raise ValueError(f"array must be uint8 or uint16, not {array.dtype}{scaled}")
        wide = array.dtype == np.uint16
        if array.ndim == 2:
            name = "gray16le" if wide else "gray"
        elif array.ndim == 3 and array.shape[2] in (3, 4):
            names = {3: ("rgb24", "rgb48le"), 4: ("rgba", "rgba64le")}
            name = names[array.shape[2]][wide]
        else:
            raise ValueError(f"array must be (height, width), (height, width, 3) or (…, 4), not {array.shape}")
        if not array.size:
            raise ValueError(f"array of shape {array.shape} has no pixels")
        height, width = array.shape[:2]
        pixel_format = PixelFormat.parse(name)
        plane = np.ascontiguousarray(array, dtype=pixel_format.dtype).reshape(height, -1)
        return cls((plane,), width, height, pixel_format, pts=pts, time_base=time_base)

    def to_array(self) -> npt.NDArray[Any]:
        """Back from `from_array`: (height, width[, channels]) of a gray or packed RGB frame.

        Raises:
            ValueError: if the format is planar; such a frame has no single array.
        """
        if len(self.planes) != 1:
            raise ValueError(f"{self.pixel_format.name} is planar; read its planes instead")
        step = self.pixel_format.components[0].step
        pixels = self.planes[0][: self.height, : self.width * step]
        native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        return native.reshape((self.height, self.width) if step == 1 else (self.height, self.width, step))


@dataclass(frozen=True)
class VideoInfo:
    """What a source knows of its pictures before the first one is decoded."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    pixel_format: str
    """FFmpeg's name."""
    average_rate: Fraction | None
    """Frames a second, for display and progress only; never used to rebuild time."""
    time_base: Fraction
    """Seconds a tick of the frames' PTS."""
    frame_count: int | None
    """Frames to come as far as the container says; None if it does not."""
    duration_seconds: float | None
    codec: str
    """FFmpeg's name of the input's codec."""
    color: ColorSpec = field(default_factory=ColorSpec)

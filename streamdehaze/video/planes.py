"""Between FFmpeg's frames and ours: views on the planes when reading, one copy of them when writing."""

from __future__ import annotations

import functools
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import av.filter
import numpy as np
from av.codec.codec import find_best_pix_fmt_of_list
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorRange, VideoReformatter

from streamdehaze.errors import UnsupportedFormatError
from streamdehaze.frame import ColorSpec, Frame, PixelFormat, Plane
from streamdehaze.video.light import PQ, coded, coded_format
from streamdehaze.video.sidedata import side_data

# Formats that one without whole 8- or 16-bit samples may be converted to; FFmpeg chooses the nearest.
_WORKING_FORMATS = (
    "gray", "gray10le", "gray12le", "gray16le", "ya8", "ya16le",
    "yuv410p", "yuv411p", "yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuva420p", "yuva422p", "yuva444p",
    "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuva444p10le", "yuv420p12le", "yuv422p12le", "yuv444p12le",
    "yuva444p12le", "yuv420p16le", "yuv422p16le", "yuv444p16le", "yuva444p16le",
    "rgb24", "rgba", "rgb48le", "rgba64le", "gbrp10le", "gbrp12le", "gbrp16le", "gbrap10le", "gbrap12le",
)  # fmt: skip
_SWSCALE_THREADS = 1
"""With more, FFmpeg 8's swscale overwrites samples at the edges between its slices (seen from p010 to yuv420p10)."""
_BT2020, _BT2020_NCL = 9, 9
"""Primaries, and the matrix that goes with them (H.273)."""
_XYZ = {"xyz12le": "rgb48le", "xyz12be": "rgb48le"}  # FFmpeg would call YUV nearer, but only RGB is converted to

# Side data of individual pictures that encoders write into the stream: closed captions, time code, HDR10+.
_PER_PICTURE = frozenset(
    {
        SideDataType.A53_CC,
        SideDataType.AFD,
        SideDataType.S12M_TIMECODE,
        SideDataType.DYNAMIC_HDR_PLUS,
        SideDataType.DYNAMIC_HDR_VIVID,
    }
)


@functools.lru_cache(maxsize=64)
def working_format(name: str) -> str:
    """The pixel format a picture in FFmpeg's format `name` is worked on: the same, or the nearest that keeps it.

    Raises:
        UnsupportedFormatError: if there is none.
    """
    if (light := coded_format(name)) is not None:
        return light
    try:
        PixelFormat.parse(name)
    except UnsupportedFormatError:
        if name in _XYZ:
            return _XYZ[name]
        nearest, _ = find_best_pix_fmt_of_list(_WORKING_FORMATS, name, has_alpha=True)
        if nearest is None:
            raise
        return nearest.name
    return name


def color_of(tagged: Any) -> ColorSpec:
    """The colour description of a PyAV frame or video codec context."""
    layout = getattr(tagged, "format", None)
    if layout is not None and coded_format(layout.name) is not None:
        return ColorSpec(int(tagged.color_primaries), PQ, 0, True)  # as `coded` makes it
    full = {int(ColorRange.MPEG): False, int(ColorRange.JPEG): True}.get(int(tagged.color_range))
    return ColorSpec(int(tagged.color_primaries), int(tagged.color_trc), int(tagged.colorspace), full)


def frame_from_av(picture: av.VideoFrame, *, pts: int | None, time_base: Fraction, log: str = "") -> Frame:
    """A frame whose planes are views on those of `picture`, which stays alive as long as the frame.

    The decoder may still refer to these pixels: read them, never write to them. `log` is the curve of `ColorSpec`.

    Raises:
        UnsupportedFormatError: if the picture's format has no near one to work on.
    """
    name = working_format(picture.format.name)
    if coded_format(picture.format.name) is not None:
        picture = coded(picture)
    elif name != picture.format.name:
        picture = picture.reformat(format=name, threads=_SWSCALE_THREADS)
    pixel_format = PixelFormat.parse(name)
    planes = tuple(_view(plane, pixel_format.dtype) for plane in picture.planes)
    return Frame(
        planes,
        picture.width,
        picture.height,
        pixel_format,
        replace(color_of(picture), log=log),
        pts=pts,
        time_base=time_base,
        duration=picture.duration or 0,
        opaque=picture,
    )


def _view(plane: Any, dtype: np.dtype[Any]) -> Plane:
    view: Any = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    if plane.line_size < 0:  # stored bottom row first
        view = np.ascontiguousarray(view[::-1])
    result: Plane = view
    return result


class PictureWriter:
    """Makes PyAV pictures of frames, ready for an encoder."""

    def __init__(self) -> None:
        self._twin: _Twin | None = None
        self._reformatter = VideoReformatter()

    def picture(self, frame: Frame) -> av.VideoFrame:
        """A PyAV picture with a copy of the frame's pixels, its time, colour, and side data if it came with any."""
        source = frame.opaque if isinstance(frame.opaque, av.VideoFrame) else None
        if source is not None and _worth_keeping(source, frame):
            picture = self._twin_of(source)
        else:
            picture = av.VideoFrame(frame.width, frame.height, frame.pixel_format.name)
        for index, (target, plane) in enumerate(zip(picture.planes, frame.planes, strict=True)):
            row, rows = frame.pixel_format.plane_size(index, frame.width, frame.height)
            view = np.frombuffer(memoryview(target), plane.dtype).reshape(-1, abs(target.line_size) // plane.itemsize)
            view[:rows, :row] = plane[:rows, :row]
        picture.pts = frame.pts
        picture.time_base = frame.time_base
        picture.duration = frame.duration
        picture.pict_type = 0  # the encoder decides
        _set_color(picture, frame.color)
        return picture

    def _twin_of(self, source: av.VideoFrame) -> av.VideoFrame:
        if self._twin is None or not self._twin.fits(source):
            self._twin = _Twin(source)
        return self._twin.of(source)

    def convert(
        self, picture: av.VideoFrame, width: int, height: int, name: str, *, full_range: bool = False
    ) -> av.VideoFrame:
        """`picture` in another size and pixel format; between YUV and RGB by the matrix and range it is tagged with.

        With `full_range`, YUV comes out in that, whatever it was.
        """
        before, after = PixelFormat.parse(picture.format.name), name
        color = color_of(picture).resolved(before, picture.height)
        widens = full_range and not color.full_range
        if (picture.width, picture.height, picture.format.name) == (width, height, name) and not widens:
            return picture
        full = color.full_range or full_range
        matrix = color.matrix
        if before.family == "rgb":
            full = full_range or _is_rgb(after)  # YUV made of RGB is narrow, as players assume
            matrix = _BT2020_NCL if color.primaries == _BT2020 else 1 if height > 576 else 6
        elif before.family == "gray" and not after.startswith(("gray", "ya")):
            full = full_range or _is_rgb(after)
        converted = self._reformatter.reformat(
            picture,
            width,
            height,
            after,
            src_colorspace=_SWSCALE_MATRIX.get(matrix, 5),
            dst_colorspace=_SWSCALE_MATRIX.get(matrix, 5),
            interpolation="BICUBIC",
            src_color_range=ColorRange.JPEG if color.full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            threads=_SWSCALE_THREADS,
        )
        tags = color_of(picture)
        if (before.family == "rgb") != _is_rgb(after):
            tags = ColorSpec(tags.primaries, tags.transfer, 0 if _is_rgb(after) else matrix, full)
        elif widens or before.family == "gray" or before.name.startswith("yuvj"):
            tags = ColorSpec(tags.primaries, tags.transfer, tags.matrix, full)
        _set_color(converted, tags)
        converted.pict_type = 0
        return converted


_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # H.273 code → libswscale's SWS_CS_*


def _is_rgb(name: str) -> bool:
    return av.VideoFormat(name).is_rgb


def _set_color(picture: av.VideoFrame, color: ColorSpec) -> None:
    picture.color_primaries = color.primaries
    picture.color_trc = color.transfer
    picture.colorspace = color.matrix
    picture.color_range = {None: 0, False: 1, True: 2}[color.full_range]


def _worth_keeping(source: av.VideoFrame, frame: Frame) -> bool:
    same = (source.width, source.height, source.format.name) == (
        frame.width, frame.height, frame.pixel_format.name,
    )  # fmt: skip
    return same and (source.interlaced_frame or any(kind in _PER_PICTURE for kind in side_data(source)))


class _Twin:
    """Copies PyAV pictures together with side data and field order, which PyAV cannot set.

    A filter graph hands out a second reference to a picture with everything attached to it;
    `make_writable` then gives that reference pixels of its own.
    """

    def __init__(self, source: av.VideoFrame) -> None:
        self._layout = (source.width, source.height, source.format.name)
        self._graph = av.filter.Graph()
        self._graph.link_nodes(
            self._graph.add_buffer(
                width=source.width,
                height=source.height,
                format=source.format,
                time_base=source.time_base or Fraction(1, 1000),
            ),
            self._graph.add("buffersink"),
        ).configure()

    def fits(self, source: av.VideoFrame) -> bool:
        return self._layout == (source.width, source.height, source.format.name)

    def of(self, source: av.VideoFrame) -> av.VideoFrame:
        self._graph.push(source)
        twin = self._graph.vpull()
        twin.make_writable()
        return twin

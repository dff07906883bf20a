"""A GStreamer element, `streamdehaze`: raw video in, clear video out.

It runs in the Python that GStreamer's bindings belong to, and sets itself up where this module is imported, or where
GStreamer's Python loader finds it in a folder `python/` of GST_PLUGIN_PATH:

    python3 -m streamdehaze.integrations.gstreamer filesrc location=foggy.mkv ! decodebin ! videoconvert \\
        ! streamdehaze steady=low ! videoconvert ! autovideosink

Buffers keep their times. With `steady` or `every`, maps are smoothed over time as for a live camera.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from fractions import Fraction

import gi
import numpy as np
import numpy.typing as npt

# GStreamer brings libunwind along. Where NumPy was loaded first, C++ exceptions that OpenVINO throws through libgcc are
# continued by libunwind, which ends the process; and Python's bindings throw one where any iteration ends.
with contextlib.suppress(OSError):
    ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import GLib, GObject, Gst, GstVideo  # noqa: E402

from streamdehaze.dehaze import Dehazer  # noqa: E402
from streamdehaze.frame import ColorSpec, Frame, PixelFormat  # noqa: E402
from streamdehaze.network import DEFAULT_CHECKPOINT  # noqa: E402

Gst.init(None)

FORMATS = {
    "I420": "yuv420p", "Y42B": "yuv422p", "Y444": "yuv444p", "NV12": "nv12", "GRAY8": "gray", "RGB": "rgb24",
    "BGR": "bgr24", "I420_10LE": "yuv420p10le", "I422_10LE": "yuv422p10le", "Y444_10LE": "yuv444p10le",
    "P010_10LE": "p010le", "GRAY16_LE": "gray16le",
}  # fmt: skip
"""GStreamer's formats by FFmpeg's names."""
_CAPS = Gst.Caps.from_string(f"video/x-raw, format=(string){{ {', '.join(FORMATS)} }}")
_NANOSECOND = Fraction(1, Gst.SECOND)
_FULL_RANGE = 1
"""GST_VIDEO_COLOR_RANGE_0_255, which is not a name in Python."""


def _property(kind: type, default: object, text: str) -> GObject.Property:
    return GObject.Property(type=kind, default=default, nick=text, blurb=text)


class StreamDehaze(Gst.Element):  # type: ignore[misc]
    """The element; its properties are read when the stream starts, `strength` with every frame."""

    __gstmetadata__ = ("StreamDehaze", "Filter/Effect/Video", "Removes haze, fog and smoke", "StreamDehaze")
    __gsttemplates__ = tuple(
        Gst.PadTemplate.new(name, direction, Gst.PadPresence.ALWAYS, _CAPS)
        for name, direction in (("sink", Gst.PadDirection.SINK), ("src", Gst.PadDirection.SRC))
    )
    checkpoint = _property(str, DEFAULT_CHECKPOINT, "Bundled checkpoint, or path of one")
    engine = _property(str, "auto", "auto, openvino, onnxruntime, tensorrt, torch")
    steady = _property(str, "off", "Smoothing over time: off, low, high")
    mode = _property(str, "on", "on, auto (by the measured haze), off")
    strength = GObject.Property(type=float, default=1.0, minimum=0.0, maximum=1.5, nick="Share of the haze removed")

    def __init__(self) -> None:
        super().__init__()
        sink, source = self.__gsttemplates__
        self._sink, self._source = Gst.Pad.new_from_template(sink, "sink"), Gst.Pad.new_from_template(source, "src")
        self._sink.set_chain_function_full(self._chain)
        self._sink.set_event_function_full(self._event)
        self._sink.set_query_function_full(self._query)
        self.add_pad(self._sink)
        self.add_pad(self._source)
        self._dehazer: Dehazer | None = None
        self._info: GstVideo.VideoInfo | None = None

    def _query(self, pad: Gst.Pad, parent: Gst.Object, query: Gst.Query) -> bool:
        """What comes in must be what those after it take."""
        if query.type is not Gst.QueryType.CAPS:
            return bool(Gst.Pad.query_default(pad, parent, query))
        query.set_caps_result(self._source.peer_query_caps(query.parse_caps()).intersect(_CAPS))
        return True

    def _event(self, pad: Gst.Pad, parent: Gst.Object, event: Gst.Event) -> bool:
        if event.type is Gst.EventType.CAPS:
            self._info = GstVideo.VideoInfo.new_from_caps(event.parse_caps())
            return bool(self._source.push_event(event))  # the default does so for proxies only
        if event.type in (Gst.EventType.SEGMENT, Gst.EventType.FLUSH_STOP) and self._dehazer is not None:
            self._dehazer.reset()
        return bool(Gst.Pad.event_default(pad, parent, event))

    def _chain(self, pad: Gst.Pad, parent: Gst.Object, buffer: Gst.Buffer) -> Gst.FlowReturn:
        if self._info is None:
            return Gst.FlowReturn.NOT_NEGOTIATED
        try:
            if self._dehazer is None:
                self._dehazer = Dehazer(
                    self.checkpoint, engine=self.engine, engine_wait=True, steady=self.steady, mode=self.mode
                )
            self._dehazer.strength = self.strength
            data = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8).copy()
            (clear,) = self._dehazer.process([_frame(data, self._info, buffer.pts)])
            for (start, rows, stride), plane in zip(_layout(self._info), clear.planes, strict=True):
                data[start : start + rows * stride] = plane[:rows].view(np.uint8).ravel()
        except Exception as error:  # which the bindings would print and pass over
            message = GLib.Error.new_literal(Gst.stream_error_quark(), str(error), Gst.StreamError.FAILED)
            self.post_message(Gst.Message.new_error(self, message, str(error)))
            return Gst.FlowReturn.ERROR
        out = Gst.Buffer.new_wrapped(data.tobytes())
        out.pts, out.dts, out.duration = buffer.pts, buffer.dts, buffer.duration
        return self._source.push(out)


def _layout(info: GstVideo.VideoInfo) -> list[tuple[int, int, int]]:
    """Offset in bytes, rows and bytes a row of each plane."""
    planes = info.finfo.n_planes
    component = [next(i for i in range(info.finfo.n_components) if info.finfo.plane[i] == p) for p in range(planes)]
    return [(info.offset[p], -(-info.height >> info.finfo.h_sub[component[p]]), info.stride[p]) for p in range(planes)]


def _frame(data: npt.NDArray[np.uint8], info: GstVideo.VideoInfo, pts: int) -> Frame:
    """A frame around a buffer's bytes."""
    pixel_format = PixelFormat.parse(FORMATS[info.finfo.name])
    planes = tuple(
        data[start : start + rows * stride].reshape(rows, stride).view(pixel_format.dtype)
        for start, rows, stride in _layout(info)
    )
    color = ColorSpec(
        GstVideo.video_color_primaries_to_iso(info.colorimetry.primaries),
        GstVideo.video_transfer_function_to_iso(info.colorimetry.transfer),
        GstVideo.video_color_matrix_to_iso(info.colorimetry.matrix),
        int(info.colorimetry.range) == _FULL_RANGE,
    )
    known = None if pts == Gst.CLOCK_TIME_NONE else pts
    return Frame(planes, info.width, info.height, pixel_format, color, known, _NANOSECOND)


GObject.type_register(StreamDehaze)
__gstelementfactory__ = ("streamdehaze", Gst.Rank.NONE, StreamDehaze)


def main() -> None:
    """Run a pipeline, as gst-launch does, with this element known."""
    Gst.Element.register(None, *__gstelementfactory__)
    try:
        pipeline = Gst.parse_launch(" ".join(sys.argv[1:]))
    except GLib.Error as error:
        sys.exit(f"streamdehaze: no pipeline can be made of this: {error.message}")
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if message.type is Gst.MessageType.ERROR:
        sys.exit(f"streamdehaze: {message.parse_error()[0].message}")


if __name__ == "__main__":
    main()

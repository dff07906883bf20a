"""A VapourSynth filter: `dehaze(clip)`.

Frames keep their format, 8 to 16 bits, and their properties, and get one more: `HazeDensity`. Each frame stands for
itself unless something is smoothed over time (`steady`, `every`, `mode="auto"`): then frames are worked on in order.
VapourSynth asks for them in any order, so each request brings the frames before it too, and those that were skipped are
worked on first. After a jump, as in an editor, smoothing starts with the `REACH` frames before.

Example:
    >>> import vapoursynth as vs
    >>> from streamdehaze.integrations.vapoursynth import dehaze
    >>> clip = vs.core.bs.VideoSource("foggy.mkv")
    >>> dehaze(clip, steady="low").set_output()
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from streamdehaze.dehaze import Dehazer
from streamdehaze.engine import Engine
from streamdehaze.errors import UnsupportedFormatError
from streamdehaze.extras import needed_for
from streamdehaze.frame import ColorSpec, Frame, PixelFormat
from streamdehaze.network import DEFAULT_CHECKPOINT

with needed_for("the VapourSynth filter", "vapoursynth"):
    import vapoursynth as vs

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from streamdehaze.dehaze.settings import SettingsKeywords

REACH = 16
"""Frames before the one asked for that smoothing starts with after a jump; more where VapourSynth has more threads."""
_PLANES = {"YUV": (0, 1, 2), "GRAY": (0,), "RGB": (1, 2, 0)}
"""Planes of VapourSynth in the order of FFmpeg's formats: RGB is stored as G, B, R."""


def dehaze(
    clip: vs.VideoNode,
    *,
    checkpoint: str | os.PathLike[str] = DEFAULT_CHECKPOINT,
    engine: str | Engine = "auto",
    **settings: Unpack[SettingsKeywords],
) -> vs.VideoNode:
    """The clip without haze.

    Args:
        clip: YUV, RGB or gray of 8 to 16 bits, of one format and size.
        checkpoint, engine: see `streamdehaze.Dehazer`.
        **settings: those of `streamdehaze.Stream` except `look_ahead`: strength, mode, steady, every, network_size, …

    Raises:
        UnsupportedFormatError: for other formats.
        ConfigError: if a setting is out of range.
        CheckpointError, EngineError: if the checkpoint or the engine cannot be loaded.
    """
    pixel_format = _pixel_format(clip.format)
    merged: SettingsKeywords = {**settings, "look_ahead": False}
    dehazer = Dehazer(checkpoint, engine=engine, engine_wait=True, **merged)
    if not dehazer.video.remembers and dehazer.video.mode != "auto":
        work = _InOrder(dehazer, pixel_format, clip.fps, reach=0)
        return vs.core.std.ModifyFrame(clip, clip, lambda n, f: work(n, [f]))
    reach = max(REACH, vs.core.num_threads)
    shifted = [vs.core.std.DuplicateFrames(clip, [0] * back)[: clip.num_frames] for back in range(1, reach + 1)]
    work = _InOrder(dehazer, pixel_format, clip.fps, reach)
    return vs.core.std.ModifyFrame(clip, [clip, *shifted], work)


class _InOrder:
    """Answers requests for frames, each of which brings the `reach` frames before it, the nearest first."""

    def __init__(self, dehazer: Dehazer, pixel_format: PixelFormat, rate: Fraction, reach: int) -> None:
        self._dehazer, self._format, self._reach = dehazer, pixel_format, reach
        self._time_base = Fraction(rate.denominator, rate.numerator) if rate else Fraction(1, 25)
        self._next = 0
        self._ready: dict[int, tuple[Frame, float | None]] = {}
        self._lock = threading.Lock()

    def __call__(self, n: int, f: Sequence[vs.VideoFrame]) -> vs.VideoFrame:
        with self._lock:
            if n not in self._ready:
                if self._reach == 0:
                    self._next = n
                elif not self._next <= n <= self._next + self._reach:
                    self._dehazer.reset()
                    self._next = max(0, n - self._reach)
                for number in range(self._next, n + 1):
                    (clear,) = self._dehazer.process([self._frame(number, f[n - number])])
                    reading = self._dehazer.video.reading
                    self._ready[number] = clear, None if reading is None else reading.density
                self._next = n + 1
            clear, density = self._ready[n]
            self._ready = {number: done for number, done in self._ready.items() if number >= self._next - self._reach}
        out = f[0].copy()
        for plane, source in zip(_PLANES[out.format.color_family.name], clear.planes, strict=True):
            view = np.asarray(out[plane])
            view[:] = source[: view.shape[0], : view.shape[1]]
        if density is not None:
            out.props["HazeDensity"] = density
        return out

    def _frame(self, number: int, picture: vs.VideoFrame) -> Frame:
        props, order = picture.props, _PLANES[picture.format.color_family.name]
        seconds = props.get("_AbsoluteTime")
        full_range = props.get("_Range")  # as H.273 has it: 1 is full
        if full_range is None and "_ColorRange" in props:  # before R74: 0 is full
            full_range = not props["_ColorRange"]
        return Frame(
            tuple(np.ascontiguousarray(picture[plane]) for plane in order),
            picture.width,
            picture.height,
            self._format,
            ColorSpec(
                primaries=int(props.get("_Primaries", 2)),
                transfer=int(props.get("_Transfer", 2)),
                matrix=int(props.get("_Matrix", 2)),
                full_range=None if full_range is None else bool(full_range),
            ),
            pts=number if seconds is None else round(seconds / self._time_base),
            time_base=self._time_base,
        )


def _pixel_format(found: vs.VideoFormat | None) -> PixelFormat:
    if found is None:
        raise UnsupportedFormatError("the clip changes its format; convert it to one with core.resize first")
    if found.sample_type != vs.INTEGER:
        raise UnsupportedFormatError(f"{found.name} has samples of floating point; convert it to 8 to 16 bits first")
    family, bits = found.color_family, found.bits_per_sample
    depth = "" if bits == 8 else f"{bits}{sys.byteorder[0]}e"
    if family == vs.YUV:
        sampling = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (2, 0): "411", (0, 1): "440", (2, 2): "410"}
        name = f"yuv{sampling.get((found.subsampling_w, found.subsampling_h), found.name)}p{depth}"
    else:
        name = f"gbrp{depth}" if family == vs.RGB else f"gray{depth}"
    return PixelFormat.parse(name)
